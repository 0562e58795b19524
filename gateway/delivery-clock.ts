/**
 * The clock by which a gateway delivers to one client: ticks of a fixed period, whatever waits. A fixed period halves the wait
 * of a Poisson clock, and tells nothing, since departures do not depend on what arrives.
 * @module
 */
import { laterMs, type MonotonicMs } from '../lib/core/units.ts';

/** Ticks missed for less than this are caught up with; what is older is skipped. */
export const CATCH_UP_MS = 100;
/** A queue holds what the clock delivers in this time. */
export const QUEUE_MS = 500;

export class DeliveryClock {
  #periodMs: number;
  #dueMs: MonotonicMs;

  /** Ticks `perSecond` times a second (above 0); the first tick comes `phase` (0 to 1) of a period from now. */
  constructor(perSecond: number, phase: number, nowMs: MonotonicMs) {
    this.#periodMs = 1000 / perSecond;
    this.#dueMs = laterMs(nowMs, phase * this.#periodMs);
  }

  get dueMs(): MonotonicMs {
    return this.#dueMs;
  }

  /** How many ticks are to be served now; those that were missed for too long are not among them. */
  ticks(nowMs: MonotonicMs): number {
    if (nowMs < this.#dueMs) return 0;
    const passed = Math.floor((nowMs - this.#dueMs) / this.#periodMs) + 1;
    const within = Math.floor(CATCH_UP_MS / this.#periodMs) + 1;
    this.#dueMs = laterMs(this.#dueMs, passed * this.#periodMs);
    return Math.min(passed, within);
  }

  /** Another rate, from the next tick on. */
  setRate(perSecond: number, nowMs: MonotonicMs): void {
    const share = Math.max(0, this.#dueMs - nowMs) / this.#periodMs;
    this.#periodMs = 1000 / perSecond;
    this.#dueMs = laterMs(nowMs, share * this.#periodMs);
  }
}

/** Packets that may wait for a clock of this rate. */
export function queueBound(perSecond: number): number {
  return Math.max(1, Math.ceil((perSecond * QUEUE_MS) / 1000));
}
