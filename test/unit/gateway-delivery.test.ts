import t from 'tap';
import { DeliveryClock, DeliveryWheel, queueBound } from '../../gateway/delivery-clock.ts';
import { DEFAULT_PARAMS, defaultDeliveryRate, minDeliveryRate } from '../../lib/core/params.ts';
import { DeliveryWorld, STANDARD, type WorldLink } from '../support/delivery-world.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';

const { deliveryRate, replyRate, loopRate } = STANDARD;
const PERIOD_MS = 1000 / deliveryRate;
const BOUND = queueBound(deliveryRate);
const STANDARD_CLOCKED = { trafficClass: 'standard', clocked: true };
const numbered = (n: number) => Uint8Array.of(n & 255, n >> 8);
const numbersOf = ({ departures }: WorldLink) =>
  departures.flatMap(({ packet }) => (packet === undefined ? [] : [(packet[0] ?? 0) + 256 * (packet[1] ?? 0)]));

/** A client whose clock runs. */
function ticking(world: DeliveryWorld, ms: number): WorldLink {
  const link = world.connect(1);
  world.sends(link, ms);
  world.run(2_000);
  return link;
}

t.test('frames leave with one period between them, packets in order and padding where none waits', async (t) => {
  const world = new DeliveryWorld();
  const link = ticking(world, 10_000);
  const start = link.departures.length;
  for (const n of [1, 2, 3]) world.deliver(1, numbered(n));
  world.run(1_000);
  const { departures } = link;
  t.strictSame(
    departures.slice(start, start + 5).map(({ packet }) => packet?.[0]),
    [1, 2, 3, undefined, undefined],
  );
  const gaps = departures.slice(1).map(({ atMs }, i) => atMs - (departures[i]?.atMs ?? 0));
  t.ok(gaps.every((gap) => Math.abs(gap - PERIOD_MS) < 1e-6));
});

t.test('a packet waits 1/(2(μ − λ)) on average', async (t) => {
  const world = new DeliveryWorld();
  const link = ticking(world, 310_000);
  const sentMs: number[] = [];
  for (const atMs of world.poisson(replyRate + loopRate, 300_000, 5)) {
    world.events.at(atMs, () => world.deliver(1, numbered(sentMs.push(atMs) - 1)));
  }
  world.run(305_000);
  const arrived = link.departures.filter(({ packet }) => packet !== undefined);
  t.equal(arrived.length, sentMs.length, 'none is dropped');
  const waits = arrived.map(({ atMs }, i) => atMs - (sentMs[i] ?? 0));
  const meanMs = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
  const expectedMs = 1000 / (2 * (deliveryRate - replyRate - loopRate));
  t.ok(Math.abs(meanMs - expectedMs) < 0.1 * expectedMs, `${meanMs} ms, expected ${expectedMs}`);
});

t.test('what waits is bounded: the oldest go', async (t) => {
  const world = new DeliveryWorld();
  const link = ticking(world, 10_000);
  for (let n = 1; n <= BOUND + 10; n++) world.deliver(1, numbered(n));
  t.equal(world.results['delivery-full'], 10);
  world.run(2_000);
  t.strictSame(
    numbersOf(link),
    Array.from({ length: BOUND }, (_, i) => 11 + i),
  );
});

t.test('nothing leaves before the client has sent half a second of its frames; what came waits', async (t) => {
  const world = new DeliveryWorld();
  const link = world.connect(1);
  world.deliver(1, numbered(7));
  world.run(2_000);
  t.strictSame(link.departures, []);
  world.sends(link, 2_000);
  world.run(2_000);
  t.strictSame(numbersOf(link), [7]);
  t.ok(link.padding > 100);
});

t.test('a socket with four frames unwritten gets none; the ticks are over', async (t) => {
  const world = new DeliveryWorld();
  const link = ticking(world, 20_000);
  const sent = link.departures.length;
  link.unwritten = 4;
  world.run(5_000);
  t.equal(link.departures.length, sent);
  t.ok(world.ticks.skipped > 4.9 * deliveryRate);
  link.unwritten = 3;
  world.run(1_000);
  t.ok(Math.abs(link.departures.length - sent - deliveryRate) <= 1, 'no burst for what was skipped');
});

t.test('ticks missed for up to 100 ms are made up for, earlier ones skipped', async (t) => {
  for (const [stallMs, mostFrames] of [
    [60, 60 / PERIOD_MS],
    [3_000, 100 / PERIOD_MS],
  ] as const) {
    const world = new DeliveryWorld();
    const link = ticking(world, 20_000);
    const sent = link.departures.length;
    world.stall(stallMs);
    const atOnce = link.departures.length - sent;
    t.ok(Math.abs(atOnce - mostFrames) <= 1.01, `${atOnce} frames after ${stallMs} ms`);
    world.run(1_000);
    t.ok(Math.abs(link.departures.length - sent - atOnce - deliveryRate) <= 1, 'then as before');
  }
});

t.test('a gateway that stood still drops nobody for frames that wait in sockets', async (t) => {
  const world = new DeliveryWorld();
  const link = ticking(world, 35_000);
  world.run(33_000);
  world.events.sleep(60_000); // the client goes on sending; its frames are read afterwards
  world.sends(link, 40_000);
  world.run(40_000);
  t.equal(world.silent, 0);
});

t.test('a client that was away gets what came meanwhile by its clock, the newest that fit', async (t) => {
  const world = new DeliveryWorld();
  const first = ticking(world, 3_000);
  first.close();
  for (let n = 1; n <= BOUND + 5; n++) world.deliver(1, numbered(n));
  t.equal(world.clients.mailboxPackets, BOUND);
  t.equal(world.results['mailbox-full'], 5);
  const again = world.connect(1);
  t.equal(world.clients.mailboxPackets, 0);
  world.run(500);
  t.strictSame(again.departures, [], 'not at once: a burst would show what came');
  world.sends(again, 3_000);
  world.run(3_000);
  t.strictSame(
    numbersOf(again),
    Array.from({ length: BOUND }, (_, i) => 6 + i),
  );
  const gaps = again.times.slice(1).map((atMs, i) => atMs - (again.times[i] ?? 0));
  t.ok(Math.min(...gaps) > PERIOD_MS - 1e-6);
});

t.test('another class, in a new hello, is another clock', async (t) => {
  const world = new DeliveryWorld();
  ticking(world, 2_500);
  const fast = world.connect(1, { trafficClass: 'fast', clocked: true });
  world.sends(fast, 5_000, 206);
  world.run(4_000);
  const before = fast.departures.length;
  world.run(1_000);
  t.ok(Math.abs(fast.departures.length - before - (DEFAULT_PARAMS.classes.fast?.deliveryRate ?? 0)) <= 1);
});

t.test('a consensus with other rates changes clocks and queues of those that are there', async (t) => {
  const world = new DeliveryWorld();
  const link = ticking(world, 10_000);
  const classes = { standard: { ...STANDARD, deliveryRate: 2 * deliveryRate } };
  world.params = { ...DEFAULT_PARAMS, classes };
  world.clients.refreshRates(monotonic(world.nowMs));
  const before = link.departures.length;
  world.run(1_000);
  t.ok(Math.abs(link.departures.length - before - 2 * deliveryRate) <= 1);
  t.equal(world.clients.deliveryRate, 2 * deliveryRate);
  world.params = { ...DEFAULT_PARAMS, classes: {} };
  world.clients.refreshRates(monotonic(world.nowMs));
  world.run(1_000);
  t.ok(Math.abs(link.departures.length - before - 4 * deliveryRate) <= 2, 'a class that was given up goes on');
  t.equal(world.clients.admits(link.peer, STANDARD_CLOCKED), true);
  t.not(world.clients.admits('ff' as never, STANDARD_CLOCKED), true, 'but takes nobody new');
});

t.test('without the clock packets go as they come', async (t) => {
  const world = new DeliveryWorld();
  const link = world.connect(1, { trafficClass: 'standard', clocked: false });
  world.deliver(1, numbered(1));
  t.strictSame(numbersOf(link), [1]);
  world.run(60_000);
  t.equal(link.departures.length, 1);
  t.equal(world.silent, 0, 'and it need not send');
});

t.test('the wheel gives back what is due, whenever it is asked', async (t) => {
  const rng = seededRng(3);
  const wheel = new DeliveryWheel<{ dueMs: ReturnType<typeof monotonic> }>();
  const entries = Array.from({ length: 2_000 }, () => ({ dueMs: monotonic(rng.uniform() * 5_000) }));
  for (const entry of entries) wheel.add(entry);
  const gone = entries.filter((_, i) => i % 10 === 0);
  for (const entry of gone) wheel.remove(entry);
  const left = new Set(entries.filter((entry) => !gone.includes(entry)));
  for (let nowMs = 0; left.size > 0; nowMs += rng.uniform() * 400) {
    const earliestMs = Math.min(...[...left].map(({ dueMs }) => dueMs));
    if (wheel.nextDueMs() !== earliestMs) t.equal(wheel.nextDueMs(), earliestMs);
    const due = wheel.take(monotonic(nowMs));
    for (const entry of due) if (entry.dueMs > nowMs || !left.delete(entry)) t.fail('too early, or twice');
    if ([...left].some(({ dueMs }) => dueMs <= nowMs)) t.fail('left behind');
  }
  t.equal(wheel.size, 0);
  t.equal(wheel.nextDueMs(), Number.POSITIVE_INFINITY);
});

t.test('a clock of any rate keeps its phase', async (t) => {
  for (const rate of [0.5, 7, 132, 5_000]) {
    const clock = new DeliveryClock(rate, 0.25, monotonic(1_000));
    t.equal(clock.dueMs, 1_000 + 250 / rate);
    t.equal(clock.ticks(monotonic(1_000)), 0);
    t.equal(clock.ticks(clock.dueMs), 1);
    t.ok(Math.abs(clock.dueMs - (1_000 + 1250 / rate)) < 1e-9);
  }
});

t.test('default rates leave the room that the standard asks for', async (t) => {
  for (const rates of Object.values(DEFAULT_PARAMS.classes)) {
    t.ok(rates.deliveryRate >= minDeliveryRate(rates));
    t.equal(rates.deliveryRate, defaultDeliveryRate(rates));
  }
});
