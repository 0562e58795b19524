/**
 * One Poisson clock: a state machine that is told the time. Deadlines follow from each other and not from when they
 * were served, so that lateness never changes the law; a clock that was not served for long (sleep, suspend) starts
 * afresh, which the law does not notice because it has no memory.
 * @module
 */
import { exponential, type Rng } from '../../rng.ts';

/** Further behind than this, a clock starts afresh instead of catching up in a burst. */
export const RESTART_BEHIND_MS = 100;
const MS_PER_SECOND = 1000;

export class PoissonClock {
  #deadlineMs = Number.POSITIVE_INFINITY;
  #ratePerSecond = 0;
  #lateMs = 0;
  #restarts = 0;

  constructor(
    readonly rng: Rng,
    ratePerSecond: number,
    nowMs: number,
  ) {
    this.setRate(ratePerSecond, nowMs);
  }

  /** When the next tick is due; Infinity while the rate is 0. */
  get deadlineMs(): number {
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
  setRate(ratePerSecond: number, nowMs: number): void {
    if (ratePerSecond === this.#ratePerSecond) return;
    this.#ratePerSecond = ratePerSecond;
    this.#deadlineMs = ratePerSecond > 0 ? nowMs + this.#sampleMs() : Number.POSITIVE_INFINITY;
  }

  /** Whether a tick is due; if so the clock has moved on to the next. Call until false. */
  tick(nowMs: number): boolean {
    const lateMs = nowMs - this.#deadlineMs;
    if (lateMs < 0) return false;
    if (lateMs > RESTART_BEHIND_MS) {
      this.#restarts += 1;
      this.#deadlineMs = nowMs + this.#sampleMs();
      return false;
    }
    this.#lateMs = lateMs;
    this.#deadlineMs += this.#sampleMs();
    return true;
  }

  #sampleMs(): number {
    return exponential(this.rng, MS_PER_SECOND / this.#ratePerSecond);
  }
}
