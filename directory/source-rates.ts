/**
 * A rate for each source of addresses (an IPv4 address, an IPv6 /64). Pure.
 * @module
 */
import type { MonotonicMs } from '../lib/core/units.ts';
import { TokenBucket } from '../lib/mixing/index.ts';
import { sourceOf } from '../lib/net/connection-table.ts';

/** Sources whose rate is remembered; beyond, the one seen longest ago is forgotten. */
export const MAX_RATED_ADDRESSES = 10_000;

export class SourceRates {
  readonly #rates = new Map<string, TokenBucket>();

  /** `perSecond` on average, `burst` at once. */
  constructor(
    readonly perSecond: number,
    readonly burst: number,
  ) {}

  /** Whether one more is within the rate of this address. */
  take(address: string, nowMs: MonotonicMs): boolean {
    return this.of(address, nowMs).take(nowMs);
  }

  /** That of the source of this address. */
  of(address: string, nowMs: MonotonicMs): TokenBucket {
    const key = sourceOf(address);
    const bucket = this.#rates.get(key) ?? new TokenBucket(this.perSecond, this.burst, nowMs);
    this.#rates.delete(key); // in again at the end: the map is in order of last use
    this.#rates.set(key, bucket);
    const oldest = this.#rates.keys().next().value;
    if (this.#rates.size > MAX_RATED_ADDRESSES && oldest !== undefined) this.#rates.delete(oldest);
    return bucket;
  }
}
