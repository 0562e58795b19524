/**
 * One of several authorities is hacked. It wants a node of its own in the network, or parameters that suit it, or no consensus at all, or two for
 * one epoch, so that it can show each user another network.
 */
import t from 'tap';
import { assembler } from '../../directory/voting/ballot-view.ts';
import { mergeBallots } from '../../directory/voting/merge.ts';
import type { VotingOptions } from '../../directory/voting/voting.ts';
import { DEFAULT_PARAMS, type TrafficClass } from '../../lib/core/params.ts';
import { Verifier } from '../../lib/directory/index.ts';
import { crypto, keys, testNetwork } from '../support/signed-documents.ts';
import { Liar, type LiarPlan, type Lie } from '../support/voting/liar.ts';
import { INVENTED, NETWORK } from '../support/voting/voting-nodes.ts';
import { type Honest, type Temper, VotingWorld } from '../support/voting/voting-world.ts';

/** In it one attempt to vote begins and ends. */
const ONE_VOTING_MS = 14_000;
const HONEST: Temper = { nodes: NETWORK, params: { meanDelayMs: 40 } };
const PLAN: LiarPlan = { lies: [], gang: [], signsAll: true, agrees: true };
const toAll = (lie: Partial<Lie> = {}): Lie => ({ nodes: NETWORK, fromRound: [0, 0, 0, 0, 0], ...lie });

interface Run {
  readonly size?: number;
  readonly threshold?: number;
  /** Of the authorities from 0 on. */
  readonly plans: readonly Partial<LiarPlan>[];
  readonly tempers?: Readonly<Record<number, Partial<Temper>>>;
  readonly mutant?: Partial<VotingOptions>;
}

async function run({ size = 4, threshold = 3, plans, tempers = {}, mutant = {} }: Run): Promise<VotingWorld> {
  const world = new VotingWorld(testNetwork(size, threshold));
  for (const [index, plan] of plans.entries()) new Liar(world, index, { ...PLAN, ...plan });
  for (let index = plans.length; index < size; index += 1) {
    world.addHonest(index, { ...HONEST, ...tempers[index] }, mutant);
  }
  await world.run(ONE_VOTING_MS);
  return world;
}

const publishedBy = ({ published, world }: Honest) => published.get(world.epoch)?.consensus;
const evidenceOf = (world: VotingWorld) =>
  world.honest.flatMap(({ records }) => records.evidence.map(({ kind, authority }) => `${kind} ${authority}`));

t.test('a node that only a liar lists is not in the consensus', async (t) => {
  const plans = [{ lies: [toAll({ nodes: [...NETWORK, ...INVENTED] })] }];
  const listed = async (mutant?: Partial<VotingOptions>) => {
    const [first] = (await run({ plans, ...(mutant ? { mutant } : {}) })).honest.map(publishedBy);
    return first?.nodes.some(({ identity }) => identity === keys(INVENTED[0]).id);
  };
  t.equal(await listed(), false);
  const byOne: typeof mergeBallots = (ballots, quorum) => {
    const all = new Map(ballots.flatMap(({ nodes }) => nodes));
    const merged = mergeBallots(ballots, quorum);
    return merged && { ...merged, nodes: [...all].sort(([a], [b]) => (a < b ? -1 : 1)) };
  };
  t.equal(await listed({ merge: byOne }), true, 'where one vote is enough, it is: the same test rejects it');
});

t.test('parameters of a liar do not count', async (t) => {
  for (const meanDelayMs of [0, 600_000]) {
    const world = await run({ plans: [{ lies: [toAll({ params: { meanDelayMs } })] }] });
    for (const authority of world.honest) t.equal(publishedBy(authority)?.params.meanDelayMs, 40);
  }
});

t.test('a traffic class of a liar is not in the consensus, whatever its name', async (t) => {
  const standard = DEFAULT_PARAMS.classes.standard as TrafficClass;
  const classes = Object.fromEntries(
    ['standard', 'constructor', 'toString', 'valueOf', 'isPrototypeOf', 'mine'].map((name) => [name, standard]),
  );
  const world = await run({ plans: [{ lies: [toAll({ params: { classes } })] }] });
  for (const authority of world.honest) {
    const agreed = publishedBy(authority)?.params.classes;
    t.same(Object.keys(agreed ?? {}), Object.keys(DEFAULT_PARAMS.classes).sort());
  }
});

t.test('a liar that shows each another vote is left out and named, and the others agree', async (t) => {
  const lies = [
    { nodes: NETWORK, fromRound: [undefined, 0, 0, undefined] },
    { nodes: [...NETWORK, ...INVENTED], fromRound: [undefined, undefined, undefined, 0] },
  ];
  const world = await run({ plans: [{ lies }] });
  t.equal(new Set(world.honest.map(({ published }) => published.get(world.epoch)?.digest)).size, 1);
  t.ok(publishedBy(world.honest[0] as Honest));
  for (const { records } of world.honest) {
    t.same(
      records.evidence.map(({ kind, authority }) => [kind, authority]),
      [['votes', keys(1000).id]],
    );
    const payloads = records.evidence[0]?.two.map((text) => (JSON.parse(text) as { payload: string }).payload);
    t.equal(new Set(payloads).size, 2, 'both are kept');
  }
});

t.test('a vote that is withheld from some until shortly before the count divides nobody', async (t) => {
  const delay = (meanDelayMs: number) => ({ params: { meanDelayMs } });
  const tempers = { 1: delay(30), 2: delay(40), 3: delay(50) }; // with the vote the median is 30, without it 40
  for (const late of [0.9, 0.99, 1.5, 1.8, 1.85, 1.9, 1.95]) {
    const lies = [{ ...delay(0), nodes: NETWORK, fromRound: [undefined, late, undefined, undefined] }];
    const world = await run({ plans: [{ lies, signsAll: false, agrees: false }], tempers });
    const digests = world.honest.map(({ published }) => published.get(world.epoch)?.digest);
    t.equal(new Set(digests).size, 1, `shown from round ${late} on`);
    t.type(digests[0], 'string');
  }
});

t.test('whoever signs two consensuses of an epoch is named, and both are kept, also beyond the bounds', async (t) => {
  const own = { lies: [toAll({ nodes: [...NETWORK, ...INVENTED] })], signsOwnFromMs: 10_000 };
  const one = await run({ plans: [own] });
  t.ok(publishedBy(one.honest[0] as Honest));
  t.ok(evidenceOf(one).includes(`consensuses ${keys(1000).id}`));
  const two = await run({ size: 3, threshold: 2, plans: [0, 1].map(() => ({ ...own, gang: [0, 1] })) });
  const found = evidenceOf(two);
  t.ok(found.includes(`consensuses ${keys(1000).id}`), 'two of three can have two documents: they are found');
  t.ok(found.includes(`consensuses ${keys(1001).id}`));
});

t.test('a consensus of another epoch is not taken for one of this epoch, nor its signers for liars', async (t) => {
  const world = await run({ plans: [{ lies: [toAll()], showsOld: true }] });
  for (const authority of world.honest) t.equal(publishedBy(authority)?.epoch, world.epoch);
  const honest = world.honest.map(({ index }) => keys(1000 + index).id);
  t.notOk(
    evidenceOf(world).some((line) => honest.some((id) => line.endsWith(id))),
    'no honest authority is accused',
  );
});

t.test('what members would refuse is not signed: it would use up the epoch', async (t) => {
  const assemble: VotingOptions['assemble'] = (...given) => {
    const made = assembler(new Verifier(network, crypto))(...given);
    return typeof made === 'string' ? made : { ...made, params: { ...made.params, maxDelayMs: -1 } };
  };
  const network = testNetwork(4, 3);
  const world = await run({ plans: [{ lies: [toAll()] }], mutant: { assemble } });
  t.strictSame(
    world.honest.map(({ records }) => records.released.length),
    [0, 0, 0],
  );
});

t.test('two halves that do not reach each other do not make two networks', async (t) => {
  const halves = async (threshold: number, mutant: Partial<VotingOptions> = {}) => {
    const world = new VotingWorld(testNetwork(4, threshold));
    world.reach = (from, to) => from < 2 === to < 2;
    const nodes = (index: number) => (index < 2 ? NETWORK : [...NETWORK, 20]);
    for (const index of [0, 1, 2, 3]) world.addHonest(index, { nodes: nodes(index) }, mutant);
    await world.run(20_000);
    return new Set(world.honest.flatMap(({ published }) => published.get(world.epoch)?.digest ?? [])).size;
  };
  t.equal(await halves(3), 0);
  const merge: typeof mergeBallots = (ballots, quorum) => mergeBallots(ballots, { ...quorum, witnesses: 1 });
  t.equal(await halves(2, { merge }), 2, 'with a threshold that is one less they do: the same test rejects it');
});

t.test('an authority that lost power signs no second consensus of the epoch', async (t) => {
  const signedBy = async (remembers: boolean) => {
    const world = new VotingWorld(testNetwork(4, 3));
    for (const index of [0, 1, 2, 3]) world.addHonest(index, HONEST).records.remembers = remembers;
    await world.run(ONE_VOTING_MS);
    for (const authority of world.honest) authority.restart([...NETWORK, 20]);
    await world.run(ONE_VOTING_MS);
    return world.honest.map(({ records }) => {
      const own = records.released.filter(({ epoch }) => epoch === world.epoch);
      return new Set(own.map(({ text }) => text)).size;
    });
  };
  t.ok((await signedBy(true)).every((count) => count <= 1));
  t.ok(
    (await signedBy(false)).some((count) => count > 1),
    'without the record it does: the same test rejects it',
  );
});
