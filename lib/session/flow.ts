/**
 * Credit-based flow control (RFC 9000 section 4): the receiver says up to which offset the sender may go, and grows
 * its window while the window, and not the application, is what holds the sender back.
 * @module
 */

export class ReceiveWindow {
  #windowBytes: number;
  #limit: number;
  #consumed = 0;
  #updateConsumed = 0;
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
   * Counts bytes that the application is done with. True when the sender should hear of new credit: half a window
   * has gone. If that took less than two rounds the window was too small for the path, and is doubled (the rule of
   * Google's QUIC).
   */
  consume(bytes: number, roundMs: number, nowMs: number): boolean {
    this.#consumed += bytes;
    if (this.#consumed - this.#updateConsumed < this.#windowBytes / 2) return false;
    if (nowMs - this.#updateMs < 2 * roundMs) this.widen(2 * this.#windowBytes);
    this.#updateConsumed = this.#consumed;
    this.#updateMs = nowMs;
    this.#limit = Math.max(this.#limit, this.#consumed + this.#windowBytes);
    return true;
  }

  /** Lets the window grow to `windowBytes`, within its bound; takes effect with the next update. */
  widen(windowBytes: number): void {
    this.#windowBytes = Math.max(this.#windowBytes, Math.min(windowBytes, this.maxBytes));
  }
}
