/**
 * Path health against simulated networks: who is excluded, how soon, and who never is. All seeds are fixed, so a figure
 * that holds today holds always; the limits stand in docs/PROTOCOL.md 7.4.
 */
import t from 'tap';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import type { Rng } from '../../lib/rng.ts';
import { LoopWorld, type Loses } from '../support/loop-world.ts';
import { smallTopology } from '../support/nodes.ts';

const START_MS = 60_000;
/** Every hop of an honest network loses this share: four hops, 1 % of loops. */
const HOP_LOSS = 0.0025;
const naturally = (route: readonly NodeEntry[], rng: Rng) => rng.uniform() < route.length * HOP_LOSS;
const inLayer = (topology: Topology, layer: number, index = 0) => topology.layers[layer - 1]?.[index] as NodeEntry;

interface Trial {
  readonly tookMs: number;
  readonly others: number;
  readonly world: LoopWorld;
}

/** Networks in which one mix starts to lose `share` of what crosses it. */
function trials(mixesPerLayer: number, layer: number, share: number, seeds: number): Trial[] {
  return Array.from({ length: seeds }, (_, seed) => {
    const topology = smallTopology(mixesPerLayer);
    const bad = inLayer(topology, layer);
    const loses: Loses = (route, nowMs, rng) =>
      (nowMs >= START_MS && route.includes(bad) && rng.uniform() < share) || naturally(route, rng);
    const world = new LoopWorld({ topology, seed: 100 * mixesPerLayer + seed, loses });
    world.run(START_MS + 300_000, () => world.excludedAtMs(bad) < Number.POSITIVE_INFINITY);
    const tookMs = world.excludedAtMs(bad) - START_MS;
    world.run(world.nowMs + 60_000);
    const others = world.changes.filter(({ node, change }) => change === 'excluded' && node.id !== bad.id).length;
    return { tookMs, others, world };
  });
}

/** The time within which `share` of the trials had excluded the node. */
function quantileMs(all: readonly Trial[], share: number): number {
  const sorted = all.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1] ?? Number.POSITIVE_INFINITY;
}

t.test('a mix that drops half, one of three, is excluded within a minute and nobody else', async (t) => {
  for (const layer of [1, 2, 3]) {
    const all = trials(3, layer, 0.5, 30);
    const slowest = quantileMs(all, 1);
    t.ok(slowest <= 60_000, `layer ${layer}: all within ${slowest} ms`);
    t.equal(all.filter(({ others }) => others > 0).length, 0);
    const journey = layer === 1 ? 'out' : 'home';
    for (const { world } of all) {
      const loss = world.lossOf(journey, 2000);
      t.ok(loss < 0.025, `loss is that of a healthy network again: ${loss}`);
    }
  }
});

t.test('a killed mix of two is avoided within ten seconds', async (t) => {
  for (const layer of [1, 2, 3]) {
    const all = trials(2, layer, 1, 30);
    t.ok(quantileMs(all, 0.5) <= 7_000, `layer ${layer}: half within ${quantileMs(all, 0.5)} ms`);
    t.ok(quantileMs(all, 0.9) <= 10_000, `nine of ten within ${quantileMs(all, 0.9)} ms`);
    t.ok(quantileMs(all, 1) <= 20_000, `all within ${quantileMs(all, 1)} ms`);
    t.equal(all.filter(({ others }) => others > 0).length, 0);
  }
});
