/**
 * A Poisson clock: a state machine on injected time. Deadlines follow from each other and not from when they were served, so
 * that lateness never changes the law. A clock that was not served for long (sleep, suspend) starts afresh: the exponential
 * law has no memory.
 * @module
 */
import { exponential, type Rng } from './rng.ts';
import { laterMs, type MonotonicMs, NEVER_MS } from './units.ts';

/** Further behind than this, a clock starts afresh instead of catching up in a burst. */
export const RESTART_BEHIND_MS = 100;
const MS_PER_SECOND = 1000;

export class PoissonClock {
  #deadlineMs = NEVER_MS;
  #ratePerSecond = 0;
  #lateMs = 0;
  #restarts = 0;

  constructor(
    readonly rng: Rng,
    ratePerSecond: number,
    nowMs: MonotonicMs,
  ) {
    this.setRate(ratePerSecond, nowMs);
  }

  /** When the next tick is due; Infinity while the rate is 0. */
  get deadlineMs(): MonotonicMs {
    return this.#deadlineMs;
  }

  get ratePerSecond(): number {
    return this.#ratePerSecond;
  }

  /** How late the last tick was served. */
  get lateMs(): number {
    return this.#lateMs;
  }

  /** How often the clock started afresh. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Changes the rate and draws the next deadline from it, counted from now. */
  setRate(ratePerSecond: number, nowMs: MonotonicMs): void {
    if (ratePerSecond === this.#ratePerSecond) return;
    this.#ratePerSecond = ratePerSecond;
    this.#deadlineMs = ratePerSecond > 0 ? laterMs(nowMs, this.#sampleMs()) : NEVER_MS;
  }

  /** Whether a tick is due; if so the clock has moved on to the next. Call until false. */
  tick(nowMs: MonotonicMs): boolean {
    const lateMs = nowMs - this.#deadlineMs;
    if (lateMs < 0) return false;
    if (lateMs > RESTART_BEHIND_MS) {
      this.#restarts += 1;
      this.#deadlineMs = laterMs(nowMs, this.#sampleMs());
      return false;
    }
    this.#lateMs = lateMs;
    this.#deadlineMs = laterMs(this.#deadlineMs, this.#sampleMs());
    return true;
  }

  #sampleMs(): number {
    return exponential(this.rng, MS_PER_SECOND / this.#ratePerSecond);
  }
}
