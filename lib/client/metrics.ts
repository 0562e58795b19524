/**
 * What a client counts.
 * @module
 */
import type { Metrics } from '../metrics.ts';

export class EndpointMetrics {
  readonly received;
  readonly dropped;
  readonly surbs;
  readonly loopsLost;
  readonly loopAlarm;
  readonly #excluded;
  readonly #exclusions;
  #backlogDropped = 0;

  constructor(metrics: Metrics) {
    this.received = metrics.counter('client_packets_received_total', 'Packets from the gateway, by kind', ['kind']);
    this.dropped = metrics.counter('client_packets_dropped_total', 'Packets dropped, by reason', ['reason']);
    this.surbs = metrics.counter('client_surbs_total', 'Own reply blocks, by event', ['event']);
    this.loopsLost = metrics.counter('client_loops_lost_total', 'Own loops that did not return in time');
    this.loopAlarm = metrics.gauge('client_loop_alarm', '1 while own loops are lost or late beyond chance');
    this.#excluded = metrics.gauge('client_node_excluded', '1 for a node that routes avoid', ['node']);
    this.#exclusions = metrics.counter('client_exclusions_total', 'Times that a node was excluded');
  }

  /** A new consensus: shows these as excluded, and no others. */
  showExcluded(nodes: readonly { readonly name: string }[]): void {
    this.#excluded.reset();
    for (const { name } of nodes) this.#excluded.set({ node: name }, 1);
  }

  /** Packets that came while as many waited to be read as may; `total` since the start. */
  showBacklogDropped(total: number): void {
    this.dropped.inc({ reason: 'backlog' }, total - this.#backlogDropped);
    this.#backlogDropped = total;
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
