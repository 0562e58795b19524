/**
 * The receiving half of a stream: puts bytes back in order. In-order bytes pass through as views; the rest waits in
 * one flat ring, so that memory is the window and not a multiple of it, however small the pieces are.
 * @module
 */

import { MAX_DELIVERED_BYTES, MAX_HELD_RANGES } from '../limits.ts';
import { RANGE_BYTES, RangeSet } from '../recovery/ranges.ts';
import { ByteRing } from './byte-ring.ts';

/** Views smaller than this are copied, so that a few bytes do not keep a whole packet in memory. */
const COPY_BELOW_BYTES = 512;

export type ReceiveFault = 'final-size' | 'ranges';

export class ReceiveBuffer {
  readonly #ring = new ByteRing();
  readonly #held = new RangeSet();
  #next = 0;
  #highest = 0;
  #finalSize: number | undefined;
  #discarding = false;

  /** Offset of the next byte to deliver. */
  get deliveredBytes(): number {
    return this.#next;
  }

  /** End of the highest byte that came. */
  get highestBytes(): number {
    return this.#highest;
  }

  /** Bytes that came and wait for earlier ones or for the application. */
  get heldBytes(): number {
    return this.#discarding ? 0 : this.#held.covered;
  }

  /** Memory that it takes. */
  get memoryBytes(): number {
    return this.#ring.capacityBytes + RANGE_BYTES * this.#held.count;
  }

  get finalSize(): number | undefined {
    return this.#finalSize;
  }

  /** Everything up to the final size was delivered (or discarded). */
  get complete(): boolean {
    return this.#next === this.#finalSize;
  }

  /**
   * Takes a piece. With `deliverNow`, returns the bytes to hand on at once when they are next in order; `drain` gives
   * what became deliverable behind them.
   */
  receive(offset: number, bytes: Uint8Array, fin: boolean, deliverNow: boolean): Uint8Array | ReceiveFault | undefined {
    const end = offset + bytes.byteLength;
    if (!this.#finalSizeHolds(end, fin)) return 'final-size';
    if (fin) this.#finalSize = end;
    if (end > this.#highest) this.#highest = end;
    if (end <= this.#next) return undefined;
    const skip = Math.max(0, this.#next - offset);
    const fresh = skip === 0 ? bytes : bytes.subarray(skip);
    const start = offset + skip;
    if (this.#discarding) {
      this.#held.add(start, end);
      this.#advanceDiscarding();
      return this.#held.count > MAX_HELD_RANGES ? 'ranges' : undefined;
    }
    if (deliverNow && start === this.#next && (this.#held.empty || this.#held.startAt(0) >= end)) {
      this.#next = end;
      return fresh.byteLength < COPY_BELOW_BYTES ? new Uint8Array(fresh) : fresh; // a Buffer's slice is no copy
    }
    this.#ring.reserve(this.#next, this.#held.empty ? this.#next : this.#held.endAt(this.#held.count - 1), end);
    this.#ring.write(start, fresh);
    this.#held.add(start, end);
    return this.#held.count > MAX_HELD_RANGES ? 'ranges' : undefined;
  }

  /** Fixes the final size (RESET). False when it contradicts what came before. */
  finish(finalSize: number): boolean {
    if (finalSize < this.#highest || (this.#finalSize !== undefined && this.#finalSize !== finalSize)) return false;
    this.#finalSize = finalSize;
    this.#highest = finalSize;
    return true;
  }

  /** The next run of held bytes that is in order, at most MAX_DELIVERED_BYTES of it. */
  drain(): Uint8Array | undefined {
    if (this.#held.empty || this.#discarding || this.#held.startAt(0) > this.#next) return undefined;
    const end = Math.min(this.#held.endAt(0), this.#next + MAX_DELIVERED_BYTES);
    const bytes = new Uint8Array(end - this.#next);
    this.#ring.copyTo(this.#next, bytes.byteLength, bytes, 0);
    this.#held.remove(this.#next, end);
    this.#next = end;
    if (this.#held.empty) this.#ring.release();
    return bytes;
  }

  /** From now on only counts: the application wants no more bytes. */
  discard(): void {
    this.#discarding = true;
    this.#ring.release();
    this.#advanceDiscarding();
  }

  /** Nothing more comes, or counts. */
  end(): void {
    this.discard();
    this.#held.clear();
  }

  #advanceDiscarding(): void {
    while (!this.#held.empty && this.#held.startAt(0) <= this.#next) this.#next = this.#held.shift() ?? this.#next;
  }

  #finalSizeHolds(end: number, fin: boolean): boolean {
    if (this.#finalSize === undefined) return !fin || end >= this.#highest;
    return fin ? end === this.#finalSize : end <= this.#finalSize;
  }
}
