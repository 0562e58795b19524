/**
 * An alarm in shared memory: one thread sets it, another does nothing but sleep to it and ring. The sleeper has no event
 * loop to be late on, and no grain of a millisecond as `setTimeout` has.
 * @module
 */
import type { MessagePort } from 'node:worker_threads';

/** What the thread that sleeps (alarm-thread.ts) is given. */
export interface AlarmThreadData {
  readonly memory: SharedArrayBuffer;
  readonly byteOffset: number;
  /** Rings here, with a message. */
  readonly port: MessagePort;
}

export class Alarm {
  static readonly BYTES = 64;
  readonly #words: Int32Array;
  readonly #deadlineMs: Float64Array;

  constructor(memory: SharedArrayBuffer, byteOffset: number) {
    this.#words = new Int32Array(memory, byteOffset, 2);
    this.#deadlineMs = new Float64Array(memory, byteOffset + 8, 1);
  }

  /** Wake me at this time of `monotonicMs` (Infinity: not at all), and forget earlier orders. */
  set(deadlineMs: number): void {
    this.#deadlineMs[0] = deadlineMs;
    Atomics.add(this.#words, 0, 1);
    Atomics.notify(this.#words, 0);
  }

  /** Ends the thread that sleeps. */
  stop(): void {
    Atomics.store(this.#words, 1, 1);
    this.set(Number.POSITIVE_INFINITY);
  }

  /** The thread that sleeps: through one order after another, calling `ring` at each deadline, until stopped. */
  run(nowMs: () => number, ring: () => void): void {
    for (;;) {
      // The order first: whatever changes behind it, the wait below does not begin.
      const order = Atomics.load(this.#words, 0);
      if (Atomics.load(this.#words, 1) !== 0) return;
      const waitMs = (this.#deadlineMs[0] || Number.POSITIVE_INFINITY) - nowMs(); // 0: nothing was ordered yet
      // Anything but a time-out means that there is a new order.
      if (waitMs > 0 && Atomics.wait(this.#words, 0, order, waitMs) !== 'timed-out') continue;
      ring();
      Atomics.wait(this.#words, 0, order);
    }
  }
}
