/**
 * When packets leave a mix: at the first tick of a grid after their delay. What leaves in one tick leaves in random order, so that
 * an observer learns the tick and no more. A delay rounded up to a grid is geometric where it was exponential: it has no memory
 * either, so mixing is the same, and a mix needs no clock that is more precise than the grid.
 * @module
 */
import type { Rng } from '../core/rng.ts';
import type { MonotonicMs } from '../core/units.ts';

/** Between two ticks. It adds half of this to the mean time in a mix. */
export const TICK_MS = 2;

export class DepartureTicks {
  /** No process has its ticks where another has: nothing is learned from where in a tick a packet came. */
  readonly #phaseMs: number;
  /** Number of the last tick that has been. */
  #last = Number.NEGATIVE_INFINITY;

  constructor(readonly rng: Rng) {
    this.#phaseMs = rng.uniform() * TICK_MS;
  }

  /** The first tick at `dueMs` or after it that has not been yet. */
  at(dueMs: MonotonicMs): MonotonicMs {
    const tick = Math.max(Math.ceil((dueMs - this.#phaseMs) / TICK_MS), this.#last + 1);
    return (this.#phaseMs + tick * TICK_MS) as MonotonicMs;
  }

  /** All ticks until `nowMs` have been: what comes from now on waits for the next. */
  passed(nowMs: MonotonicMs): void {
    this.#last = Math.max(this.#last, Math.floor((nowMs - this.#phaseMs) / TICK_MS));
  }

  /** Puts what leaves together in random order (Fisher and Yates). */
  shuffle<T>(leaving: T[]): T[] {
    for (let i = leaving.length - 1; i > 0; i--) {
      const j = this.rng.int(i + 1);
      [leaving[i], leaving[j]] = [leaving[j] as T, leaving[i] as T];
    }
    return leaving;
  }
}
