/**
 * The sending half of a stream: bytes from the application until the peer has acknowledged them, with what is lost
 * and must go again.
 * @module
 */

import { RANGE_BYTES, RangeSet } from '../recovery/ranges.ts';
import { ByteRing } from './byte-ring.ts';

/** A piece of the stream to put into a DATA frame. */
export interface Piece {
  readonly offset: number;
  readonly length: number;
  readonly fin: boolean;
  /** Bytes that were never sent before: only these count against the peer's credit. */
  readonly newBytes: number;
}

type FinState = 'none' | 'queued' | 'sent' | 'acked';

/** Memory of an idle stream above which the ring is given back. */
const KEEP_IDLE_BYTES = 16 * 1024;

export class SendBuffer {
  readonly #ring = new ByteRing();
  /** Acknowledged bytes above `#base`. */
  readonly #acked = new RangeSet();
  readonly #lost = new RangeSet();
  /** Everything below is acknowledged. */
  #base = 0;
  /** The lowest byte never sent. */
  #next = 0;
  /** Where the next byte of the application goes. */
  #end = 0;
  #fin: FinState = 'none';
  #sealed = false;
  #aborted = false;

  /** Highest offset ever sent: the final size when the stream is reset now. */
  get sentBytes(): number {
    return this.#next;
  }

  /** Bytes kept because they, or earlier ones, were sent and are not acknowledged. */
  get retainedBytes(): number {
    return this.#next - this.#base;
  }

  get unsentBytes(): number {
    return this.#end - this.#next;
  }

  get lostBytes(): number {
    return this.#lost.covered;
  }

  /** Memory that it takes. */
  get memoryBytes(): number {
    return this.#ring.capacityBytes + RANGE_BYTES * (this.#acked.count + this.#lost.count);
  }

  /** Everything below is acknowledged, or given up. */
  get settledBytes(): number {
    return this.#base;
  }

  /** What waits to be sent, for the first time or again. */
  get queuedBytes(): number {
    return this.unsentBytes + this.lostBytes;
  }

  /** Whether the application can add nothing more. */
  get finished(): boolean {
    return this.#fin !== 'none' || this.#sealed;
  }

  /** Whether the peer has everything, FIN included. */
  get done(): boolean {
    return this.#fin === 'acked' && this.allAcked;
  }

  /** Whether the peer has every byte. */
  get allAcked(): boolean {
    return this.#base === this.#end;
  }

  write(bytes: Uint8Array): void {
    this.#ring.reserve(this.#base, this.#end, this.#end + bytes.byteLength);
    this.#ring.write(this.#end, bytes);
    this.#end += bytes.byteLength;
  }

  finish(): void {
    if (this.#fin === 'none') this.#fin = 'queued';
  }

  /** A RESET follows the bytes that are queued, in place of FIN. */
  seal(): void {
    this.#sealed = true;
    this.#fin = 'none';
  }

  /** As `seal`, without the bytes that were never sent. */
  truncate(): void {
    this.seal();
    this.#end = this.#next;
  }

  /** Drops everything: the peer discards it anyway. */
  abort(): void {
    this.#sealed = true;
    this.#aborted = true;
    this.#end = this.#next;
    this.#base = this.#next;
    this.#fin = 'none';
    this.#lost.clear();
    this.#acked.clear();
    this.#ring.release();
  }

  /** Whether `take` would return something, with credit up to offset `creditEnd`. */
  sendable(creditEnd: number): boolean {
    if (!this.#lost.empty) return true;
    if (this.#next < this.#end) return this.#next < creditEnd;
    return this.#fin === 'queued';
  }

  /** The next piece of at most `maxBytes`: first what was lost, then new bytes as far as credit reaches. */
  take(maxBytes: number, creditEnd: number): Piece | undefined {
    if (!this.#lost.empty) return this.#takeLost(maxBytes);
    const length = Math.max(0, Math.min(maxBytes, this.#end - this.#next, creditEnd - this.#next));
    const fin = this.#fin !== 'none' && this.#next + length === this.#end;
    if (length === 0 && !(fin && this.#fin === 'queued')) return undefined;
    const offset = this.#next;
    this.#next += length;
    if (fin) this.#fin = 'sent';
    return { offset, length, fin, newBytes: length };
  }

  #takeLost(maxBytes: number): Piece {
    const offset = this.#lost.startAt(0);
    const length = Math.min(maxBytes, this.#lost.endAt(0) - offset);
    this.#lost.remove(offset, offset + length);
    const fin = this.#fin !== 'none' && offset + length === this.#end;
    if (fin && this.#fin === 'queued') this.#fin = 'sent';
    return { offset, length, fin, newBytes: 0 };
  }

  copyTo(piece: { readonly offset: number; readonly length: number }, out: Uint8Array, at: number): void {
    if (piece.length > 0) this.#ring.copyTo(piece.offset, piece.length, out, at);
  }

  onAcked(offset: number, length: number, fin: boolean): void {
    if (this.#aborted) return;
    if (fin && !this.#sealed) this.#fin = 'acked';
    const start = Math.max(offset, this.#base);
    const end = offset + length;
    if (end <= start) return;
    this.#lost.remove(start, end);
    if (start > this.#base) {
      this.#acked.add(start, end);
      return;
    }
    this.#base = end;
    while (!this.#acked.empty && this.#acked.startAt(0) <= this.#base) {
      this.#base = Math.max(this.#base, this.#acked.shift() ?? 0);
    }
    if (this.#base === this.#end && this.#ring.capacityBytes > KEEP_IDLE_BYTES) this.#ring.release();
  }

  onLost(offset: number, length: number, fin: boolean): void {
    if (this.#aborted) return;
    if (fin && this.#fin === 'sent') this.#fin = 'queued';
    const start = Math.max(offset, this.#base);
    this.#acked.forEachGap(start, offset + length, (gapStart, gapEnd) => this.#lost.add(gapStart, gapEnd));
  }
}
