/** Whom the consensus marks as lossy, by what nodes tell of their loops; and that clients keep off them. */

import t from 'tap';
import { buildConsensus, nodesFor } from '../../directory/consensus-builder.ts';
import { lossyNodes, MIN_LOOPS, type Reporter } from '../../directory/loss-marks.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import {
  type Descriptor,
  MAX_LOOP_RESULTS,
  parseConsensus,
  parseDescriptor,
  ringIndexOf,
  Topology,
} from '../../lib/directory/index.ts';
import { PathHealth } from '../../lib/endpoint/health/path-health.ts';
import { RouteDrawer } from '../../lib/endpoint/routes.ts';
import type { FinishedLoop } from '../../lib/mixing/index.ts';
import { LoopTally, MAX_TALLY_MS } from '../../lib/node/loop-tally.ts';
import { EPOCH, type LosesLoop, network, nodeAt, nodes, slander, withLoops } from '../support/loop-reports.ts';
import { nodeEntry, smallTopology } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { keys } from '../support/signed-documents.ts';
import { epochNumber, monotonic } from '../support/units.ts';

/** One hop in a hundred loses a loop: 4 % of them. */
const naturally: LosesLoop = (route, _origin, uniform) => uniform() < (route.length + 1) * 0.01;

/** `bad` loses `share` of what crosses it, and of its own. */
const dropping =
  (bad: readonly Reporter[], share: number): LosesLoop =>
  (route, origin, uniform) =>
    naturally(route, origin, uniform) || [...route, origin].some((node) => isOneOf(node, bad) && uniform() < share);

function isOneOf(node: Reporter, some: readonly Reporter[]): boolean {
  return some.some(({ identity }) => identity === node.identity);
}

/** Numbers of the nodes that are marked. */
function marked(all: readonly Reporter[]): number[] {
  const lossy = lossyNodes(all);
  return Array.from({ length: 50 }, (_, n) => n).filter((n) => lossy.has(keys(n).id));
}

t.test('a node that drops 30 % is marked, wherever it is, and nobody else', async (t) => {
  const all = nodes(3);
  for (const n of [0, 11, 22, 30]) {
    for (const share of [0.3, 0.5, 1]) {
      for (let seed = 1; seed <= 3; seed++) {
        t.strictSame(marked(withLoops(all, seed, 600, dropping([nodeAt(all, n)], share))), [n], `${n} drops ${share}`);
      }
    }
  }
});

t.test('a node that drops a tenth is let be; so is a network that is bad as a whole, or silent', async (t) => {
  const all = nodes(3);
  for (let seed = 1; seed <= 8; seed++) {
    t.strictSame(marked(withLoops(all, seed, 600, dropping([nodeAt(all, 10)], 0.1))), [], 'a tenth');
    t.strictSame(marked(withLoops(all, seed, 600, naturally)), [], 'honest');
    t.strictSame(marked(withLoops(all, seed, 600, (_route, _origin, uniform) => uniform() < 0.4)), [], 'all lose');
  }
  t.strictSame(marked(all), [], 'no reports');
  t.strictSame(marked(withLoops(all, 1, 600, () => true)), [], 'nothing returns to anyone');
  const bad = dropping([nodeAt(all, 10)], 1);
  t.strictSame(marked(withLoops(all, 1, 3 * MIN_LOOPS - 60, bad)), [], 'too few loops to say anything');
  t.strictSame(marked(withLoops(all, 1, 3 * MIN_LOOPS + 60, bad)), [10]);
});

t.test('the least evidence: honest nodes are marked about never, those that drop 30 % nearly always', async (t) => {
  const all = nodes(3);
  let hits = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const found = marked(withLoops(all, seed, 3 * MIN_LOOPS + 30, dropping([nodeAt(all, 20)], 0.3)));
    t.strictSame(
      found.filter((n) => n !== 20),
      [],
      `seed ${seed}`,
    );
    if (found.includes(20)) hits += 1;
  }
  t.ok(hits >= 54, `${hits} of 60`);
});

t.test('at most a minority of a layer is marked, the worst; of two nobody', async (t) => {
  const bad = (all: readonly Reporter[], shares: Record<number, number>): LosesLoop => {
    const each = Object.entries(shares).map(([n, share]) => dropping([nodeAt(all, Number(n))], share));
    return (...loop) => each.some((loses) => loses(...loop));
  };
  const five = nodes(5, 3);
  t.strictSame(marked(withLoops(five, 1, 2000, bad(five, { 10: 0.5, 12: 0.9 }))), [10, 12]);
  t.strictSame(marked(withLoops(five, 1, 4000, bad(five, { 10: 0.9, 12: 0.95, 14: 1 }))), [12, 14]);
  const two = nodes(2);
  t.strictSame(marked(withLoops(two, 1, 2000, bad(two, { 10: 1 }))), []);
  const three = nodes(3);
  t.strictSame(
    marked(withLoops(three, 1, 2000, bad(three, { 10: 1, 20: 1 }))),
    [10, 20],
    'layers count for themselves',
  );
});

t.test('a lying minority of reporters marks no honest node, also when others are silent', async (t) => {
  const all = nodes(3);
  const victim = nodeAt(all, 11);
  const honest = withLoops(all, 7, 600, naturally);
  const reporters = all.filter((node) => ringIndexOf(node) !== ringIndexOf(victim));
  t.equal(reporters.length, 9);
  const told = (liars: readonly Reporter[], others: readonly Reporter[] = honest) =>
    marked(others.map((node) => (isOneOf(node, liars) ? slander(node, all, victim) : node)));
  for (let first = 0; first < reporters.length; first++) {
    const liars = [0, 1, 2, 3].map((step) => reporters[(first + 2 * step) % reporters.length] as Reporter);
    t.strictSame(told(liars), [], 'four of nine');
    t.strictSame(told(liars, all), [], 'four of nine, the others silent');
  }
  const before = reporters.filter((node) => ringIndexOf(node) === 0);
  const behind = reporters.filter((node) => ringIndexOf(node) === 2);
  t.strictSame(told([...before.slice(1), ...behind.slice(1)]), [], 'most of either side, but not most of all');
  t.strictSame(
    told([...before, ...reporters.filter((node) => ringIndexOf(node) === 3)]),
    [],
    'all of one side and opposite',
  );
  t.strictSame(told([...before.slice(1), ...behind]), [11], 'a majority on both sides, and of all, is believed');
});

t.test('what a node says, or its family, does not help it', async (t) => {
  for (const familyOf of [() => undefined, (n: number) => ([10, 0, 20].includes(n) ? 'acme' : undefined)]) {
    const all = nodes(3, 3, familyOf);
    const bad = nodeAt(all, 10);
    const truth = withLoops(all, 3, 600, dropping([bad], 0.5));
    const praise = (node: Reporter): Reporter => ({
      ...node,
      loops: (node.loops ?? []).map(([id, sent, returned]) => {
        return id === bad.identity.slice(0, 16) ? [id, sent, sent] : [id, sent, Math.floor(returned / 2)];
      }),
    });
    const liars = [bad, nodeAt(all, 0), nodeAt(all, 20)];
    t.strictSame(marked(truth.map((node) => (isOneOf(node, liars) ? praise(node) : node))), [10]);
  }
});

t.test(
  'who drops packets to frame a neighbour marks nobody; who frames most neighbours is marked itself',
  async (t) => {
    for (const framer of [10, 0, 20, 30]) {
      const all = nodes(3);
      const place = Math.floor(framer / 10);
      const neighbours = [0, 1, 2].map((index) => 10 * ((place + 1) % 4) + index);
      const framing =
        (victims: readonly number[]): LosesLoop =>
        (route, origin, uniform) => {
          const hops = [origin, ...route, origin];
          const spoilt = hops.some(
            (hop, i) =>
              hop.identity === keys(framer).id && victims.some((victim) => hops[i + 1]?.identity === keys(victim).id),
          );
          return spoilt || naturally(route, origin, uniform);
        };
      for (let seed = 1; seed <= 2; seed++) {
        t.strictSame(marked(withLoops(all, seed, 900, framing(neighbours.slice(0, 1)))), [], `${framer} frames one`);
        t.strictSame(
          marked(withLoops(all, seed, 900, framing(neighbours.slice(0, 2)))),
          [framer],
          'frames two of three',
        );
      }
    }
  },
);

t.test('the consensus carries marks and no loop results, the same bytes in whatever order', async (t) => {
  const all = nodes(3);
  const reports: Descriptor[] = withLoops(all, 5, 600, dropping([nodeAt(all, 21)], 0.5));
  const text = (order: readonly Descriptor[]) =>
    JSON.stringify(
      buildConsensus(
        epochNumber(EPOCH),
        nodesFor(epochNumber(EPOCH), order, network, DEFAULT_PARAMS, undefined),
        { ...DEFAULT_PARAMS, epochMs: 60_000 },
        '0'.repeat(64),
        order,
        undefined,
      ),
    );
  t.equal(text(reports), text([...reports].reverse()));
  const consensus = parseConsensus(text(reports));
  t.strictSame(
    consensus.nodes.filter((node) => 'lossy' in node).map(({ name }) => name),
    ['node-21'],
  );
  t.notOk(consensus.nodes.some((node) => 'loops' in node));
  const half = consensus.nodes.map((node) =>
    node.role === 'mixnode' && node.layer === 3 ? { ...node, lossy: true } : node,
  );
  t.throws(() => parseConsensus(JSON.stringify({ ...consensus, nodes: half })), { message: /half a layer/ });
});

t.test('loop results in a descriptor are bounded and in order', async (t) => {
  const { loops: _loops, ...plain } = nodes(1)[0] as Reporter;
  const read = (loops: unknown) => parseDescriptor(JSON.stringify({ ...plain, loops }));
  const id = (n: number) => n.toString(16).padStart(16, '0');
  const many = (count: number) => Array.from({ length: count }, (_, n) => [id(n), 1_000_000, 1_000_000]);
  t.equal((read(many(MAX_LOOP_RESULTS)) as Reporter).loops?.length, MAX_LOOP_RESULTS, 'the longest fits');
  for (const [loops, problem] of [
    [many(MAX_LOOP_RESULTS + 1), /at most/],
    [
      [
        [id(2), 1, 1],
        [id(1), 1, 1],
      ],
      /ascending/,
    ],
    [
      [
        [id(1), 1, 1],
        [id(1), 1, 1],
      ],
      /ascending/,
    ],
    [[[id(1), 1, 2]], /no more loops returned/],
    [[[id(1), 0, 0]], /loops/],
    [[[id(1), 2_000_000, 0]], /loops/],
    [[[id(1), 1.5, 1]], /loops/],
    [[['xyz', 1, 1]], /hex/],
    [[[id(1), 1]], /loops/],
  ] as const) {
    t.throws(() => read(loops), { message: problem });
  }
});

t.test('a node tells of its loops of the last half epoch, over nodes that are still listed', async (t) => {
  const topology = smallTopology(2);
  const [first, second] = topology.layers[0] as [(typeof topology.nodes)[0], (typeof topology.nodes)[0]];
  const gone = nodeEntry(999, { role: 'mixnode', layer: 2 });
  const tally = new LoopTally(3_600_000);
  const loop = (route: FinishedLoop['route'], returned: boolean): FinishedLoop => ({ route, returned, excessMs: 0 });
  tally.add(loop([first, gone], true), monotonic(0));
  tally.add(loop([first], false), monotonic(1000));
  tally.add(loop([second], true), monotonic(MAX_TALLY_MS - 1000));
  const told = (nowMs: number) =>
    new Map(tally.report(topology, monotonic(nowMs)).map(([id, ...counts]) => [id, counts]));
  const [a, b] = [first, second].map(({ id }) => id.slice(0, 16)) as [string, string];
  t.strictSame(
    told(MAX_TALLY_MS - 1000),
    new Map(
      [
        [a, [2, 1]],
        [b, [1, 1]],
      ].sort() as [string, number[]][],
    ),
  );
  t.strictSame(told(MAX_TALLY_MS), new Map([[b, [1, 1]]]), 'older ones go');
  t.strictSame(told(3 * MAX_TALLY_MS), new Map());
  t.strictSame(tally.report(undefined, monotonic(MAX_TALLY_MS)), []);
});

t.test('all routes of a client avoid what is marked, by the same law for all kinds', async (t) => {
  const all = nodes(3);
  const reports = withLoops(all, 5, 900, dropping([nodeAt(all, 0), nodeAt(all, 21), nodeAt(all, 31)], 0.6));
  const params = { ...DEFAULT_PARAMS, epochMs: 60_000 };
  const topology = new Topology(
    buildConsensus(
      epochNumber(EPOCH),
      nodesFor(epochNumber(EPOCH), reports, network, DEFAULT_PARAMS, undefined),
      params,
      '0'.repeat(64),
      reports,
      undefined,
    ),
  );
  t.equal(topology.layers[0]?.length, 3, 'nodes go on sending over it');
  const health = new PathHealth();
  health.adopt(topology);
  const rng = seededRng(9);
  const drawer = new RouteDrawer(rng, (node, kind) => health.weight(node, kind));
  for (const kind of ['forward', 'reply', 'loop'] as const) {
    const used = new Map<string, number>();
    for (let i = 0; i < 3000; i++) {
      for (const { node } of drawer.draw(topology, [], kind) ?? []) used.set(node.name, (used.get(node.name) ?? 0) + 1);
    }
    t.strictSame([...used.keys()].sort(), ['node-1', 'node-10', 'node-11', 'node-12', 'node-2', 'node-20', 'node-22']);
    for (const name of ['node-1', 'node-2', 'node-20', 'node-22']) {
      t.ok(Math.abs((used.get(name) ?? 0) - 1500) < 140, `${kind}: ${name} ${used.get(name)}`);
    }
  }
  t.strictSame(topology.soundGateways.map(({ name }) => name).sort(), ['node-30', 'node-32']);
  t.equal(health.of(keys(0).id, monotonic(0)).excluded, true, 'and it shows');
  t.equal(health.of(keys(1).id, monotonic(0)).excluded, false);
});
