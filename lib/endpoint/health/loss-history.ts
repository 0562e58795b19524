/**
 * How many of a client's loops were lost lately, over all routes alike: what ways through the network lose. Unlike the evidence
 * of path health nothing is taken out of it when a node is excluded or comes back.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';
import type { LossTally } from './loop-evidence.ts';
import { LONGEST_WINDOW_MS } from './thresholds.ts';

interface Slice extends LossTally {
  readonly beginsMs: number;
}

const SLICE_MS = 5_000;

export class LossHistory {
  #slices: Slice[] = [];

  add(returned: boolean, nowMs: MonotonicMs): void {
    let slice = this.#slices.at(-1);
    if (slice === undefined || nowMs - slice.beginsMs >= SLICE_MS) {
      slice = { beginsMs: nowMs, seen: 0, lost: 0 };
      this.#slices.push(slice);
      const oldestMs = nowMs - LONGEST_WINDOW_MS - SLICE_MS;
      if ((this.#slices[0] as Slice).beginsMs < oldestMs) this.#slices.shift();
    }
    slice.seen += 1;
    if (!returned) slice.lost += 1;
  }

  /** Loops decided in the last `windowMs`, in whole slices. */
  over(windowMs: number, nowMs: MonotonicMs): LossTally {
    const sum = { seen: 0, lost: 0 };
    for (let i = this.#slices.length - 1; i >= 0; i--) {
      const slice = this.#slices[i] as Slice;
      if (slice.beginsMs + SLICE_MS <= nowMs - windowMs) break;
      sum.seen += slice.seen;
      sum.lost += slice.lost;
    }
    return sum;
  }
}
