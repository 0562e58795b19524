/**
 * Looks after what the gateway delivers, and acts on what `DownlinkWatch` finds: reports, and evidence that is none.
 * @module
 */
import { type DelayLaw, lawTimes } from '../core/delay-law.ts';
import { laterMs, type MonotonicMs } from '../core/units.ts';
import type { ClientLinkStats } from '../link/index.ts';
import { DownlinkWatch } from './downlink-watch.ts';
import type { HealthReports } from './health/health-reports.ts';
import type { PathHealth } from './health/path-health.ts';
import type { EndpointOptions } from './options.ts';

/** Beside the delays of mixes a way takes so long at most. */
const LINKS_MS = 1_000;
/** What waits in a full queue at the gateway takes so long. */
const QUEUE_MS = 500;

export class Downlink {
  readonly #watch = new DownlinkWatch();
  /** Replies and own loops that came. */
  #recognised = 0;

  constructor(
    private readonly delivery: EndpointOptions['delivery'],
    private readonly health: PathHealth,
    private readonly reports: HealthReports,
    /** The gateway lives: packets of others, and padding, it could make itself. */
    private readonly onAnswer: () => void,
  ) {}

  /** Frames per second that come, padding included. */
  get measured(): number {
    return this.#watch.measured;
  }

  /** A reply or an own loop has come. */
  onRecognised(): void {
    this.#recognised += 1;
    this.onAnswer();
  }

  /** Another link. */
  restart(): void {
    this.#watch.restart();
  }

  /**
   * To be called a few times a second. `perSecond` is the rate of the gateway's clock, where there is one; `law` that of what is on
   * its way: a loop that was sent a way before the downlink was flooded may have been lost in it.
   */
  review(link: ClientLinkStats | undefined, perSecond: number, law: DelayLaw, nowMs: MonotonicMs): void {
    if (link?.state !== 'up' || this.delivery !== 'clock' || perSecond === 0) return;
    const { padding, received } = link;
    const counts = { padding, packets: received, recognised: this.#recognised };
    const sinceMs = this.#watch.review(counts, perSecond, nowMs);
    const wayMs = LINKS_MS + lawTimes(law).oneWayQuantileMs;
    if (sinceMs !== undefined) this.health.excuse(laterMs(sinceMs, -wayMs), laterMs(nowMs, QUEUE_MS));
    this.reports.reportDelivery(this.measured, perSecond, this.#watch.isSlow, sinceMs !== undefined);
  }
}
