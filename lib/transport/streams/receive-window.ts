/**
 * The receive window of a stream (RFC 9000 section 4): the receiver grants credit up to an offset, and lets the window grow
 * while the window, and not the application, is what holds the sender back. How much may be granted at all is up to the
 * session (session-flow.ts).
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';

export class ReceiveWindow {
  #windowBytes: number;
  #limit: number;
  #consumed = 0;
  #updateMs: number;

  constructor(
    initialBytes: number,
    private readonly maxBytes: number,
    nowMs: MonotonicMs,
  ) {
    this.#windowBytes = initialBytes;
    this.#limit = initialBytes;
    this.#updateMs = nowMs;
  }

  /** The highest offset that the sender may use. */
  get limit(): number {
    return this.#limit;
  }

  /** What the window would be if the session had memory for it. */
  get windowBytes(): number {
    return this.#windowBytes;
  }

  /**
   * Counts bytes that the application is done with. True when there is new credit, of which the sender should learn: it has
   * less than half a window left.
   * If that took less than two rounds, the window was too small for the path, and doubles (the rule of Google's QUIC).
   */
  consume(bytes: number, roundMs: number, nowMs: MonotonicMs, allowedBytes: number): boolean {
    this.#consumed += bytes;
    const halfBytes = Math.min(this.#windowBytes, allowedBytes) / 2;
    if (this.#limit - this.#consumed > halfBytes) return false;
    const fast = nowMs - this.#updateMs < 2 * roundMs;
    this.#updateMs = nowMs;
    return this.widen(fast ? 2 * this.#windowBytes : 0, allowedBytes);
  }

  /** Lets the window grow to `windowBytes`, within its bound. True when there is new credit. */
  widen(windowBytes: number, allowedBytes: number): boolean {
    this.#windowBytes = Math.max(this.#windowBytes, Math.min(windowBytes, this.maxBytes));
    const limit = Math.floor(this.#consumed + Math.min(this.#windowBytes, allowedBytes));
    if (limit <= this.#limit) return false;
    this.#limit = limit;
    return true;
  }

  /**
   * The sender got as far as `highest` while bytes are missing: when it has nearly used its credit up, it will soon
   * have nothing to do but to repair, so the window doubles. True when there is new credit.
   */
  onReached(highest: number, allowedBytes: number): boolean {
    if (this.#limit - highest > this.#windowBytes / 4) return false;
    return this.widen(2 * this.#windowBytes, allowedBytes);
  }
}
