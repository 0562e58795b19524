/**
 * Flat memory for a window of a byte stream, addressed by stream offsets: what is sent and unacknowledged, or what
 * came out of order. Grows by doubling, gives everything back when released.
 * @module
 */

import { giveRing, takeRing } from './ring-memory.ts';

const MIN_CAPACITY_BYTES = 4096;
const NO_MEMORY = new Uint8Array(0);

export class ByteRing {
  #memory: Uint8Array = NO_MEMORY;

  get capacityBytes(): number {
    return this.#memory.byteLength;
  }

  /** Makes room for [base, end), keeping the bytes of [base, keepEnd). */
  reserve(base: number, keepEnd: number, end: number): void {
    const needed = end - base;
    const old = this.#memory;
    if (needed <= old.byteLength) return;
    let capacity = Math.max(MIN_CAPACITY_BYTES, old.byteLength);
    while (capacity < needed) capacity *= 2;
    this.#memory = takeRing(capacity);
    let at = base;
    while (at < keepEnd) {
      const from = at % old.byteLength;
      const length = Math.min(keepEnd - at, old.byteLength - from);
      this.write(at, old.subarray(from, from + length));
      at += length;
    }
    giveRing(old);
  }

  /** Stores `bytes` at stream offset `offset`; room must have been reserved. */
  write(offset: number, bytes: Uint8Array): void {
    const memory = this.#memory;
    const at = offset % memory.byteLength;
    const first = Math.min(bytes.byteLength, memory.byteLength - at);
    if (first === bytes.byteLength) {
      memory.set(bytes, at);
      return;
    }
    memory.set(bytes.subarray(0, first), at);
    memory.set(bytes.subarray(first), 0);
  }

  /** Copies `length` bytes from stream offset `offset` to `out` at `at`. */
  copyTo(offset: number, length: number, out: Uint8Array, at: number): void {
    const memory = this.#memory;
    const from = offset % memory.byteLength;
    const first = Math.min(length, memory.byteLength - from);
    out.set(memory.subarray(from, from + first), at);
    if (first < length) out.set(memory.subarray(0, length - first), at + first);
  }

  /** Gives the memory back. */
  release(): void {
    if (this.#memory.byteLength === 0) return;
    giveRing(this.#memory);
    this.#memory = NO_MEMORY;
  }
}
