/**
 * The closing state of the proxy's end (RFC 9000 section 10.2.1): CLOSE is sent a few times, half a round apart, unless the
 * requester answers. Then, and in any case after a while, the session is closed.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';

const MAX_CLOSES = 3;
const CLOSING_LIMIT_MS = 10_000;

export class Closing {
  #sinceMs: MonotonicMs | undefined;
  #sent = 0;
  #nextMs = 0;

  begin(nowMs: MonotonicMs): void {
    this.#sinceMs = nowMs;
    this.#nextMs = nowMs;
  }

  get begun(): boolean {
    return this.#sinceMs !== undefined;
  }

  /** Whether to send CLOSE now. */
  due(nowMs: MonotonicMs): boolean {
    return this.begun && this.#sent < MAX_CLOSES && nowMs >= this.#nextMs;
  }

  onSent(roundMs: number, nowMs: MonotonicMs): void {
    this.#sent++;
    this.#nextMs = nowMs + roundMs / 2;
  }

  /** Nothing more is sent or waited for. */
  over(nowMs: MonotonicMs): boolean {
    if (this.#sinceMs === undefined) return false;
    const sentOften = this.#sent >= MAX_CLOSES && nowMs >= this.#nextMs;
    return sentOften || nowMs - this.#sinceMs >= CLOSING_LIMIT_MS;
  }
}
