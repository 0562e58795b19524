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
   *
   * The window doubles when it was too small for the path: when half of it went in less than two rounds (the rule of
   * Google's QUIC), or when much of it is taken by bytes that wait for a lost one (`waitingBytes`), since then the
   * sender runs out of credit while it repairs.
   */
  consume(bytes: number, waitingBytes: number, roundMs: number, nowMs: number): boolean {
    this.#consumed += bytes;
    if (this.#limit - this.#consumed > this.#windowBytes / 2) return false;
    const fast = nowMs - this.#updateMs < 2 * roundMs;
    if (fast || waitingBytes > this.#windowBytes / 4) this.widen(2 * this.#windowBytes);
    this.#updateMs = nowMs;
    this.#limit = Math.max(this.#limit, this.#consumed + this.#windowBytes);
    return true;
  }

  /** Lets the window grow to `windowBytes`, within its bound; takes effect with the next update. */
  widen(windowBytes: number): void {
    this.#windowBytes = Math.max(this.#windowBytes, Math.min(windowBytes, this.maxBytes));
  }
}
