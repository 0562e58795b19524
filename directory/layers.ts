/**
 * The layer of each mix. An operator may choose it; otherwise the authorities do. Pure, and by counts alone: the same descriptors, in
 * whatever order, and the same last consensus give the same layers, and no identity attracts a layer.
 *
 * - A mix stays in the layer that it had in the last consensus.
 * - A new one gets the layer with the fewest of those that the authorities placed; one without any mix comes first.
 * - While two layers differ by more than one, mixes move from the fullest to the emptiest: one of 32 in an epoch, or one. So who comes and
 *   goes moves few of the others.
 *
 * Mixes whose operators chose are not counted: whoever fills two layers with his own would else gather all others in the third.
 *
 * docs/PROTOCOL.md section 4.4 has the rules.
 * @module
 */
import type { Consensus, Descriptor, MixLayer } from '../lib/directory/index.ts';

type MixDescriptor = Extract<Descriptor, { role: 'mixnode' }>;

/** A descriptor of which the layer is known where it has one. */
export type LayeredDescriptor =
  | Exclude<Descriptor, { role: 'mixnode' }>
  | (MixDescriptor & { readonly layer: MixLayer });

const LAYERS = [1, 2, 3] as const;
/** Fewer than none: a layer without a mix comes before one with mixes of which none was placed. */
const NOBODY = -1;
/** Of so many mixes one may move in an epoch. */
const MIXES_PER_MOVE = 32;

/** Gives each mix of `listed`, which is in ascending order of identities, its layer. */
export function assignLayers(
  listed: readonly Descriptor[],
  last: Pick<Consensus, 'nodes'> | undefined,
): LayeredDescriptor[] {
  const before = new Map(last?.nodes.map((node) => [node.identity, node.role === 'mixnode' ? node.layer : undefined]));
  const mixes = listed.filter((node) => node.role === 'mixnode');
  const layers = new Map<string, MixLayer>();
  /** Mixes by layer: all, and of these those that were placed. */
  const all = { 1: 0, 2: 0, 3: 0 };
  const placed = { 1: 0, 2: 0, 3: 0 };
  const put = ({ identity, layer: chosen }: MixDescriptor, layer: MixLayer, change: 1 | -1 = 1) => {
    layers.set(identity, layer);
    all[layer] += change;
    if (chosen === undefined) placed[layer] += change;
  };
  const filled = (layer: MixLayer) => (all[layer] === 0 ? NOBODY : placed[layer]);
  const emptiest = () => LAYERS.reduce((least, layer) => (filled(layer) < filled(least) ? layer : least));
  /** How many could go; the last mix of a layer stays. */
  const spare = (layer: MixLayer) => (all[layer] > 1 ? placed[layer] : 0);
  const fullest = () => LAYERS.reduce((most, layer) => (spare(layer) > spare(most) ? layer : most));
  const layerOf = (mix: MixDescriptor) => mix.layer ?? before.get(mix.identity);
  for (const mix of mixes) {
    const layer = layerOf(mix);
    if (layer !== undefined) put(mix, layer);
  }
  for (const mix of mixes) if (layerOf(mix) === undefined) put(mix, emptiest());
  const movable = mixes.filter(({ layer }) => layer === undefined).reverse();
  for (let moves = Math.max(1, Math.floor(mixes.length / MIXES_PER_MOVE)); moves > 0; moves--) {
    const [from, to] = [fullest(), emptiest()];
    const mover = movable.find(({ identity }) => layers.get(identity) === from);
    if (spare(from) - filled(to) <= 1 || mover === undefined) break;
    put(mover, from, -1);
    put(mover, to);
  }
  return listed.map((node) =>
    node.role === 'mixnode' ? { ...node, layer: layers.get(node.identity) as MixLayer } : node,
  );
}
