/** How a gateway hands the consensus on to its clients. */
import t from 'tap';
import { HANDING_RATE } from '../../gateway/client.ts';
import { ConsensusAssembler, type ConsensusText } from '../../lib/directory/consensus-pieces.ts';
import { DeliveryWorld, PACKET_BYTES, STANDARD, type WorldLink } from '../support/delivery-world.ts';
import { epochNumber } from '../support/units.ts';

const RUN_MS = 20_000;
const BURST = { trafficClass: 'standard', clocked: false };
const ROOM = PACKET_BYTES - 16;

/** A document of so many pieces. */
const documentOf = (epoch: number, pieces: number): ConsensusText => ({
  epoch: epochNumber(epoch),
  text: String.fromCharCode(97 + (epoch % 26)).repeat(pieces * ROOM - 1),
});

/** The documents that a client has got over its link. */
function received({ pieces }: WorldLink): ConsensusText[] {
  const assembler = new ConsensusAssembler();
  return pieces.flatMap(({ piece }) => {
    const result = assembler.take(piece as Uint8Array, () => true);
    return typeof result === 'object' ? [result] : [];
  });
}

const epochs = (link: WorldLink) => received(link).map(({ epoch }) => epoch as number);

t.test('a client gets each consensus once, in place of padding', async (t) => {
  const world = new DeliveryWorld();
  const link = world.connect(1);
  world.sends(link, 2 * RUN_MS);
  world.replies(1, 2 * RUN_MS, () => STANDARD.replyRate);
  world.handOn([documentOf(7, 40)]);
  world.run(RUN_MS);
  t.strictSame(received(link), [documentOf(7, 40)]);
  world.handOn([documentOf(7, 40), documentOf(8, 3)]);
  world.run(RUN_MS);
  t.strictSame(epochs(link), [7, 8]);
  t.equal(link.pieces.length, 43);
  t.equal(world.ticks.consensus, 43);
  t.equal(world.results['delivery-full'] ?? 0, 0, 'no packet had to go for it');
});

t.test('one that comes later gets those that are in force then, and one that comes back gets them again', async (t) => {
  const world = new DeliveryWorld();
  world.handOn([documentOf(7, 40), documentOf(8, 3)]);
  world.handOn([documentOf(8, 3)]);
  const link = world.connect(1);
  world.sends(link, RUN_MS);
  world.run(RUN_MS);
  t.strictSame(epochs(link), [8]);
  link.close();
  const again = world.connect(1);
  world.sends(again, RUN_MS);
  world.run(RUN_MS);
  t.strictSame(epochs(again), [8]);
});

t.test('one that is overtaken by the next is left unfinished', async (t) => {
  const world = new DeliveryWorld();
  const link = world.connect(1);
  world.sends(link, RUN_MS);
  world.handOn([documentOf(7, 400)]);
  world.run(3_000);
  t.ok(link.pieces.length > 10);
  world.handOn([documentOf(8, 3)]);
  world.run(RUN_MS - 3_000);
  t.strictSame(epochs(link), [8]);
});

t.test('no piece leaves while the socket is full, and none is left out for it', async (t) => {
  const world = new DeliveryWorld();
  const link = world.connect(1);
  world.sends(link, RUN_MS);
  world.handOn([documentOf(7, 400)]);
  world.run(3_000);
  link.unwritten = 4;
  const before = link.departures.length;
  world.run(2_000);
  t.equal(link.departures.length, before);
  link.unwritten = 0;
  world.run(RUN_MS - 5_000);
  t.strictSame(epochs(link), [7]);
});

/** Departures to a client of a gateway that hands on, or does not. */
function departures(handsOn: boolean, inAddition = false): readonly number[] {
  const world = new DeliveryWorld();
  if (inAddition) {
    // A gateway that sends pieces beside its clock, not in place of padding.
    world.events.at(5_000, () => {
      for (let i = 0; i < 40; i++) link.sendConsensus(new Uint8Array(PACKET_BYTES));
    });
  }
  const link = world.connect(1);
  world.sends(link, RUN_MS);
  world.replies(1, RUN_MS, () => STANDARD.replyRate);
  if (handsOn) world.handOn([documentOf(7, 40)]);
  world.events.at(10_000, () => {
    if (handsOn) world.handOn([documentOf(7, 40), documentOf(8, 60)]);
  });
  world.run(RUN_MS);
  return link.times;
}

t.test('not one departure by the clock moves for it', async (t) => {
  const without = departures(false);
  t.ok(without.length > 2_000);
  t.strictSame(departures(true), without);
  t.notSame(departures(false, true), without, 'a gateway that sends pieces beside the clock fails the same comparison');
});

/** When pieces leave for a client without a clock, at these replies per second. */
function pieceTimes(replies: number): readonly number[] {
  const world = new DeliveryWorld();
  const link = world.connect(1, BURST);
  world.sends(link, RUN_MS);
  world.replies(1, RUN_MS, () => replies);
  world.events.at(2_000, () => world.handOn([documentOf(7, 40)]));
  world.run(RUN_MS);
  t.strictSame(epochs(link), [7]);
  return link.pieces.map(({ atMs }) => atMs);
}

t.test('without a delivery clock pieces leave by one of their own, whatever else leaves', async (t) => {
  const quiet = pieceTimes(0);
  t.strictSame(pieceTimes(STANDARD.replyRate), quiet);
  const gaps = quiet.slice(1).map((atMs, i) => atMs - (quiet[i] ?? 0));
  t.ok(gaps.every((gap) => Math.abs(gap - 1000 / HANDING_RATE) < 1e-6));
});

t.test('that clock runs only while there is something to hand on', async (t) => {
  const world = new DeliveryWorld();
  const link = world.connect(1, BURST);
  world.sends(link, 3 * RUN_MS);
  t.equal(world.clients.ticking, 0);
  world.handOn([documentOf(7, 5)]);
  t.equal(world.clients.ticking, 1);
  world.run(RUN_MS);
  t.equal(world.clients.ticking, 0);
  world.handOn([documentOf(7, 5), documentOf(8, 5)]);
  world.run(RUN_MS);
  t.strictSame(epochs(link), [7, 8]);
  link.close();
  world.handOn([documentOf(9, 5)]);
  t.equal(world.clients.ticking, 0, 'nor for one that is away');
});

t.test('who sends nothing is handed nothing: a piece costs a frame', async (t) => {
  const world = new DeliveryWorld();
  world.handOn([documentOf(7, 400)]);
  const hostile = Array.from({ length: 1_000 }, (_, n) => world.connect(n, n % 2 === 0 ? BURST : undefined));
  for (const link of hostile) world.events.at(1_000, () => void world.frameFrom(link));
  world.run(25_000);
  for (const { departures: got } of hostile) if (got.length > 1) t.fail(`${got.length} frames for one`);
  t.equal(hostile.filter(({ pieces }) => pieces.length === 1).length, 500, 'one each without a clock, none with it');
});

t.test('what was paid over one link counts for no other', async (t) => {
  const world = new DeliveryWorld();
  const first = world.connect(1, BURST);
  world.sends(first, 2_000);
  world.run(2_000);
  first.close();
  const second = world.connect(1, BURST);
  world.handOn([documentOf(7, 5)]);
  world.run(RUN_MS);
  t.strictSame(second.pieces, []);
});
