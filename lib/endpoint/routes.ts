/**
 * Route choice (one law for all kinds of packets): per packet, uniform over the healthy nodes of each layer. Nodes that the
 * consensus marks as lossy are left out by everybody alike; which others are healthy is each client's own finding.
 * Nodes of one declared family are not used twice on a route where it can be avoided, so that no operator sees two
 * hops of it.
 * @module
 */

import { pick, type Rng } from '../core/rng.ts';
import type { NodeEntry, Topology } from '../directory/index.ts';
import { type RouteHop, withDelays } from '../mixing/index.ts';
import type { RouteKind } from './health/path-health.ts';

/** How often a route of this kind uses a node, where 1 is a fair share: path health. */
export type Weight = (node: NodeEntry, kind: RouteKind) => number;

/** How often a route is drawn anew to avoid a family twice before the repetition is accepted. */
const FAMILY_DRAWS = 8;

export class RouteDrawer {
  constructor(
    readonly rng: Rng,
    readonly weight: Weight = () => 1,
  ) {}

  /**
   * Three mixes, then `tail` (a gateway, or a gateway and an endpoint). Mixes delay by the network's law, gateways and
   * endpoints not at all. Undefined when a layer is empty.
   */
  draw(topology: Topology, tail: readonly NodeEntry[], kind: RouteKind): RouteHop[] | undefined {
    let nodes: NodeEntry[] | undefined;
    for (let attempt = 0; attempt < FAMILY_DRAWS; attempt++) {
      nodes = this.#drawMixes(topology, kind);
      if (nodes === undefined) return undefined;
      nodes.push(...tail);
      if (!repeatsFamily(nodes)) break;
    }
    return nodes && withDelays(nodes, topology.params.meanDelayMs, this.rng);
  }

  #drawMixes(topology: Topology, kind: RouteKind): NodeEntry[] | undefined {
    const mixes: NodeEntry[] = [];
    for (const layer of topology.soundLayers) {
      const node = pickWeighted(this.rng, layer, (mix) => this.weight(mix, kind));
      if (node === undefined) return undefined;
      mixes.push(node);
    }
    return mixes;
  }
}

/** An element drawn by weight; all weights are above zero. Undefined of an empty list. */
function pickWeighted<T>(rng: Rng, list: readonly T[], weight: (element: T) => number): T | undefined {
  const total = list.reduce((sum, element) => sum + weight(element), 0);
  if (total === list.length) return pick(rng, list);
  let left = rng.uniform() * total;
  for (const element of list) {
    left -= weight(element);
    if (left < 0) return element;
  }
  return list.at(-1);
}

function repeatsFamily(nodes: readonly NodeEntry[]): boolean {
  const families = nodes.flatMap((node) => (node.family === undefined ? [] : [node.family]));
  return new Set(families).size < families.length;
}
