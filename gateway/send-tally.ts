/**
 * Whether a client sends what its class sends. The padding that it gets is paid for with that: else a frame a minute would
 * buy a stream.
 * @module
 */
import { laterMs, type MonotonicMs } from '../lib/core/units.ts';

/** A client must have sent this share of the frames of its class. */
export const PAID_SHARE = 0.5;
/** It is looked back this far. */
export const PAID_WINDOW_MS = 30_000;
/** Frames that a class sends within the window at least: of fewer, chance could take half. */
const LEAST_FRAMES = 200;
const SLICES = 30;

export class SendTally {
  readonly #slices = new Uint32Array(SLICES);
  readonly #sliceMs: number;
  #sinceMs: MonotonicMs;
  /** Number of the newest slice since `#sinceMs`. */
  #slice = 0;
  #sum = 0;

  constructor(
    readonly perSecond: number,
    nowMs: MonotonicMs,
  ) {
    this.#sliceMs = Math.max(PAID_WINDOW_MS, (1000 * LEAST_FRAMES) / Math.max(perSecond, 1e-3)) / SLICES;
    this.#sinceMs = nowMs;
  }

  /** A frame has come. */
  count(nowMs: MonotonicMs): void {
    this.#advance(nowMs);
    const at = this.#slice % SLICES;
    this.#slices[at] = (this.#slices[at] ?? 0) + 1;
    this.#sum += 1;
  }

  /** Whether it has begun to send: its share of one slice within the last two. */
  hasBegun(nowMs: MonotonicMs): boolean {
    this.#advance(nowMs);
    const before = this.#slice === 0 ? 0 : (this.#slices[(this.#slice - 1) % SLICES] ?? 0);
    return before + (this.#slices[this.#slice % SLICES] ?? 0) >= this.#share(this.#sliceMs);
  }

  /** Whether it has been here for the whole of the window, and has sent less than its share. */
  isSilent(nowMs: MonotonicMs): boolean {
    this.#advance(nowMs);
    if (nowMs - this.#sinceMs < SLICES * this.#sliceMs) return false;
    const oldestMs = laterMs(this.#sinceMs, (this.#slice - SLICES + 1) * this.#sliceMs);
    return this.#sum < this.#share(nowMs - oldestMs);
  }

  /** Forgets everything: nobody could look for a while. */
  restart(nowMs: MonotonicMs): void {
    this.#slices.fill(0);
    this.#sinceMs = nowMs;
    this.#slice = 0;
    this.#sum = 0;
  }

  #share(ms: number): number {
    return (PAID_SHARE * this.perSecond * ms) / 1000;
  }

  #advance(nowMs: MonotonicMs): void {
    const slice = Math.floor((nowMs - this.#sinceMs) / this.#sliceMs);
    const steps = Math.min(SLICES, slice - this.#slice);
    for (let i = 1; i <= steps; i++) {
      const at = (this.#slice + i) % SLICES;
      this.#sum -= this.#slices[at] ?? 0;
      this.#slices[at] = 0;
    }
    this.#slice = slice;
  }
}
