import t from 'tap';
import { type AddressKey, addressKeyAt } from '../../lib/core/bytes.ts';
import { MemoryBudget } from '../../lib/core/memory-budget.ts';
import { Arrivals, DelayQueue, DepartureTicks, FairPolicer, TICK_MS } from '../../lib/mixing/index.ts';
import { FaultInjector, NodeMetrics, PacketEngine, type PooledPacket, parseFault } from '../../lib/node/index.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** A packet whose first byte is its name, second its delay in ms, and the rest its next hop. */
function packet(name: number, delayMs: number, next = 7): Uint8Array {
  return Uint8Array.of(name, delayMs, ...new Uint8Array(32).fill(next));
}

function testEngine({
  poolPackets = 100,
  maxDelayMs = 10_000,
  fault = '',
  perSecond = 10_000,
  budgetBytes = 1e9,
} = {}) {
  const clock = new VirtualClock();
  const memory = new MemoryBudget(budgetBytes, clock);
  const policer = new FairPolicer<string>(perSecond, monotonic(-1000));
  policer.setWeights(new Map([['neighbour', 1]]));
  const link = policer.link('neighbour');
  const sent: { name: number; atMs: number; flushes: number }[] = [];
  const state = { flushes: 0, diskWorks: true, processed: 0 };
  const metrics = new NodeMetrics(new Metrics());
  const drops: string[] = [];
  metrics.drop = (reason) => drops.push(reason);
  const pool = new DelayQueue<PooledPacket>(poolPackets);
  const refused = addressKeyAt(new Uint8Array(32).fill(9), 0);
  const hop = {
    send: (bytes: Uint8Array) =>
      void sent.push({ name: bytes[0] as number, atMs: clock.nowMs(), flushes: state.flushes }),
  };
  const packets = new PacketEngine({
    clock,
    policer,
    arrivals: new Arrivals(100),
    memory,
    pool,
    ticks: new DepartureTicks(seededRng(2)),
    metrics,
    loops: { receive: (bytes) => (bytes[0] === 99 ? 'returned' : bytes[0] === 98 ? 'altered' : undefined) },
    pipeline: {
      process: (bytes) => {
        state.processed += 1;
        if (bytes.byteLength < 34) return 'length';
        return { kind: 'forward', packet: bytes, delayNs: (bytes[1] as number) * 1e6, nextAddress: bytes.subarray(2) };
      },
    },
    flushTags: () => {
      state.flushes += 1;
      return state.diskWorks;
    },
    ...(fault === '' ? {} : { faults: new FaultInjector(parseFault(fault), seededRng(1), new Metrics()) }),
    maxDelayMs: () => maxDelayMs,
    behaviour: {
      nextHop: (next: AddressKey) => (next === refused ? 'next-hop' : hop),
      endsPackets: false,
    },
  });
  const engine = {
    receive: (bytes: Uint8Array) => packets.receive(bytes, link),
    relay: packets.relay.bind(packets),
    sendLoop: packets.sendLoop.bind(packets),
    stop: packets.stop.bind(packets),
    held: () => packets.work.held,
  };
  return { clock, engine, sent, drops, state, pool, memory, names: () => sent.map((one) => one.name) };
}

t.test('packets leave when their own delay is over, not in order of arrival', (t) => {
  const { clock, engine, sent, names } = testEngine();
  engine.receive(packet(1, 50));
  engine.receive(packet(2, 10));
  engine.receive(packet(3, 30));
  t.equal(engine.held(), 3);
  clock.advance(9);
  t.strictSame(names(), []);
  clock.advance(100);
  t.strictSame(names(), [2, 3, 1]);
  for (const [i, dueMs] of [10, 30, 50].entries()) {
    const lateMs = (sent[i]?.atMs ?? 0) - dueMs;
    t.ok(lateMs >= 0 && lateMs < TICK_MS, `due ${dueMs}`);
  }
  t.end();
});

t.test('packets without a delay leave together at the next tick, behind one write of their tags', (t) => {
  const { clock, engine, sent, state } = testEngine();
  for (const name of [1, 2, 3]) engine.receive(packet(name, 0));
  t.equal(sent.length, 0);
  clock.advance(TICK_MS);
  t.strictSame(
    sent.map(({ name }) => name).sort((a, b) => a - b),
    [1, 2, 3],
  );
  t.equal(new Set(sent.map(({ atMs }) => atMs)).size, 1);
  t.equal(state.flushes, 1);
  t.ok(sent.every(({ flushes }) => flushes === 1));
  t.end();
});

t.test('a loop of our own waits for the tick, and leaves anywhere among the packets of others', (t) => {
  const { clock, engine, sent } = testEngine();
  const next = addressKeyAt(new Uint8Array(32).fill(7), 0);
  engine.sendLoop(next, packet(0, 0));
  clock.advance(TICK_MS);
  t.equal(engine.held(), 0, 'it is no arrival');
  const places = new Set<number>();
  for (let round = 0; round < 100; round++) {
    const before = sent.length;
    engine.sendLoop(next, packet(0, 0));
    for (const name of [1, 2, 3]) engine.receive(packet(name, 0));
    t.equal(sent.length, before, 'nothing leaves off the grid');
    clock.advance(TICK_MS);
    const leaving = sent.slice(before);
    t.equal(new Set(leaving.map(({ atMs }) => atMs)).size, 1);
    places.add(leaving.findIndex(({ name }) => name === 0));
  }
  t.strictSame([...places].sort(), [0, 1, 2, 3]);
  t.end();
});

t.test('what a client sends is relayed at once: it comes by a clock of the client', (t) => {
  const { clock, engine, names } = testEngine();
  engine.receive(packet(1, 0));
  engine.relay(addressKeyAt(new Uint8Array(32).fill(7), 0), packet(2, 0));
  t.strictSame(names(), [2]);
  clock.advance(TICK_MS);
  t.strictSame(names(), [2, 1]);
  t.end();
});

t.test('what is due while the disk refuses tags is dropped; the rest goes on when it works again', (t) => {
  const { clock, engine, drops, state, names } = testEngine();
  engine.receive(packet(1, 10));
  engine.receive(packet(2, 20));
  state.diskWorks = false;
  clock.advance(15);
  t.strictSame(drops, ['journal']);
  state.diskWorks = true;
  clock.advance(15);
  t.strictSame(names(), [2]);
  t.end();
});

t.test('one write of tags covers all packets that wait; the next comes before one leaves that came after it', (t) => {
  const { clock, engine, drops, sent, state, names } = testEngine();
  const next = addressKeyAt(new Uint8Array(32).fill(7), 0);
  engine.receive(packet(1, 10));
  engine.receive(packet(2, 40));
  engine.receive(packet(3, 80));
  clock.advance(60);
  t.strictSame(names(), [1, 2]);
  t.equal(state.flushes, 1);
  engine.receive(packet(4, 10));
  state.diskWorks = false;
  clock.advance(15);
  t.strictSame(drops, ['journal'], 'its tag is only in memory');
  engine.sendLoop(next, packet(5, 0));
  clock.advance(TICK_MS);
  t.strictSame(drops, ['journal', 'journal'], 'own loops go the way of others');
  clock.advance(20);
  t.strictSame(names(), [1, 2, 3], 'this one is on disk');
  state.diskWorks = true;
  engine.receive(packet(6, 0));
  clock.advance(TICK_MS);
  t.strictSame(names(), [1, 2, 3, 6]);
  t.equal(sent.at(-1)?.flushes, 4, 'one that succeeded, two that failed, one more');
  t.end();
});

t.test(
  'the pool has half of the memory budget: packets that stay long leave the rest to links; own loops go on',
  (t) => {
    const { clock, engine, drops, names, memory } = testEngine({ budgetBytes: 2_000 });
    for (const name of [1, 2, 3, 4]) engine.receive(packet(name, 10));
    t.strictSame(drops, ['pool-full'], 'of packets that count as 354 bytes each');
    t.ok(memory.usedBytes > 1_000 && memory.usedBytes < 1_500);
    engine.sendLoop('00' as AddressKey, packet(50, 0));
    clock.advance(10 + TICK_MS);
    t.strictSame(names().sort(), [1, 2, 3, 50]);
    t.equal(memory.usedBytes, 0);
    t.end();
  },
);

t.test('a full pool drops what comes, whatever it is', (t) => {
  const { clock, engine, drops, names } = testEngine({ poolPackets: 2 });
  for (const name of [1, 2, 3, 4]) engine.receive(packet(name, 10));
  t.strictSame(drops, ['pool-full', 'pool-full']);
  clock.advance(10 + TICK_MS);
  engine.receive(packet(5, 10));
  clock.advance(10 + TICK_MS);
  t.strictSame(names().sort(), [1, 2, 5]);
  t.end();
});

t.test('a delay far in the tail is cut', (t) => {
  const { clock, engine, names } = testEngine({ maxDelayMs: 40 });
  engine.receive(packet(1, 255));
  clock.advance(39);
  t.strictSame(names(), []);
  clock.advance(1 + TICK_MS);
  t.strictSame(names(), [1]);
  t.end();
});

t.test('drops have the reason of who dropped; own loops never reach the pool', (t) => {
  const { engine, drops, pool } = testEngine();
  engine.receive(new Uint8Array(3));
  engine.receive(packet(1, 0, 9));
  engine.receive(packet(98, 0));
  engine.receive(packet(99, 0));
  t.strictSame(drops, ['length', 'next-hop', 'loop-altered']);
  t.equal(pool.size, 0);
  t.end();
});

t.test('a stopped engine sends nothing and keeps no timer', (t) => {
  const { clock, engine, sent } = testEngine();
  engine.receive(packet(1, 10));
  engine.receive(packet(2, 0));
  engine.stop();
  engine.receive(packet(3, 0));
  clock.advance(100);
  t.strictSame(sent, []);
  t.equal(clock.pending, 0);
  t.end();
});

t.test('one timer is armed however many packets wait', (t) => {
  const { clock, engine } = testEngine();
  for (let delayMs = 90; delayMs > 10; delayMs--) engine.receive(packet(1, delayMs));
  t.equal(clock.pending, 1);
  t.end();
});

t.test('faults strike what leaves, whether it was in the pool or not, once', (t) => {
  const twice = testEngine({ fault: 'duplicate=1,delay-ms=30' });
  twice.engine.receive(packet(1, 10));
  twice.engine.relay(addressKeyAt(new Uint8Array(32).fill(7), 0), packet(2, 0));
  twice.clock.advance(29);
  t.strictSame(twice.names(), [], 'all wait out the delay of the fault');
  twice.clock.advance(15);
  t.strictSame(twice.names(), [2, 2, 1, 1]);
  for (const [i, dueMs] of [30, 30, 40, 40].entries()) {
    t.ok(Math.abs((twice.sent[i]?.atMs ?? 0) - dueMs) <= 2 * TICK_MS, `due ${dueMs}`);
  }
  twice.clock.advance(1000);
  t.equal(twice.sent.length, 4);

  const gone = testEngine({ fault: 'drop=1' });
  gone.engine.receive(packet(1, 10));
  gone.engine.relay(addressKeyAt(new Uint8Array(32).fill(7), 0), packet(2, 0));
  gone.clock.advance(100);
  t.strictSame(gone.names(), []);
  t.strictSame(gone.drops, [], 'counted as faults, not as drops');
  t.end();
});

t.test('a pool that is full of delayed packets refuses more', (t) => {
  const { engine, drops } = testEngine({ poolPackets: 2, fault: 'delay-ms=1000' });
  for (const name of [1, 2, 3]) engine.relay(addressKeyAt(new Uint8Array(32).fill(7), 0), packet(name, 0));
  t.strictSame(drops, ['pool-full']);
  t.end();
});

t.test('what is beyond the share of a link is dropped before any work is done on it', (t) => {
  const { clock, engine, state, drops, pool } = testEngine({ perSecond: 100 });
  for (let n = 0; n < 100; n++) engine.receive(packet(99, 0));
  t.ok(
    drops.length > 50 && drops.every((reason) => reason === 'over-share'),
    'own loops as well: nothing tells them apart',
  );
  for (let n = 0; n < 100; n++) engine.receive(packet(1, 255));
  t.equal(state.processed, 0);
  t.equal(pool.size, 0);
  clock.advance(1000);
  engine.receive(packet(1, 255));
  t.equal(pool.size, 1);
  t.end();
});
