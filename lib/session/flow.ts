/**
 * Credit-based flow control (RFC 9000 section 4): the receiver says up to which offset the sender may go, and grows
 * its window while the window, and not the application, is what holds the sender back.
 * @module
 */

export class ReceiveWindow {
  #windowBytes: number;
  #limit: number;
  #consumed = 0;
  #updateMs: number;

  constructor(
    initialBytes: number,
    private readonly maxBytes: number,
    nowMs: number,
  ) {
    this.#windowBytes = initialBytes;
    this.#limit = initialBytes;
    this.#updateMs = nowMs;
  }

  /** The highest offset that the sender may use. */
  get limit(): number {
    return this.#limit;
  }

  get windowBytes(): number {
    return this.#windowBytes;
  }

  get consumed(): number {
    return this.#consumed;
  }

  /**
   * Counts bytes that the application is done with. True when the sender should hear of new credit: it has less than
   * half a window left.
   * If that took less than two rounds, the window was too small for the path, and doubles (the rule of Google's QUIC).
   */
  consume(bytes: number, roundMs: number, nowMs: number): boolean {
    this.#consumed += bytes;
    if (this.#limit - this.#consumed > this.#windowBytes / 2) return false;
    const fast = nowMs - this.#updateMs < 2 * roundMs;
    if (fast) this.widen(2 * this.#windowBytes);
    this.#updateMs = nowMs;
    this.#limit = Math.max(this.#limit, this.#consumed + this.#windowBytes);
    return true;
  }

  /** Lets the window grow to `windowBytes`, within its bound. True when that gives new credit at once. */
  widen(windowBytes: number): boolean {
    this.#windowBytes = Math.max(this.#windowBytes, Math.min(windowBytes, this.maxBytes));
    const limit = this.#consumed + this.#windowBytes;
    if (limit <= this.#limit) return false;
    this.#limit = limit;
    return true;
  }

  /**
   * The sender got as far as `highest` while bytes are missing: when it has nearly used its credit up, it will soon
   * have nothing to do but to repair, so the window doubles. True when there is new credit.
   */
  onReached(highest: number): boolean {
    if (this.#limit - highest > this.#windowBytes / 4) return false;
    return this.widen(2 * this.#windowBytes);
  }
}
