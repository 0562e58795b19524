/**
 * A timer in shared memory: one thread sets it, another does nothing but sleep to its deadline and fire. The sleeper has no event
 * loop to be late on, and no grain of a millisecond as `setTimeout` has.
 * @module
 */

import type { MessagePort } from 'node:worker_threads';
import { type MonotonicMs, NEVER_MS } from '../core/units.ts';

/** What the thread that sleeps (timer-thread.ts) is started with. */
export interface TimerThreadData {
  readonly memory: SharedArrayBuffer;
  readonly byteOffset: number;
  /** Fires here, with a message. */
  readonly port: MessagePort;
}

export class ThreadTimer {
  static readonly BYTES = 64;
  readonly #words: Int32Array;
  readonly #deadlineMs: Float64Array;

  constructor(memory: SharedArrayBuffer, byteOffset: number) {
    this.#words = new Int32Array(memory, byteOffset, 2);
    this.#deadlineMs = new Float64Array(memory, byteOffset + 8, 1);
  }

  /** Fires at this time of `monotonicMs` (NEVER_MS: not at all) instead of at the one set before. */
  set(deadlineMs: MonotonicMs): void {
    this.#deadlineMs[0] = deadlineMs;
    Atomics.add(this.#words, 0, 1);
    Atomics.notify(this.#words, 0);
  }

  /** Ends the thread that sleeps. */
  stop(): void {
    Atomics.store(this.#words, 1, 1);
    this.set(NEVER_MS);
  }

  /** The thread that sleeps: through one deadline after another, calling `fire` at each, until stopped. */
  run(nowMs: () => MonotonicMs, fire: () => void): void {
    for (;;) {
      // The count of settings first: when another follows, the wait below does not begin.
      const setting = Atomics.load(this.#words, 0);
      if (Atomics.load(this.#words, 1) !== 0) return;
      const waitMs = (this.#deadlineMs[0] || Number.POSITIVE_INFINITY) - nowMs(); // 0: nothing was set yet
      // Anything but a time-out means that it was set anew.
      if (waitMs > 0 && Atomics.wait(this.#words, 0, setting, waitMs) !== 'timed-out') continue;
      fire();
      Atomics.wait(this.#words, 0, setting);
    }
  }
}
