/**
 * Counters of links, one set per process: create it once and pass it to every listener and to PeerLinks.
 * @module
 */
import type { Counter } from 'prom-client';
import type { Metrics } from '../metrics.ts';

export class LinkMetrics {
  /** Connections that ended before they were links. */
  readonly refused: Counter<'reason'>;
  readonly framesIn: Counter<'kind'>;
  readonly framesOut: Counter<'kind'>;
  readonly dropped: Counter<'reason'>;

  constructor(metrics: Metrics) {
    this.refused = metrics.counter('link_refused_total', 'Connections refused before they became links', ['reason']);
    this.framesIn = metrics.counter('link_frames_in_total', 'Frames received', ['kind']);
    this.framesOut = metrics.counter('link_frames_out_total', 'Frames handed to the kernel or queued for it', ['kind']);
    this.dropped = metrics.counter('link_frames_dropped_total', 'Frames dropped at a link', ['reason']);
  }
}
