/**
 * Route choice (one law for all kinds of packets): per packet, uniform over the healthy nodes of each layer. Nodes that the
 * consensus marks as lossy are left out by everybody alike; who else is healthy is each client's own finding.
 * Nodes of one declared family are not used twice on a route where it can be avoided, so that no operator sees two
 * hops of it.
 * @module
 */
import type { NodeEntry, Topology } from '../directory/index.ts';
import { exponential, pick, type Rng } from '../rng.ts';
import type { SphinxHop } from '../sphinx/index.ts';
import type { Journey } from './path-health.ts';

/** A node and the delay drawn for it. */
export interface RouteHop {
  readonly node: NodeEntry;
  readonly delayMs: number;
}

/** How often a route of this kind uses a node, where 1 is a fair share; path health answers it. */
export type Weight = (node: NodeEntry, journey: Journey) => number;

/** How often a route is drawn anew to avoid a family twice before the repetition is accepted. */
const FAMILY_DRAWS = 8;

const NS_PER_MS = 1_000_000;

export class RouteDrawer {
  constructor(
    readonly rng: Rng,
    readonly weight: Weight = () => 1,
  ) {}

  /**
   * Three mixes, then `tail` (a gateway, or a gateway and an endpoint). Mixes delay by the network's law, gateways and
   * endpoints not at all. Undefined when a layer is empty.
   */
  draw(topology: Topology, tail: readonly NodeEntry[], journey: Journey): RouteHop[] | undefined {
    let nodes: NodeEntry[] | undefined;
    for (let attempt = 0; attempt < FAMILY_DRAWS; attempt++) {
      nodes = this.#drawMixes(topology, journey);
      if (nodes === undefined) return undefined;
      nodes.push(...tail);
      if (!repeatsFamily(nodes)) break;
    }
    return nodes?.map((node) => ({
      node,
      delayMs: node.role === 'mixnode' ? exponential(this.rng, topology.params.meanDelayMs) : 0,
    }));
  }

  #drawMixes(topology: Topology, journey: Journey): NodeEntry[] | undefined {
    const mixes: NodeEntry[] = [];
    for (const layer of topology.soundLayers) {
      const node = pickWeighted(this.rng, layer, (mix) => this.weight(mix, journey));
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

/** The hops in the form Sphinx takes, with the keys of `epoch`; undefined when a node has no key for it. */
export function toSphinxHops(route: readonly RouteHop[], epoch: number): SphinxHop[] | undefined {
  const hops: SphinxHop[] = [];
  for (const { node, delayMs } of route) {
    const publicKey = node.sphinxKey(epoch);
    if (publicKey === undefined) return undefined;
    hops.push({ address: node.address, publicKey, delayNs: Math.round(delayMs * NS_PER_MS) });
  }
  return hops;
}

/** Sum of the delays drawn for a route: what the sender knows of the packet's travel time. */
export function drawnDelayMs(route: readonly RouteHop[]): number {
  return route.reduce((sum, hop) => sum + hop.delayMs, 0);
}
