/**
 * Who may send to whom: clients (through their gateway) to layer 1, layer 1 to 2, 2 to 3, 3 to gateways, gateways to
 * their clients; and gateways to layer 1, for their own loops and those of mixes that wrap around. Both ends of a link
 * check it, so that nobody can skip a layer.
 * @module
 */
import type { AddressKey, IdentityHex } from '../bytes.ts';
import type { NodeEntry, Topology } from '../directory/index.ts';
import type { LoopOrigin } from '../mixing/index.ts';

export interface Neighbours {
  /** Nodes that may dial us. */
  readonly before: ReadonlySet<IdentityHex>;
  /** Nodes that we may send to. */
  readonly after: ReadonlyMap<AddressKey, NodeEntry>;
  /** All mixes and gateways: identities that are nobody's clients. */
  readonly nodes: ReadonlySet<IdentityHex>;
  readonly requesters: ReadonlySet<IdentityHex>;
}

/** The layers around a place in the ring 1, 2, 3, gateways. */
function around(topology: Topology, origin: LoopOrigin): { before: readonly NodeEntry[]; after: readonly NodeEntry[] } {
  const ring = [...topology.layers, topology.gateways];
  const place = origin === 'gateway' ? 3 : origin - 1;
  return { before: ring[(place + 3) % 4] ?? [], after: ring[(place + 1) % 4] ?? [] };
}

/**
 * The neighbours by all of `topologies`, the newest last: over a turn the one before counts too, because packets that
 * were routed by it are still on their way. Where they differ on an address, the newest is right.
 */
export function neighboursOf(topologies: readonly Topology[], origin: LoopOrigin): Neighbours {
  const before = new Set<IdentityHex>();
  const after = new Map<AddressKey, NodeEntry>();
  const nodes = new Set<IdentityHex>();
  const requesters = new Set<IdentityHex>();
  for (const topology of topologies) {
    const place = around(topology, origin);
    for (const node of place.before) before.add(node.id);
    for (const node of place.after) after.set(node.addressKey, node);
    for (const node of topology.nodes) (node.role === 'requester' ? requesters : nodes).add(node.id);
  }
  return { before, after, nodes, requesters };
}
