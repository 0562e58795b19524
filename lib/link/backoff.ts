/**
 * Capped exponential backoff with full jitter: the delay is uniform between 0 and a bound that doubles with each
 * failure, so that the peers of a node that comes back do not come all at once.
 * @module
 */
import type { Rng } from '../core/rng.ts';

/** Bound of the first delay. */
export const BACKOFF_BASE_MS = 200;
/** No delay is longer. Small, because a restarted node should be in use again within seconds. */
export const BACKOFF_CAP_MS = 5_000;
/** A link that was up this long starts again at the base; shorter ones count as failures. */
export const BACKOFF_RESET_MS = 10_000;

export class Backoff {
  #failures = 0;
  constructor(
    readonly rng: Rng,
    readonly baseMs = BACKOFF_BASE_MS,
    readonly capMs = BACKOFF_CAP_MS,
  ) {}

  get failures(): number {
    return this.#failures;
  }

  /** The delay before the next attempt. */
  nextMs(): number {
    const boundMs = Math.min(this.capMs, this.baseMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return this.rng.uniform() * boundMs;
  }

  /** Call when a link ends that was up for `upMs`. */
  ended(upMs: number): void {
    if (upMs >= BACKOFF_RESET_MS) this.#failures = 0;
  }

  reset(): void {
    this.#failures = 0;
  }
}
