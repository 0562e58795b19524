/**
 * A Poisson clock as a state machine: exponential gaps, deadlines that do not drift.
 * @module
 */
import { exponential, type Rng } from '../rng.ts';

/** Further behind than this (sleep, suspend) a clock starts afresh, which the memoryless law allows, instead of bursting. */
export const MAX_BEHIND_MS = 100;

export class PoissonClock {
  #nextMs: number;

  constructor(
    readonly rng: Rng,
    private ratePerSecond: number,
    nowMs: number,
  ) {
    this.#nextMs = nowMs + this.#gapMs();
  }

  /** When the next event is due; Infinity at rate 0. */
  get nextDueMs(): number {
    return this.#nextMs;
  }

  setRate(ratePerSecond: number, nowMs: number): void {
    if (ratePerSecond === this.ratePerSecond) return;
    this.ratePerSecond = ratePerSecond;
    this.#nextMs = nowMs + this.#gapMs();
  }

  /** How many events fell due up to `nowMs`. */
  take(nowMs: number): number {
    if (nowMs - this.#nextMs > MAX_BEHIND_MS) {
      this.#nextMs = nowMs + this.#gapMs();
      return 1;
    }
    let due = 0;
    while (this.#nextMs <= nowMs) {
      this.#nextMs += this.#gapMs();
      due += 1;
    }
    return due;
  }

  #gapMs(): number {
    return this.ratePerSecond > 0 ? exponential(this.rng, 1000 / this.ratePerSecond) : Number.POSITIVE_INFINITY;
  }
}
