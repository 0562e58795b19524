import t from 'tap';
import type { NodeEntry } from '../../lib/directory/index.ts';
import { Exclusions } from '../../lib/endpoint/health/exclusions.ts';
import { PathNode } from '../../lib/endpoint/health/loop-evidence.ts';
import {
  BASELINE_FLOOR,
  DETECTION_EVIDENCE,
  expectedShare,
  FIRST_TERM_MS,
  lossEvidence,
  lowerShare,
  MAX_TERM_MS,
  maxExcluded,
  minority,
  RETRY_WEIGHT,
  RETURNS_TO_LIFT,
} from '../../lib/endpoint/health/thresholds.ts';
import { nodeEntry, smallTopology } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { LoopWorld, type Loses } from '../support/sim/loop-world.ts';
import { monotonic } from '../support/units.ts';

const mix = (seed: number, layer: 1 | 2 | 3) => new PathNode(nodeEntry(seed, { role: 'mixnode', layer }));

/** The exact upper tail of the binomial law. */
function tail(lost: number, seen: number, share: number): number {
  let sum = 0;
  for (let k = lost; k <= seen; k++) {
    let log = k * Math.log(share) + (seen - k) * Math.log(1 - share);
    for (let i = 1; i <= k; i++) log += Math.log((seen - k + i) / i);
    sum += Math.exp(log);
  }
  return sum;
}

t.test('evidence bounds the tail of the binomial law from above', async (t) => {
  for (const seen of [5, 20, 100, 400]) {
    for (const share of [0.02, 0.05, 0.3]) {
      for (let lost = Math.ceil(seen * share) + 1; lost <= seen; lost += Math.ceil(seen / 10)) {
        const bound = Math.exp(-lossEvidence(lost, seen, share));
        const exact = tail(lost, seen, share);
        t.ok(exact <= bound * 1.000001, `${lost} of ${seen} at ${share}: ${exact} <= ${bound}`);
      }
    }
  }
  t.equal(lossEvidence(2, 100, 0.02), 0, 'the baseline itself is no evidence');
  t.equal(lossEvidence(0, 0, 0.02), 0);
});

t.test('the thresholds are what the comments say', async (t) => {
  t.ok(lossEvidence(6, 6, BASELINE_FLOOR) >= DETECTION_EVIDENCE, 'six of six');
  t.ok(lossEvidence(5, 5, BASELINE_FLOOR) < DETECTION_EVIDENCE, 'not five of five');
  t.strictSame([0, 1, 2, 3, 4, 5, 10].map(maxExcluded), [0, 0, 1, 1, 1, 2, 4], 'never the last, a minority at most');
  t.strictSame([0, 1, 2, 3, 4, 5, 10].map(minority), [0, 0, 0, 1, 1, 2, 4]);
  t.equal(expectedShare(0, 1000), BASELINE_FLOOR);
  t.equal(expectedShare(0, 0), 0.5, 'without loops to compare with, anything may be chance');
  t.ok(lowerShare(1, 1) < 0.2 && lowerShare(100, 100) > 0.9, 'one lost loop proves little');
});

t.test('a layer keeps its last usable mix', async (t) => {
  const exclusions = new Exclusions();
  t.notOk(exclusions.add(mix(1, 2), 1, monotonic(0)), 'the only one stays');
  t.ok(exclusions.add(mix(2, 2), 2, monotonic(0)), 'one of two goes');
  t.notOk(exclusions.add(mix(3, 2), 2, monotonic(0)));
  t.ok(exclusions.add(mix(4, 3), 2, monotonic(0)), 'layers count for themselves');
});

t.test('an exclusion ends with its term, the next lasts twice as long', async (t) => {
  const exclusions = new Exclusions();
  const node = mix(1, 2);
  let nowMs = 0;
  for (const termMs of [1, 2, 4, 8, 12, 12].map((factor) => Math.min(factor * FIRST_TERM_MS, MAX_TERM_MS))) {
    exclusions.add(node, 3, monotonic(nowMs));
    t.strictSame(exclusions.due(monotonic(nowMs + termMs - 1)), [], `still out before ${termMs} ms`);
    nowMs += termMs;
    t.strictSame(exclusions.due(monotonic(nowMs)), [node]);
    exclusions.lift(node, monotonic(nowMs));
    t.notOk(exclusions.has(node));
  }
  nowMs += 2 * MAX_TERM_MS + 1;
  exclusions.due(monotonic(nowMs));
  exclusions.add(node, 3, monotonic(nowMs));
  t.strictSame(exclusions.due(monotonic(nowMs + FIRST_TERM_MS)), [node], 'old sins are forgotten');
});

t.test('returns in a row lift it earlier; one loss starts the count anew', async (t) => {
  const exclusions = new Exclusions();
  const node = mix(1, 2);
  t.notOk(exclusions.recordLoop(node, true), 'who is not excluded has nothing to prove');
  exclusions.add(node, 3, monotonic(0));
  for (let i = 1; i < RETURNS_TO_LIFT; i++) t.notOk(exclusions.recordLoop(node, true));
  t.notOk(exclusions.recordLoop(node, false));
  for (let i = 1; i < RETURNS_TO_LIFT; i++) t.notOk(exclusions.recordLoop(node, true));
  t.ok(exclusions.recordLoop(node, true));
});

t.test('a consensus with fewer mixes lets the excluded in where they are needed', async (t) => {
  const exclusions = new Exclusions();
  const [first, second] = [mix(1, 2), mix(2, 2)];
  exclusions.add(first, 5, monotonic(0));
  exclusions.add(second, 5, monotonic(0));
  t.strictSame(
    exclusions.fit(
      () => true,
      () => 3,
    ),
    [first],
  );
  t.strictSame(
    exclusions.fit(
      () => false,
      () => 3,
    ),
    [],
    'one that left is simply gone',
  );
  t.equal(exclusions.nodes.size, 0);
});

const inLayer = (world: { layers: readonly (readonly NodeEntry[])[] }, layer: number, index = 0): NodeEntry =>
  world.layers[layer - 1]?.[index] as NodeEntry;

/** Loses everything over `node` from `fromMs` on. */
const dead =
  (node: NodeEntry, fromMs = 0, untilMs = Number.POSITIVE_INFINITY): Loses =>
  (route, nowMs) =>
    nowMs >= fromMs && nowMs < untilMs && route.includes(node);

t.test('a mix excluded at one end of the route is avoided only by what touches the own gateway there', async (t) => {
  for (const [layer, shunning] of [
    [1, ['forward', 'loop']],
    [2, ['forward', 'reply', 'loop']],
    [3, ['reply', 'loop']],
  ] as const) {
    const topology = smallTopology(3);
    const bad = inLayer(topology, layer);
    const world = new LoopWorld({ topology, seed: layer, loses: dead(bad) });
    world.run(60_000);
    t.strictSame(world.excluded(), [bad.id]);
    for (const kind of ['forward', 'reply', 'loop'] as const) {
      const uses = world.routes(kind, 3000).filter((route) => route.includes(bad)).length / 3000;
      if ((shunning as readonly string[]).includes(kind)) t.ok(uses < 0.02, `layer ${layer} ${kind}: ${uses}`);
      else t.ok(Math.abs(uses - 1 / 3) < 0.05, `layer ${layer} ${kind}: ${uses}`);
    }
  }
});

t.test('reply blocks of others are left unused when their first hop is one that own packets avoid', async (t) => {
  const topology = smallTopology(2);
  const [bad, good] = [inLayer(topology, 1), inLayer(topology, 1, 1)];
  const world = new LoopWorld({ topology, seed: 3, loses: dead(bad) });
  const rng = seededRng(4);
  const used = (first: NodeEntry) => {
    let count = 0;
    for (let i = 0; i < 5000; i++) if (world.health.repliesOver(first, rng)) count += 1;
    return count / 5000;
  };
  t.equal(used(bad), 1, 'without evidence all are used');
  world.run(60_000);
  t.strictSame(world.excluded(), [bad.id]);
  t.equal(used(good), 1);
  t.ok(Math.abs(used(bad) - RETRY_WEIGHT) < 0.01, 'as rarely as own packets');
});

t.test('a mix that works again is taken back, one that does not comes back with its term and goes again', async (t) => {
  const topology = smallTopology(3);
  const bad = inLayer(topology, 2);
  const restarted = new LoopWorld({ topology, seed: 1, loses: dead(bad, 0, 60_000) });
  restarted.run(60_000);
  t.strictSame(restarted.excluded(), [bad.id]);
  restarted.run(FIRST_TERM_MS + 60_000, () => restarted.excluded().length === 0);
  t.strictSame(restarted.excluded(), []);
  t.ok(restarted.nowMs < FIRST_TERM_MS + 60_000);
  restarted.run(restarted.nowMs + 600_000);
  t.equal(restarted.changes.length, 2, 'its past is not held against it');

  const gone = new LoopWorld({ topology, seed: 2, loses: dead(bad) });
  gone.run(FIRST_TERM_MS + 60_000);
  t.strictSame(
    gone.changes.map(({ node, change }) => [node.id, change]),
    [
      [bad.id, 'excluded'],
      [bad.id, 'readmitted'],
      [bad.id, 'excluded'],
    ],
  );
});

t.test('a second mix that dies does not undo the verdict over the first', async (t) => {
  for (const [layer, seed, share] of [
    [1, 1, 0.5],
    [1, 2, 1],
    [2, 3, 0.5],
    [2, 4, 1],
    [2, 5, 0.5],
  ] as const) {
    const topology = smallTopology(2);
    const [first, second] = [inLayer(topology, layer), inLayer(topology, layer + 1)];
    let firstOutMs = Number.POSITIVE_INFINITY;
    const loses: Loses = (route, nowMs, rng) =>
      (nowMs >= 20_000 && route.includes(first) && rng.uniform() < share) ||
      (nowMs >= firstOutMs + 2_000 && route.includes(second));
    const world = new LoopWorld({ topology, seed, loses, repliesPerSecond: 100 });
    world.run(60_000, () => world.excluded().length > 0);
    firstOutMs = world.nowMs;
    world.run(firstOutMs + 30_000);
    t.strictSame(
      world.changes.map(({ node, change }) => [node.id, change]),
      [
        [first.id, 'excluded'],
        [second.id, 'excluded'],
      ],
    );
  }
});

t.test('when the own gateway loses packets, no mix is blamed; the path is called bad', async (t) => {
  for (const share of [0.6, 1]) {
    const world = new LoopWorld({
      topology: smallTopology(3),
      seed: 7,
      loses: (_route, nowMs, rng) => nowMs > 30_000 && rng.uniform() < share,
    });
    world.run(30_000);
    t.notOk(world.health.pathIsBad(monotonic(world.nowMs)));
    world.run(60_000);
    t.strictSame(world.changes, [], `${share}`);
    t.ok(world.health.pathIsBad(monotonic(world.nowMs)));
  }
});

t.test('a new gateway starts with a clean record of what only the old one could tell', async (t) => {
  const topology = smallTopology(3);
  for (const layer of [1, 2, 3]) {
    const bad = inLayer(topology, layer);
    const world = new LoopWorld({ topology, seed: 1, loses: dead(bad) });
    world.run(60_000);
    t.strictSame(world.excluded(), [bad.id]);
    world.health.gatewayChanged(monotonic(world.nowMs));
    t.strictSame(world.excluded(), layer === 2 ? [bad.id] : []);
  }
});
