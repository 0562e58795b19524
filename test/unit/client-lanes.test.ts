import t from 'tap';
import { Cover } from '../../lib/endpoint/cover.ts';
import { contentSlots, idleSlots, LaneFeeder, type LaneFrame } from '../../lib/endpoint/lane-feeder.ts';
import { INITIAL_LOSS_DELAY_MS, LoopLedger } from '../../lib/endpoint/loop-ledger.ts';
import type { Lane } from '../../lib/link/index.ts';
import type { GammaKey } from '../../lib/sphinx/index.ts';
import { nodeEntry } from '../support/nodes.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** A lane whose clock is the test: `depart` takes a frame as a tick does. */
class TestLane implements Lane {
  readonly name = 'test';
  readonly content: Uint8Array[] = [];
  readonly idle: Uint8Array[] = [];
  sentContent = 0;
  sentIdle = 0;
  discarded = 0;
  constructor(
    readonly contentSlots: number,
    readonly idleSlots: number,
  ) {}
  contentRoom = () => this.contentSlots - this.content.length;
  idleRoom = () => this.idleSlots - this.idle.length;
  pushContent(_next: Uint8Array, packet: Uint8Array): boolean {
    if (this.contentRoom() === 0) return false;
    this.content.push(packet);
    return true;
  }
  pushIdle(_next: Uint8Array, packet: Uint8Array): boolean {
    if (this.idleRoom() === 0) return false;
    this.idle.push(packet);
    return true;
  }
  setRate(): void {}
  remove(): void {}
  stats() {
    const { sentContent, sentIdle, discarded } = this;
    return { set: 1, measured: 1, sentContent, sentIdle, missed: 0, discarded };
  }
  dropIdle(count: number): void {
    this.idle.splice(0, count);
  }
  depart(): Uint8Array | undefined {
    const packet = this.content.shift();
    if (packet !== undefined) this.sentContent += 1;
    return packet;
  }
}

const frame = (byte: number): LaneFrame => ({ firstHop: new Uint8Array(32), packet: new Uint8Array([byte]) });

t.test(
  'content goes to the content ring as long as there is some and room; padding fills up in small steps',
  async (t) => {
    const lane = new TestLane(2, 20);
    const waiting = [1, 2, 3];
    const feeder = new LaneFeeder(lane, {
      content: () => {
        const next = waiting.shift();
        return next === undefined ? undefined : frame(next);
      },
      idle: () => frame(0),
    });
    t.ok(feeder.feed(), 'padding is not complete yet');
    t.equal(lane.content.length, 2);
    t.strictSame(waiting, [3], 'nothing is drawn that has no slot');
    t.ok(lane.idle.length < 20, 'a full refill of padding does not hold data up');
    t.ok(feeder.feed());
    t.notOk(feeder.feed(), 'complete');
    t.equal(lane.idle.length, 20);
    lane.depart();
    feeder.feed();
    t.strictSame(waiting, []);
  },
);

t.test('content, too, is made in small steps: what comes in must not wait behind a full ring', async (t) => {
  const lane = new TestLane(60, 0);
  let made = 0;
  const feeder = new LaneFeeder(lane, { content: () => frame(++made), idle: () => undefined });
  t.ok(feeder.feed(), 'more is wanted');
  t.ok(lane.content.length > 0 && lane.content.length < 30, `${lane.content.length} at once`);
  for (let calls = 0; feeder.feed(); calls++) t.ok(calls < 10);
  t.equal(lane.content.length, 60, 'complete');
  t.equal(made, 60, 'nothing is drawn that has no slot');
});

t.test('padding that is free comes first until some of it stands ready', async (t) => {
  const lane = new TestLane(2, 80);
  const feeder = new LaneFeeder(lane, { content: () => frame(1), idle: () => frame(0), idleIsFree: true });
  while (lane.idle.length < 20) {
    t.equal(lane.content.length, 0);
    t.ok(feeder.feed());
  }
  t.equal(lane.content.length, 2, 'then content does not wait for the rest');
  t.ok(lane.idle.length < 80);
  lane.idle.length = 10;
  lane.content.length = 0;
  while (feeder.feed());
  t.equal(lane.content.length, 2);
  t.equal(lane.idle.length, 80);
});

t.test('padding gets old in a ring that is not full, and is made anew there too', async (t) => {
  const lane = new TestLane(2, 40);
  let made = 0;
  const feeder = new LaneFeeder(lane, { content: () => undefined, idle: () => frame(++made), idleIsFree: true });
  while (feeder.feed());
  lane.idle.splice(0, 3);
  feeder.renewIdle();
  for (let turns = 0; feeder.feed(); turns++) t.ok(turns < 40);
  t.strictSame([lane.idle.length, lane.idle[0]?.[0]], [40, 41], 'content took all slots meanwhile');
});

t.test('padding that stands ready is made anew, a few frames at a time', async (t) => {
  const lane = new TestLane(2, 10);
  let made = 0;
  const feeder = new LaneFeeder(lane, { content: () => undefined, idle: () => frame(++made) });
  while (feeder.feed());
  t.strictSame(
    lane.idle.map(([byte]) => byte),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  );
  feeder.renewIdle();
  t.ok(lane.idle.length >= 6, 'most of it stays until there is new padding');
  lane.idle.shift(); // one leaves meanwhile
  for (let left = 10; feeder.feed(); left--) {
    t.ok(lane.idle.length >= 5, 'never all at once');
    t.ok(left > 0, 'and it ends');
  }
  feeder.feed();
  t.strictSame([lane.idle.length, lane.idle[0]?.[0]], [10, 11], 'all new');
  feeder.feed();
  t.equal(lane.idle[0]?.[0], 11, 'and then it stays');
});

t.test('rings are shallow in time for content and deep for padding', async (t) => {
  t.equal(contentSlots(50), 3);
  t.equal(contentSlots(500), 30);
  t.equal(idleSlots(50), 20);
  t.ok(contentSlots(0) > 0 && idleSlots(0) > 0, 'a lane never has rings of size zero');
});

t.test('loops and drops of a slow clock do not stand ready until their keys are too old', async (t) => {
  const slots = (rate: number) => {
    const asked: Record<string, number> = {};
    new Cover({
      clock: new VirtualClock(),
      ledger: new LoopLedger(),
      addLane: ({ name, contentSlots }) => {
        asked[name] = contentSlots;
        return new TestLane(contentSlots, 1);
      },
      rates: { loopRate: rate, dropRate: rate / 5 },
      linkIsUp: () => true,
      makeLoop: () => undefined,
      makeDrop: () => undefined,
    });
    return asked;
  };
  t.strictSame(slots(5), { loop: 4, drop: 4 }, 'of a network with default rates');
  t.strictSame(slots(0.3), { loop: 3, drop: 2 });
  t.strictSame(slots(0), { loop: 2, drop: 2 });
});

t.test('a loop counts as sent when it left, as returned when it is known again', async (t) => {
  const clock = new VirtualClock();
  const ledger = new LoopLedger();
  const loopLane = new TestLane(2, 1);
  const mix = nodeEntry(5, { role: 'mixnode', layer: 1 });
  let made = 0;
  const cover = new Cover({
    clock,
    ledger,
    addLane: ({ name }) => (name === 'loop' ? loopLane : new TestLane(1, 1)),
    rates: { loopRate: 5, dropRate: 1 },
    linkIsUp: () => true,
    makeLoop: () => {
      const packet = new Uint8Array(400).fill(++made);
      const gamma = packet.slice(32, 48);
      const key = Buffer.from(gamma).toString('latin1') as GammaKey;
      return {
        firstHop: mix.address,
        packet,
        delayMs: 0,
        nodes: [mix],
        recovery: { gamma, key, seeds: new Uint8Array(16) },
      };
    },
    makeDrop: () => undefined,
  });
  cover.feed();
  t.equal(ledger.health.of(mix.id, monotonic(0)).loopsSent, 0, 'made ahead, not sent');
  const first = loopLane.depart() as Uint8Array;
  const second = loopLane.depart() as Uint8Array;
  cover.feed();
  t.equal(ledger.health.of(mix.id, monotonic(0)).loopsSent, 2);
  cover.invalidatePrepared();
  const old = loopLane.depart() as Uint8Array;
  cover.feed();
  t.equal(ledger.health.of(mix.id, monotonic(0)).loopsSent, 2, 'one that leads to the old gateway proves nothing');
  t.equal(
    cover.receive(old, () => true),
    'returned',
  );
  t.equal(
    cover.receive(first, () => true),
    'returned',
  );
  t.equal(
    cover.receive(first, () => true),
    undefined,
    'a replayed loop is unknown',
  );
  t.equal(
    cover.receive(second, () => false),
    'altered',
  );
  t.equal(ledger.health.of(mix.id, monotonic(0)).loopsReturned, 1, 'a loop with a damaged payload has not returned');
  clock.advance(INITIAL_LOSS_DELAY_MS);
  t.equal(cover.sweep(), 1, 'and is lost in time');
});
