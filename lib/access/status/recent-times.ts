/**
 * How long the last few hundred requests took, as a histogram with quantiles: what a person wants to know is how it is
 * now, not since the start.
 * @module
 */

/** The last requests, by the time from request to success. */
export interface TimesStatus {
  /** Upper bounds of the buckets in milliseconds; the last is null: no bound. */
  readonly upperMs: readonly (number | null)[];
  /** Requests in each bucket. */
  readonly counts: readonly number[];
  /** Half of them took at most this, and nine of ten; null without any. */
  readonly medianMs: number | null;
  readonly p90Ms: number | null;
}

/** Requests remembered. */
export const RECENT_REQUESTS = 500;

/** A network on one machine answers in tenths of a second, a large one in a few seconds. */
const UPPER_MS: readonly (number | null)[] = [100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000, null];

export class RecentTimes {
  readonly #timesMs = new Float64Array(RECENT_REQUESTS);
  #seen = 0;

  record(timeMs: number): void {
    this.#timesMs[this.#seen % RECENT_REQUESTS] = timeMs;
    this.#seen += 1;
  }

  status(): TimesStatus {
    const sorted = this.#timesMs.slice(0, Math.min(this.#seen, RECENT_REQUESTS)).sort();
    const counts = UPPER_MS.map(() => 0);
    for (const timeMs of sorted) {
      const bucket = UPPER_MS.findIndex((upperMs) => upperMs === null || timeMs <= upperMs);
      counts[bucket] = (counts[bucket] ?? 0) + 1;
    }
    const quantile = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? null;
    return { upperMs: UPPER_MS, counts, medianMs: quantile(0.5), p90Ms: quantile(0.9) };
  }
}
