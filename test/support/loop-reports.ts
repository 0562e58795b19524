/**
 * Descriptors of a made-up network with what its nodes tell of their loops: loops are drawn one by one, over the same routes as
 * real ones take, and lost as a function says.
 */
import type { Reporter } from '../../directory/loss-marks.ts';
import { pick } from '../../lib/core/rng.ts';
import { type LoopResult, RING_SIZE, ringIndexOf, ringOf } from '../../lib/directory/index.ts';
import { seededRng } from './seeded-rng.ts';
import { descriptorOf, draft, keys, testNetwork } from './signed-documents.ts';

export const network = testNetwork();
export const EPOCH = 1000;
/** Descriptors of the epoch are made here. */
export const MADE_MS = EPOCH * 60_000 - 10_000;

/** Whether a loop of `origin` over `route` is lost; `by` is any number below 1, drawn for this loop. */
export type LosesLoop = (route: readonly Reporter[], origin: Reporter, uniform: () => number) => boolean;

const EPOCHS = [EPOCH - 1, EPOCH, EPOCH + 1];

/** Descriptors without loops: `perLayer` mixes in each layer, and gateways; node 10·p + i is the i-th in place p of the ring. */
export function nodes(
  perLayer: number,
  gateways = perLayer,
  familyOf: (n: number) => string | undefined = () => undefined,
) {
  const made: Reporter[] = [];
  for (let place = 0; place < RING_SIZE; place++) {
    for (let index = 0; index < (place === 3 ? gateways : perLayer); index++) {
      const n = 10 * place + index;
      const family = familyOf(n);
      const extra = { ...(place === 3 ? {} : { layer: place + 1 }), ...(family === undefined ? {} : { family }) };
      const node = draft(place === 3 ? 'gateway' : 'mixnode', EPOCHS, { name: `node-${n}`, ...extra });
      made.push(descriptorOf(network, n, node, MADE_MS) as Reporter);
    }
  }
  return made;
}

/** The `n`-th node, as `nodes` numbers them. */
export function nodeAt(all: readonly Reporter[], n: number): Reporter {
  return all.find(({ identity }) => identity === keys(n).id) as Reporter;
}

/** The same descriptors, each with what became of `loops` loops of its own. */
export function withLoops(all: readonly Reporter[], seed: number, loops: number, loses: LosesLoop): Reporter[] {
  const rng = seededRng(seed);
  const ring = ringOf(all);
  const uniform = () => rng.uniform();
  return all.map((origin) => {
    const counts = new Map<Reporter, { sent: number; returned: number }>();
    const places = [1, 2, 3].map((step) => ring[((ringIndexOf(origin) ?? 0) + step) % RING_SIZE] ?? []);
    for (let i = 0; i < loops; i++) {
      const route = places.map((place) => pick(rng, place) as Reporter);
      const lost = loses(route, origin, uniform);
      for (const node of route) {
        const count = counts.get(node) ?? { sent: 0, returned: 0 };
        if (count.sent === 0) counts.set(node, count);
        count.sent += 1;
        if (!lost) count.returned += 1;
      }
    }
    const results = [...counts].map(
      ([{ identity }, { sent, returned }]): LoopResult => [identity.slice(0, 16), sent, returned],
    );
    return { ...origin, loops: results.sort(byNode) };
  });
}

/** `liar` says that nothing comes back over `victim`, and everything over all others. */
export function slander(liar: Reporter, all: readonly Reporter[], victim: Reporter): Reporter {
  const loops = all
    .filter((node) => ringIndexOf(node) !== ringIndexOf(liar))
    .map((node): LoopResult => [node.identity.slice(0, 16), 10_000, node.identity === victim.identity ? 0 : 10_000]);
  return { ...liar, loops: loops.sort(byNode) };
}

function byNode([a]: LoopResult, [b]: LoopResult): number {
  return a < b ? -1 : 1;
}
