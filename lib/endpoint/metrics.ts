/**
 * What a client counts.
 * @module
 */
import type { ClientLinkStats } from '../link/index.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export class EndpointMetrics {
  readonly received;
  readonly dropped;
  readonly surbs;
  readonly loopsLost;
  readonly loopAlarm;
  readonly #excluded;
  readonly #exclusions;
  readonly #deliveryRate;
  #backlogDropped = 0;
  #unknownFrames = 0;

  constructor(metrics: Metrics) {
    this.received = metrics.counter('client_packets_received_total', 'Packets from the gateway, by kind', ['kind']);
    this.dropped = metrics.counter('client_packets_dropped_total', 'Packets dropped, by reason', ['reason']);
    this.surbs = metrics.counter('client_surbs_total', 'Own reply blocks, by event', ['event']);
    this.loopsLost = metrics.counter('client_loops_lost_total', 'Own loops that did not return in time');
    this.loopAlarm = metrics.gauge(
      'client_loop_alarm',
      'Links, to a gateway each, over which too many own loops are lost or late',
    );
    this.#excluded = metrics.gauge('client_node_excluded', '1 for a node that routes avoid', ['node']);
    this.#deliveryRate = metrics.gauge('client_delivery_rate', 'Frames per second from the gateway, padding included');
    this.#exclusions = metrics.counter('client_exclusions_total', 'Times that a node was excluded');
  }

  /** A new consensus: shows these as excluded, and no others. */
  showExcluded(nodes: readonly { readonly name: string }[]): void {
    this.#excluded.reset();
    for (const { name } of nodes) this.#excluded.set({ node: name }, 1);
  }

  /** What the link has counted since the start, and frames per second that came lately. */
  showLink(link: ClientLinkStats | undefined, perSecond: number): void {
    const { inboundDropped = 0, unknownFrames = 0 } = link ?? {};
    this.dropped.inc({ reason: 'backlog' }, inboundDropped - this.#backlogDropped);
    this.dropped.inc({ reason: 'frame-kind' }, unknownFrames - this.#unknownFrames);
    this.#backlogDropped = inboundDropped;
    this.#unknownFrames = unknownFrames;
    this.#deliveryRate.set(perSecond);
  }

  exclusion(node: string, excluded: boolean): void {
    if (excluded) {
      this.#excluded.set({ node }, 1);
      this.#exclusions.inc();
    } else {
      this.#excluded.remove({ node });
    }
  }
}
