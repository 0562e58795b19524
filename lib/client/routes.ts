/**
 * Route choice (DESIGN: one law for all kinds of packets): per packet, uniform over the usable nodes of each layer.
 * Nodes of one declared family are not used twice on a route where it can be avoided, so that no operator sees two
 * hops of it.
 * @module
 */
import type { NodeEntry, Topology } from '../directory/index.ts';
import { exponential, pick, type Rng } from '../rng.ts';
import type { SphinxHop } from '../sphinx/index.ts';

/** A node and the delay drawn for it. */
export interface RouteHop {
  readonly node: NodeEntry;
  readonly delayMs: number;
}

/** Whether routes may use a node; path health answers it. No evidence means yes. */
export type Usable = (node: NodeEntry) => boolean;

/** How often a route is drawn anew to avoid a family twice before the repetition is accepted. */
const FAMILY_DRAWS = 8;

const NS_PER_MS = 1_000_000;

export class RouteDrawer {
  constructor(
    readonly rng: Rng,
    readonly usable: Usable = () => true,
  ) {}

  /**
   * Three mixes, then `tail` (a gateway, or a gateway and an endpoint). Mixes delay by the network's law, gateways and
   * endpoints not at all. Undefined when a layer is empty.
   */
  draw(topology: Topology, tail: readonly NodeEntry[]): RouteHop[] | undefined {
    let nodes: NodeEntry[] | undefined;
    for (let attempt = 0; attempt < FAMILY_DRAWS; attempt++) {
      nodes = this.#drawMixes(topology);
      if (nodes === undefined) return undefined;
      nodes.push(...tail);
      if (!repeatsFamily(nodes)) break;
    }
    return nodes?.map((node) => ({
      node,
      delayMs: node.role === 'mixnode' ? exponential(this.rng, topology.params.meanDelayMs) : 0,
    }));
  }

  #drawMixes(topology: Topology): NodeEntry[] | undefined {
    const mixes: NodeEntry[] = [];
    for (const layer of topology.layers) {
      const healthy = layer.filter(this.usable);
      const node = pick(this.rng, healthy.length > 0 ? healthy : layer);
      if (node === undefined) return undefined;
      mixes.push(node);
    }
    return mixes;
  }
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
