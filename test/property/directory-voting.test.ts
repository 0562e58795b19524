/**
 * Authorities with crashes, slow links, wrong clocks and liars among them. Inside the bounds (PROTOCOL 4.8) never two valid documents for an
 * epoch, and one in each; outside, who signs two is found. The mutants are the same runs without a rule.
 */
import fc from 'fast-check';
import t from 'tap';
import { keyGraceMs } from '../../lib/core/params.ts';
import { keys, testNetwork } from '../support/signed-documents.ts';
import { Liar, type LiarPlan } from '../support/voting/liar.ts';
import { INVENTED, NETWORK, STRAYS } from '../support/voting/voting-nodes.ts';
import { type Temper, VotingWorld } from '../support/voting/voting-world.ts';

const RUNS = Number(process.env.SEEDS ?? 8);
const seed = Number(process.env.SEED ?? 20261127);

/** A fault of one authority. */
const fault = fc.oneof(
  fc.constant({ kind: 'none' as const }),
  fc.constant({ kind: 'down' as const }),
  fc.record({
    kind: fc.constant('crash' as const),
    writes: fc.nat(6),
    after: fc.boolean(),
    backMs: fc.nat(8_000),
  }),
  fc.record({
    kind: fc.constant('lie' as const),
    lies: fc.array(
      fc.record({
        invents: fc.boolean(),
        meanDelayMs: fc.constantFrom(0, 40, 600_000),
        fromRound: fc.array(fc.option(fc.double({ min: 0, max: 2.2, noNaN: true }), { nil: undefined }), {
          minLength: 7,
          maxLength: 7,
        }),
      }),
      { maxLength: 3 },
    ),
    signsOwnFromMs: fc.option(fc.nat(15_000), { nil: undefined }),
    signsAll: fc.boolean(),
    agrees: fc.boolean(),
  }),
);
type Fault = typeof fault extends fc.Arbitrary<infer T> ? T : never;

const temper = fc.record({
  skewMs: fc.integer({ min: -150, max: 150 }),
  delayMs: fc.nat(40),
  strays: fc.subarray([...STRAYS]),
  meanDelayMs: fc.constantFrom(20, 30, 40),
});

interface Scenario {
  readonly faults: readonly Fault[];
  readonly tempers: readonly { skewMs: number; delayMs: number; strays: number[]; meanDelayMs: number }[];
}

const scenarios = (size: number, faulty: number): fc.Arbitrary<Scenario> =>
  fc.record({
    faults: fc.array(fault, { minLength: faulty, maxLength: faulty }),
    tempers: fc.array(temper, { minLength: size, maxLength: size }),
  });

/** Authorities 0 to `faults.length` − 1 are the faulty ones. */
function worldOf(size: number, threshold: number, { faults, tempers }: Scenario): VotingWorld {
  const world = new VotingWorld(testNetwork(size, threshold));
  const liars = faults.flatMap(({ kind }, index) => (kind === 'lie' ? [index] : []));
  tempers.forEach(({ strays, meanDelayMs, ...rest }, index) => {
    const one = faults[index];
    const params = { meanDelayMs };
    const nodes = [...NETWORK, ...strays];
    if (one?.kind === 'lie') new Liar(world, index, planOf(one, liars));
    else {
      const more: Partial<Temper> = one?.kind === 'crash' ? { crash: one } : one?.kind === 'down' ? { down: true } : {};
      world.addHonest(index, { ...rest, nodes, params, ...more });
    }
  });
  return world;
}

function planOf({ lies, ...rest }: Extract<Fault, { kind: 'lie' }>, gang: number[]): LiarPlan {
  return {
    gang,
    ...rest,
    lies: lies.map(({ invents, meanDelayMs, fromRound }) => ({
      nodes: [...NETWORK, ...(invents ? INVENTED : [])],
      params: { meanDelayMs },
      fromRound,
    })),
  };
}

/** For each epoch, documents by digest, and how many honest authorities may have signed each. */
function signedIn(world: VotingWorld): Map<number, Map<string, number>> {
  const found = new Map<number, Map<string, number>>();
  for (const { records } of world.honest) {
    const own = new Set(records.released.map(({ epoch, text }) => `${epoch} ${JSON.parse(text).payload}`));
    for (const one of own) {
      const [epoch = '', ...payload] = one.split(' ');
      const documents = found.get(Number(epoch)) ?? new Map<string, number>();
      found.set(Number(epoch), documents.set(payload.join(' '), (documents.get(payload.join(' ')) ?? 0) + 1));
    }
  }
  return found;
}

/** Documents of one epoch that enough may have signed: liars sign each. */
function mostValid(world: VotingWorld): number {
  const { threshold } = world.network;
  const perEpoch = [...signedIn(world).values()].map(
    (documents) => [...documents.values()].filter((honest) => honest + world.liars.size >= threshold).length,
  );
  return Math.max(0, ...perEpoch);
}

const signsOnce = (world: VotingWorld) =>
  world.honest.every(({ records }) => {
    const epochs = new Map<number, string>();
    return records.released.every(({ epoch, text }) => {
      const first = epochs.get(epoch) ?? text;
      epochs.set(epoch, first);
      return first === text;
    });
  });

/** An authority that comes back has asked the others by then. */
const CAUGHT_UP_MS = 3_000;

/** Every authority that is there has the same consensus of the epoch, without invented nodes, with parameters of the honest. */
function hasConsensus(world: VotingWorld, epoch: number): boolean {
  const isBack = (startedMs: number) => startedMs === 0 || world.clock.nowMs() - startedMs >= CAUGHT_UP_MS;
  const all = world.honest
    .filter(({ isUp, startedMs }) => isUp && isBack(startedMs))
    .map(({ published }) => published.get(epoch));
  const [first] = all;
  if (first === undefined || all.some((one) => one?.digest !== first.digest)) return false;
  const { nodes, params } = first.consensus;
  const invented = INVENTED.map((n) => keys(n).id);
  return (
    nodes.length >= 4 &&
    !nodes.some(({ identity }) => invented.includes(identity)) &&
    params.meanDelayMs >= 20 &&
    params.meanDelayMs <= 40
  );
}

/** An epoch that has begun, and the turn to the next one. */
async function twoEpochs(world: VotingWorld): Promise<{ first: number; isFine: boolean }> {
  const first = world.epoch;
  await world.run(21_000);
  const afterFirst = hasConsensus(world, first);
  const turnMs = (first + 1) * world.epochMs - world.clock.wallMs();
  world.clock.advance(Math.max(0, turnMs - keyGraceMs(world.epochMs)));
  await world.run(keyGraceMs(world.epochMs));
  return { first, isFine: afterFirst && hasConsensus(world, first + 1) };
}

for (const { size, threshold, faulty, runs } of [
  { size: 4, threshold: 3, faulty: 1, runs: RUNS },
  { size: 7, threshold: 5, faulty: 2, runs: Math.ceil(RUNS / 4) },
]) {
  t.test(`${size} authorities, ${faulty} of them faulty: one consensus in each epoch`, async () => {
    await fc.assert(
      fc.asyncProperty(scenarios(size, faulty), async (scenario) => {
        const world = worldOf(size, threshold, scenario);
        const { isFine } = await twoEpochs(world);
        return isFine && mostValid(world) <= 1 && signsOnce(world);
      }),
      { numRuns: runs, seed, endOnFailure: true },
    );
  });
}

t.test('a clock that is off by a fifth of a round costs no signature', async (t) => {
  for (const skewMs of [-440, 440]) {
    const world = new VotingWorld(testNetwork(4, 3));
    for (const index of [0, 1, 2, 3]) {
      world.addHonest(index, { nodes: NETWORK, delayMs: 20, skewMs: index === 0 ? skewMs : 0 });
    }
    const { first, isFine } = await twoEpochs(world);
    t.ok(isFine);
    for (const { records } of world.honest) {
      t.same(
        records.released.map(({ epoch }) => epoch),
        [first, first + 1],
        'each has signed both',
      );
    }
  }
});

t.test('authorities that lack many descriptors each come to one consensus in the first voting', async (t) => {
  const world = new VotingWorld(testNetwork(4, 3, 3_600));
  const strays = Array.from({ length: 200 }, (_, i) => 100 + i);
  for (const index of [0, 1, 2, 3]) {
    const nodes = [...NETWORK, ...strays.filter((n) => n % 4 !== index)]; // the others have what it lacks
    world.addHonest(index, { nodes, delayMs: 50 });
  }
  const endMs = 30_000; // of attempt 2, the first after the start of the world: two rounds of 5 s, and one for signatures
  await world.run(endMs - (world.clock.wallMs() % world.epochMs));
  for (const { voting } of world.honest) t.equal(voting.openSlot, undefined);
  for (const { published } of world.honest) t.equal(published.get(world.epoch)?.consensus.nodes.length, 204);
});
