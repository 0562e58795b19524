/**
 * A token bucket on injected time: what may happen at a mean rate, and a burst at once.
 * @module
 */
import { latestMs, type MonotonicMs } from '../core/units.ts';

export class TokenBucket {
  #tokens: number;
  #atMs: MonotonicMs;

  /** Starts with `tokens`; full by default. */
  constructor(
    private ratePerSecond: number,
    private burst: number,
    nowMs: MonotonicMs,
    tokens = burst,
  ) {
    this.#tokens = Math.min(tokens, burst);
    this.#atMs = nowMs;
  }

  /** Changes the limits from now on; a new burst fills the bucket. */
  setLimits(ratePerSecond: number, burst: number, nowMs: MonotonicMs): void {
    this.#fill(nowMs);
    if (burst !== this.burst) this.#tokens = burst;
    this.ratePerSecond = ratePerSecond;
    this.burst = burst;
  }

  /** Takes one token if there is one. */
  take(nowMs: MonotonicMs): boolean {
    this.#fill(nowMs);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Whether there is a token. */
  has(nowMs: MonotonicMs): boolean {
    this.#fill(nowMs);
    return this.#tokens >= 1;
  }

  /** The tokens that there are. */
  left(nowMs: MonotonicMs): number {
    this.#fill(nowMs);
    return this.#tokens;
  }

  /** Time that runs backwards gives nothing. */
  #fill(nowMs: MonotonicMs): void {
    const untilMs = latestMs(this.#atMs, nowMs);
    this.#tokens = Math.min(this.burst, this.#tokens + ((untilMs - this.#atMs) * this.ratePerSecond) / 1000);
    this.#atMs = untilMs;
  }
}

/** Takes a token of each, where each has one; else of none, so that who is held back by one bound pays nothing at the others. */
export function takeOfEach(buckets: readonly TokenBucket[], nowMs: MonotonicMs): boolean {
  return buckets.every((bucket) => bucket.has(nowMs)) && buckets.every((bucket) => bucket.take(nowMs));
}
