/**
 * Counters of links, one set per process: create it once and pass it to every listener and to PeerLinks.
 * @module
 */
import type { Counter, Gauge } from 'prom-client';
import type { Metrics } from '../telemetry/metrics.ts';
import type { LinkKind, SendResult } from './types.ts';

/** Of the links that this end dials: the other end does not learn the group of the key exchange. */
export class DialMetrics {
  /** Connections that ended before they were links. */
  readonly refused: Counter<'reason'>;
  readonly #up: Gauge<'group'>;

  constructor(metrics: Metrics) {
    this.refused = metrics.counter('link_refused_total', 'Connections refused before they became links', ['reason']);
    this.#up = metrics.gauge(
      'dialled_links',
      'Links that this end dialled and that are up, by group of the key exchange',
      ['group'],
    );
  }

  up(group: string): void {
    this.#up.inc({ group });
  }

  down(group: string): void {
    this.#up.dec({ group });
  }
}

export class LinkMetrics {
  readonly dialled: DialMetrics;
  /** Connections that ended before they were links, whoever dialled. */
  readonly refused: Counter<'reason'>;
  readonly framesIn: Counter<'kind'>;
  readonly framesOut: Counter<'kind'>;
  readonly dropped: Counter<'reason'>;

  constructor(metrics: Metrics) {
    this.dialled = new DialMetrics(metrics);
    this.refused = this.dialled.refused;
    this.framesIn = metrics.counter('link_frames_in_total', 'Frames received', ['kind']);
    this.framesOut = metrics.counter('link_frames_out_total', 'Frames handed to the kernel or queued for it', ['kind']);
    this.dropped = metrics.counter('link_frames_dropped_total', 'Frames dropped at a link', ['reason']);
  }

  /** Counts what became of `packets` packets for a link of this kind. */
  sent(kind: LinkKind, result: SendResult, packets = 1): void {
    if (result === 'sent') this.framesOut.inc({ kind }, packets);
    else this.dropped.inc({ reason: result }, packets);
  }
}
