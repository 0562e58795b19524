/**
 * What a mix or gateway counts. Nothing here has a label that names a peer, a client or a kind of traffic.
 * @module
 */
import type { Counter, Gauge, Histogram } from 'prom-client';
import type { LinkKind, PeerLinks } from '../link/index.ts';
import { NODE_DROPS, type NodeDrop, type SphinxKeyRing } from '../mixing/index.ts';
import type { Metrics } from '../telemetry/metrics.ts';

const EXCESS_BUCKETS_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5];

export class NodeMetrics {
  /** Packets that arrived on links, by the kind of link. */
  readonly received: Counter<'from'>;
  /** Packets handed to a link, by the kind of link. */
  readonly forwarded: Counter<'to'>;
  readonly #dropped: Counter<'reason'>;
  /** Packets that ended here as they should: drop traffic at gateways. */
  readonly ended: Counter;
  readonly loopsSent: Counter;
  readonly loopsReturned: Counter;
  readonly loopsLost: Counter;
  /** How much longer a loop took than the delays in its header. */
  readonly loopExcessSeconds: Histogram;
  /** 1 while own loops are lost or late beyond chance. */
  readonly loopAlarm: Gauge;

  constructor(readonly registry: Metrics) {
    this.received = registry.counter('packets_received_total', 'Packets that arrived on links', ['from']);
    this.forwarded = registry.counter('packets_forwarded_total', 'Packets sent on', ['to']);
    this.#dropped = registry.counter('packets_dropped_total', 'Packets dropped, by reason', ['reason']);
    this.ended = registry.counter('packets_ended_total', 'Packets whose last hop was here (drop traffic)');
    this.loopsSent = registry.counter('node_loops_sent_total', 'Own loops sent');
    this.loopsReturned = registry.counter('node_loops_returned_total', 'Own loops that came back intact');
    this.loopsLost = registry.counter('node_loops_lost_total', 'Own loops that did not come back in time');
    this.loopExcessSeconds = registry.histogram(
      'node_loop_excess_seconds',
      'Time of an own loop beyond the delays in its header',
      EXCESS_BUCKETS_SECONDS,
    );
    this.loopAlarm = registry.gauge('node_loop_alarm', '1 while own loops are lost or late beyond chance');
    for (const reason of NODE_DROPS) this.#dropped.inc({ reason }, 0);
  }

  /** Counts what became of `packets` packets for a link to a node or client. */
  sent(to: LinkKind, result: 'sent' | NodeDrop, packets = 1): void {
    if (result === 'sent') this.forwarded.inc({ to }, packets);
    else this.#dropped.inc({ reason: result }, packets);
  }

  drop(reason: NodeDrop): void {
    this.#dropped.inc({ reason });
  }
}

/** Gauges of a node's inner state, read when its metrics are. */
export function showNodeGauges(
  metrics: Metrics,
  pool: { readonly size: number },
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
