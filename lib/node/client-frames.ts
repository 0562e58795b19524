/**
 * The frames of a gateway's clients, on their way from the link to the engine.
 * @module
 */
import { addressKeyAt } from '../core/bytes.ts';
import type { ClientInboundLink } from '../link/index.ts';
import type { ClientAccess } from './behaviour.ts';
import type { PacketEngine } from './engine.ts';
import type { NodeMetrics } from './metrics.ts';

/** Serves a client whose link is up. */
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
