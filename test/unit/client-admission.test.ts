/** How many clients gateways may admit, from what nodes say that they carry: liars, steps, and marks for loss that wait. */
import t from 'tap';
import { buildConsensus, nodesFor } from '../../directory/consensus-builder.ts';
import { lossyNodes, type Reporter } from '../../directory/loss-marks.ts';
import { DEFAULT_PARAMS, type NetworkParams } from '../../lib/core/params.ts';
import {
  admitClients,
  CAPACITY_STEPS,
  type Consensus,
  type Descriptor,
  LEAST_CLIENTS,
  MAX_CAPACITY,
  parseConsensus,
  parseDescriptor,
  SHED_STEPS,
  stepAtMost,
} from '../../lib/directory/index.ts';
import { exit, numbersOf, threePerStage } from '../support/capacities.ts';
import { EPOCH, network, nodeAt, nodes } from '../support/loop-reports.ts';
import { keys } from '../support/signed-documents.ts';
import { epochNumber } from '../support/units.ts';

const { standard } = DEFAULT_PARAMS.classes;
/** Packets per second of a client of class standard in each layer. */
const CLIENT = 156;
/** Of the loops of the nine other nodes, in a network of twelve, and of an exit. */
const COVER = 90 + 6;
const NOBODY: ReadonlySet<never> = new Set();

/** A consensus in which the gateways had these numbers. */
function lastWith(numbers: readonly (number | undefined)[], marked: readonly number[] = []): Pick<Consensus, 'nodes'> {
  const records = nodes(3).map((node) => {
    const gateway = [30, 31, 32].findIndex((n) => keys(n).id === node.identity);
    const number = gateway < 0 ? undefined : numbers[gateway];
    return {
      ...node,
      ...(number === undefined ? {} : { maxClients: number }),
      ...(marked.some((n) => keys(n).id === node.identity) ? { lossy: true } : {}),
    };
  });
  return { nodes: records as Consensus['nodes'] };
}

t.test('what the weakest layer carries beside its cover is shared among the gateways', async (t) => {
  const capacity = 2172;
  const total = Math.floor((3 * capacity - COVER) / CLIENT);
  t.equal(standard && standard.mainRate + standard.replyRate + standard.loopRate + standard.dropRate, CLIENT);
  const numbers = numbersOf(threePerStage(capacity));
  // A gateway by itself carries less than a third of it.
  const own = Math.floor((capacity - COVER / 3) / CLIENT);
  t.same(numbers, [own, own, own]);
  const strong = Object.fromEntries([30, 31, 32].map((n) => [n, { capacity: 8282 }]));
  const shares = numbersOf(threePerStage(capacity, strong)) as number[];
  t.equal(
    shares.reduce((sum, share) => sum + share, 0),
    total,
  );
  t.ok(
    shares.every((share) => Math.abs(share - total / 3) < 1),
    `${shares}`,
  );
});

t.test('a layer that sheds lowers the numbers', async (t) => {
  const strong = Object.fromEntries([30, 31, 32].map((n) => [n, { capacity: 8282 }]));
  const sum = (numbers: readonly (number | undefined)[]) => numbers.reduce<number>((all, one) => all + (one ?? 0), 0);
  const calm = sum(numbersOf(threePerStage(2172, strong)));
  const layer = Object.fromEntries([10, 11].map((n) => [n, { shed: 20 }]));
  t.equal(
    sum(numbersOf(threePerStage(2172, { ...strong, ...layer }))),
    Math.floor((3 * Math.floor(2172 * 0.8) - COVER) / CLIENT),
  );
  t.ok(calm > sum(numbersOf(threePerStage(2172, { ...strong, ...layer }))));
});

t.test('numbers move by a fifth an epoch, or by one, and settle', async (t) => {
  for (const [from, capacity] of [
    [1000, 2172],
    [LEAST_CLIENTS, 2172],
    [13, 1],
  ] as const) {
    const target = numbersOf(threePerStage(capacity));
    let numbers: (number | undefined)[] = [from, from, from];
    let epochs = 0;
    for (; JSON.stringify(numbers) !== JSON.stringify(target); epochs++) {
      const next = numbersOf(threePerStage(capacity), lastWith(numbers));
      for (const [i, number = 0] of next.entries()) {
        const before = numbers[i] as number;
        t.ok(Math.abs(number - before) <= Math.max(1, before / 5), `${before} to ${number}`);
      }
      numbers = next;
      if (epochs > 60) break;
    }
    t.ok(epochs < 60, `${from}: settled after ${epochs} epochs at ${target[0]}`);
    t.same(numbersOf(threePerStage(capacity), lastWith(numbers)), target, 'and stays');
  }
});

t.test(
  'a network that takes itself for too slow stays open for a few, one that says nothing has no bound',
  async (t) => {
    t.same(numbersOf(threePerStage(1)), [LEAST_CLIENTS, LEAST_CLIENTS, LEAST_CLIENTS]);
    const silent = nodes(3);
    t.equal(admitClients(silent, NOBODY, DEFAULT_PARAMS, undefined).maxClients.size, 0);
    const still = { mainRate: 0, replyRate: 0, loopRate: 0, dropRate: 0, deliveryRate: 0 };
    const params = { ...DEFAULT_PARAMS, classes: { standard: still } };
    t.equal(
      admitClients(threePerStage(1), NOBODY, params, undefined).maxClients.size,
      0,
      'clients without clocks need nothing',
    );
  },
);

t.test('a mark for loss waits until the others carry what was admitted', async (t) => {
  const markedOf = (last: Pick<Consensus, 'nodes'> | undefined, candidates: readonly number[]) => {
    const lossy = new Set(candidates.map((n) => keys(n).id));
    const { marked } = admitClients(threePerStage(2172), lossy, DEFAULT_PARAMS, last);
    return candidates.filter((n) => marked.has(keys(n).id));
  };
  const room = Math.floor((2 * 2172 - COVER) / CLIENT);
  const fits = lastWith([room - 2, 1, 1]);
  const full = lastWith([room - 1, 1, 1]);
  t.same(markedOf(undefined, [10]), [10], 'nothing was admitted yet');
  t.same(markedOf(fits, [10]), [10]);
  t.same(markedOf(full, [10]), [], 'it would push its neighbours over');
  t.same(markedOf(full, [30]), [30], 'clients of a gateway do not go to the next one unasked');
  t.same(markedOf(lastWith([room - 1, 1, 1], [10]), [10]), [10], 'who has the mark keeps it');
  t.same(markedOf(lastWith([room - 1, 1, 1], [10]), [10, 20]), [10], 'each layer for itself');
  t.same(markedOf(lastWith([LEAST_CLIENTS, LEAST_CLIENTS, LEAST_CLIENTS]), [10]), [10], 'numbers cannot fall further');
});

/** Loop results as they are when each node sheds what it cannot carry. */
function withShedLoops(descriptors: readonly Descriptor[], shedOf: (id: string) => number): Descriptor[] {
  const others = descriptors.filter((node): node is Reporter => node.role !== 'requester');
  const results = others.map(({ identity }): [string, number, number] => [
    identity.slice(0, 16),
    1000,
    Math.round(1000 * (1 - shedOf(identity))),
  ]);
  const loops = results.sort(([a], [b]) => (a < b ? -1 : 1));
  return descriptors.map((node) => (node.role === 'requester' ? node : { ...node, loops }));
}

/**
 * A network that is used to the last seat through twelve epochs: mix 10 carries a fifth of what the others carry, so that it sheds. The
 * worst overload of its neighbours, packets shed per packet come.
 */
function neighboursOverload(admit: typeof admitClients): number {
  const carried = (id: string) => (id === keys(10).id ? 451 : 2172);
  const strong = { 30: { capacity: 8282 }, 31: { capacity: 8282 }, 32: { capacity: 8282 } };
  let last: Consensus | undefined;
  let worst = 0;
  let shed = 0;
  for (let epoch = 0; epoch < 12; epoch++) {
    const plain = threePerStage(2172, { ...strong, 10: { capacity: 457, shed: stepAtMost(SHED_STEPS, 100 * shed) } });
    const descriptors = withShedLoops(plain, (id) => (id === keys(10).id ? shed : 0));
    const { maxClients, marked } = admit(descriptors, lossyNodes(descriptors), DEFAULT_PARAMS, last);
    const clients = [...maxClients.values()].reduce((sum, number) => sum + number, 0);
    // Those who were connected under higher numbers have gone by the end of an epoch.
    const used = [10, 11, 12].filter((n) => !marked.has(keys(n).id));
    const each = (clients * CLIENT + COVER) / used.length;
    worst = Math.max(worst, ...[11, 12].map((n) => 1 - carried(keys(n).id) / each));
    shed = used.includes(10) ? Math.max(0, 1 - carried(keys(10).id) / each) : 0;
    last = {
      nodes: lastWith(
        [30, 31, 32].map((n) => maxClients.get(keys(n).id)),
        marked.size > 0 ? [10] : [],
      ).nodes,
    } as Consensus;
  }
  return worst;
}

t.test('a mix that sheds does not push its neighbours over, whether it gets a mark or not', async (t) => {
  t.ok(neighboursOverload(admitClients) <= 0, `${neighboursOverload(admitClients)}`);
  const atOnce: typeof admitClients = (listed, candidates, params, last) => ({
    ...admitClients(listed, NOBODY, params, last),
    marked: candidates,
  });
  t.ok(neighboursOverload(atOnce) > 0.2, 'marks that do not wait, and numbers that do not follow, push them over');
});

t.test('nodes below the capacity that the network asks for are not listed', async (t) => {
  const params: NetworkParams = { ...DEFAULT_PARAMS, epochMs: 60_000, minCapacity: 293 };
  const descriptors = threePerStage(293, { 0: { capacity: 235 }, 30: { capacity: 1 }, 12: { capacity: undefined } });
  const listed = nodesFor(epochNumber(EPOCH), descriptors, network, params, undefined).map(({ identity }) => identity);
  for (const n of [0, 12, 30]) t.notOk(listed.includes(keys(n).id), `${n} carries less, or does not say`);
  for (const n of [1, 2, 10, 11, 20, 31]) t.ok(listed.includes(keys(n).id), `${n} carries enough`);
});

t.test('the consensus has the numbers and what nodes shed, and no capacity', async (t) => {
  const params = { ...DEFAULT_PARAMS, epochMs: 60_000 };
  const descriptors = threePerStage(2172, { 10: { shed: 5 }, 11: { shed: 0 } });
  const text = (order: readonly Descriptor[]) =>
    JSON.stringify(
      buildConsensus(
        epochNumber(EPOCH),
        nodesFor(epochNumber(EPOCH), order, network, params, undefined),
        params,
        '0'.repeat(64),
        order,
        undefined,
      ),
    );
  t.equal(text(descriptors), text(descriptors.toReversed()), 'the same bytes in whatever order');
  const consensus = parseConsensus(text(descriptors));
  const of = (n: number) => consensus.nodes.find(({ identity }) => identity === keys(n).id);
  t.match(of(10), { shed: 5 });
  t.notOk(Object.hasOwn(of(11) ?? {}, 'shed'));
  t.match(of(30), { maxClients: numbersOf(descriptors)[0] });
  t.notOk(consensus.nodes.some((node) => Object.hasOwn(node, 'capacity')));
  t.notOk(consensus.nodes.some((node) => node.role !== 'gateway' && Object.hasOwn(node, 'maxClients')));
});

t.test('capacity, shares and numbers are read strictly', async (t) => {
  const plain = nodeAt(nodes(3), 0);
  const read = (fields: object) => parseDescriptor(JSON.stringify({ ...plain, ...fields }));
  t.match(read({ capacity: 2172, shed: 0 }), { capacity: 2172, shed: 0 });
  t.match(read({ capacity: stepAtMost(CAPACITY_STEPS, MAX_CAPACITY), shed: 100 }), { shed: 100 });
  for (const fields of [
    { capacity: 0 },
    { capacity: 2173 },
    { capacity: MAX_CAPACITY + 1 },
    { capacity: '2172' },
    { capacity: null },
    { shed: 3 },
    { shed: -1 },
    { shed: 0.5 },
  ]) {
    t.throws(() => read(fields), { message: /capacity|shed/ }, JSON.stringify(fields));
  }
  t.throws(() => parseDescriptor(JSON.stringify({ ...exit, capacity: 2172 })), { message: /unknown key "capacity"/ });
});

t.test('steps of capacity are a quarter apart', async (t) => {
  t.same(CAPACITY_STEPS.slice(0, 12), [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18]);
  for (const [i, step] of CAPACITY_STEPS.slice(1).entries()) {
    const before = CAPACITY_STEPS[i] as number;
    t.ok(step === before + 1 || step === Math.floor((5 * before) / 4));
  }
  t.equal(stepAtMost(CAPACITY_STEPS, 2171), 1738);
  t.equal(stepAtMost(CAPACITY_STEPS, 2172.9), 2172);
  t.equal(stepAtMost(CAPACITY_STEPS, 0.2), 1, 'never nothing');
  t.equal(stepAtMost(SHED_STEPS, 4.9), 2);
});
