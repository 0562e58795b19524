/**
 * What a node knows of the network: the present consensus, and its neighbours by it.
 *
 * Clients send (through their gateway) to layer 1, layer 1 to 2, 2 to 3, 3 to gateways, gateways to their clients; and gateways
 * to layer 1, for their own loops and those of mixes that wrap around. Both ends of a link check it, so that nobody can skip a
 * layer. For Δ after a turn the neighbours by the consensus before count too: packets that were routed by it are on their way.
 * @module
 */
import type { AddressKey, IdentityHex } from '../core/bytes.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { DEFAULT_PARAMS, keyGraceMs, type NetworkParams } from '../core/params.ts';
import { hostsOf, type NodeEntry, nodesAhead, type RingPosition, type Topology } from '../directory/index.ts';
import { sourceOf } from '../net/connection-table.ts';
import { linkWeights } from './link-weights.ts';

export interface Neighbours {
  /** Nodes that may dial us, with the weights of their links (`linkWeights`). */
  readonly previousHops: ReadonlyMap<IdentityHex, number>;
  /** The sources (`sourceOf`) that these are likely to dial from: their addresses. */
  readonly previousSources: ReadonlySet<string>;
  /** Nodes that we may send to. */
  readonly nextHops: ReadonlyMap<AddressKey, NodeEntry>;
  /** All mixes and gateways: identities that are nobody's clients. */
  readonly nodes: ReadonlySet<IdentityHex>;
  readonly requesters: ReadonlySet<IdentityHex>;
}

/**
 * The neighbours by all of `topologies`, the newest last. Where they differ on an address, the newest is right. `positionIn` says where the
 * node is in each; nowhere has no neighbours.
 */
export function neighboursOf(
  topologies: readonly Topology[],
  positionIn: (topology: Topology) => RingPosition | undefined,
): Neighbours {
  const previousHops = new Map<IdentityHex, number>();
  const previousSources = new Set<string>();
  const nextHops = new Map<AddressKey, NodeEntry>();
  const nodes = new Set<IdentityHex>();
  const requesters = new Set<IdentityHex>();
  for (const topology of topologies) {
    const position = positionIn(topology);
    const ahead = (steps: number) => (position === undefined ? [] : nodesAhead(topology, position, steps));
    const weights = position === undefined ? [] : linkWeights(topology, position);
    for (const [id, weight] of weights) previousHops.set(id, weight);
    for (const host of ahead(-1).flatMap(hostsOf)) previousSources.add(sourceOf(host));
    for (const node of ahead(1)) nextHops.set(node.addressKey, node);
    for (const node of topology.nodes) (node.role === 'requester' ? requesters : nodes).add(node.id);
  }
  return { previousHops, previousSources, nextHops, nodes, requesters };
}

export interface NetworkViewOptions {
  /** Of the node itself. */
  readonly identity: IdentityHex;
  /** Undefined of a mix that has the layer that the consensus gives it. */
  readonly position: RingPosition | undefined;
  readonly clock: Clock;
  readonly onChange: (neighbours: Neighbours) => void;
}

export class NetworkView {
  #topology: Topology | undefined;
  #neighbours: Neighbours;
  #endOfGrace: Timer | undefined;

  constructor(readonly options: NetworkViewOptions) {
    this.#neighbours = neighboursOf([], () => undefined);
  }

  /** The newest consensus; undefined before the first. It stays when it expires: links are kept for the next. */
  get topology(): Topology | undefined {
    return this.#topology;
  }

  /** Where the node is in the ring; undefined of a mix that is not listed and has no layer of its own. */
  positionIn(topology: Topology): RingPosition | undefined {
    return this.options.position ?? topology.byId(this.options.identity)?.layer;
  }

  get neighbours(): Neighbours {
    return this.#neighbours;
  }

  get params(): NetworkParams {
    return this.#topology?.params ?? DEFAULT_PARAMS;
  }

  update(topology: Topology): void {
    const previous = this.#topology;
    if (previous === topology) return;
    this.#topology = topology;
    this.#endOfGrace?.cancel();
    this.#apply(previous === undefined ? [topology] : [previous, topology]);
    if (previous === undefined) return;
    this.#endOfGrace = this.options.clock.after(keyGraceMs(topology.params.epochMs), () => this.#apply([topology]));
  }

  stop(): void {
    this.#endOfGrace?.cancel();
  }

  #apply(topologies: readonly Topology[]): void {
    this.#neighbours = neighboursOf(topologies, (topology) => this.positionIn(topology));
    this.options.onChange(this.#neighbours);
  }
}
