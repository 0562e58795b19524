/**
 * A route and its delays, and the form in which Sphinx takes it.
 * @module
 */
import { exponential, type Rng } from '../core/rng.ts';
import type { EpochNumber } from '../core/units.ts';
import type { NodeEntry } from '../directory/index.ts';
import type { SphinxHop } from '../sphinx/index.ts';

/** A node and the delay drawn for it. */
export interface RouteHop {
  readonly node: NodeEntry;
  readonly delayMs: number;
}

const NS_PER_MS = 1_000_000;

/** Draws the delays of a route: exponential with this mean at mixes, none at gateways and endpoints. */
export function withDelays(nodes: readonly NodeEntry[], meanDelayMs: number, rng: Rng): RouteHop[] {
  return nodes.map((node) => ({ node, delayMs: node.role === 'mixnode' ? exponential(rng, meanDelayMs) : 0 }));
}

/** The hops in the form Sphinx takes, with the keys of `epoch`; undefined when a node has no key for it. */
export function toSphinxHops(route: readonly RouteHop[], epoch: EpochNumber): SphinxHop[] | undefined {
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
