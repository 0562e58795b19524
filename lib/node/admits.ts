/**
 * Who may connect to a mix or gateway, and as what; and how clients are served whose link is up.
 * @module
 */
import { addressKeyAt, type IdentityHex } from '../core/bytes.ts';
import { countersign, type NetworkFile, networkId } from '../directory/index.ts';
import type { AdmitVerdict, ClientInboundLink, ClientTerms, HelloKind, NodeIdentity } from '../link/index.ts';
import type { Components } from '../runtime/components.ts';
import type { ClientAccess } from './behaviour.ts';
import type { PacketEngine } from './engine.ts';
import type { NodeMetrics } from './metrics.ts';
import type { Neighbours } from './network-view.ts';

export interface AdmitTerms {
  /** The node's own. */
  readonly identity: IdentityHex;
  readonly authorities: readonly { readonly id: IdentityHex }[];
  readonly neighbours: Neighbours;
  /** Missing of a node without clients. */
  readonly clients?: ClientAccess | undefined;
}

/** Authorities try whether they reach the node, nodes come from the stage before it; clients are nobody that is listed as a mix or gateway. */
export function admits(
  peer: IdentityHex,
  kind: HelloKind,
  client: ClientTerms | undefined,
  { identity, authorities, neighbours, clients }: AdmitTerms,
): AdmitVerdict | Promise<AdmitVerdict> {
  if (kind === 'probe') return authorities.some(({ id }) => id === peer);
  const { previousHops, nodes } = neighbours;
  if (kind === 'node' || client === undefined) return kind === 'node' && previousHops.has(peer);
  if (nodes.has(peer) || peer === identity) return false;
  return clients?.admits(peer, kind, client) ?? false;
}

/** What a requester gets that wants to be reached through the node: that it would take it as a client, and may be named. */
export function countersigning(
  { seed }: NodeIdentity,
  network: NetworkFile,
  { clock, crypto }: Pick<Components, 'clock' | 'crypto'>,
): (peer: IdentityHex) => Uint8Array {
  const id = networkId(network, crypto);
  return (peer) => countersign(id, Buffer.from(peer, 'hex'), clock.wallMs(), seed, crypto);
}

/** Hands the frames of a client whose link is up to the engine. */
export function serveClient(
  link: ClientInboundLink,
  clients: ClientAccess,
  engine: Pick<PacketEngine, 'relay'>,
  metrics: Pick<NodeMetrics, 'received' | 'drop'>,
): void {
  link.onClose((reason) => clients.disconnect(link, reason));
  link.onFrame((nextHop, packet) => {
    metrics.received.inc({ from: 'client' });
    const next = addressKeyAt(nextHop, 0);
    const refused = clients.refuses(link, next);
    if (refused === undefined) engine.relay(next, packet);
    else metrics.drop(refused);
  });
  clients.connect(link);
}
