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
 * docs/PROTOCOL.md section 4.6 has the rules.
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
  const layers = new Map(mixes.map((mix) => [mix.identity, mix.layer ?? before.get(mix.identity)]));
  const placed = mixes.filter(({ layer }) => layer === undefined);
  const allIn = (layer: MixLayer) => [...layers.values()].filter((one) => one === layer).length;
  const placedIn = (layer: MixLayer) => placed.filter(({ identity }) => layers.get(identity) === layer).length;
  const wants = (layer: MixLayer) => (allIn(layer) === 0 ? NOBODY : placedIn(layer));
  const emptiest = () => LAYERS.reduce((least, layer) => (wants(layer) < wants(least) ? layer : least));
  const fullest = () => LAYERS.reduce((most, layer) => (placedIn(layer) > placedIn(most) ? layer : most));
  for (const { identity } of placed) layers.set(identity, layers.get(identity) ?? emptiest());
  const movable = [...placed].reverse();
  for (let moves = Math.max(1, Math.floor(mixes.length / MIXES_PER_MOVE)); moves > 0; moves--) {
    const [from, to] = [fullest(), emptiest()];
    const mover = movable.find(({ identity }) => layers.get(identity) === from);
    if (placedIn(from) - wants(to) <= 1 || allIn(from) === 1 || mover === undefined) break;
    layers.set(mover.identity, to);
  }
  return listed.map((node) =>
    node.role === 'mixnode' ? { ...node, layer: layers.get(node.identity) as MixLayer } : node,
  );
}
