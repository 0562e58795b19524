/**
 * Gauges of a node's inner state, read when its metrics are.
 * @module
 */
import type { PeerLinks } from '../link/index.ts';
import type { DelayQueue, SphinxKeyRing } from '../mixing/index.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { PooledPacket } from './engine.ts';

export function showNodeGauges(
  metrics: Metrics,
  pool: DelayQueue<PooledPacket>,
  peers: PeerLinks,
  ring: SphinxKeyRing,
): void {
  metrics.gaugeOf('pool_packets', 'Packets held for mixing', () => pool.size);
  metrics.gaugeOf('peers_up', 'Links to the next layer that are up', () => {
    return peers.status().filter((peer) => peer.state === 'up').length;
  });
  metrics.gaugeOf('replay_tags', 'Replay tags held', () => ring.filterUse().tags);
  metrics.gaugeOf('replay_bytes', 'Memory of the replay filters', () => ring.filterUse().bytes);
  metrics.gaugeOf('sphinx_keys_replaced', 'Sphinx keys that the last restart had to give up', () => ring.replaced);
}
