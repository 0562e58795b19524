/**
 * The proxy's end of a session that it gives up: CLOSE is said a few times, half a round apart, unless the requester
 * answers, and then it is over; and in any case after a while.
 * @module
 */

const MAX_GOODBYES = 3;
const GOODBYE_LIMIT_MS = 10_000;

export class Goodbye {
  #sinceMs: number | undefined;
  #said = 0;
  #nextMs = 0;

  begin(nowMs: number): void {
    this.#sinceMs = nowMs;
    this.#nextMs = nowMs;
  }

  get begun(): boolean {
    return this.#sinceMs !== undefined;
  }

  /** Whether to say it now. */
  due(nowMs: number): boolean {
    return this.begun && this.#said < MAX_GOODBYES && nowMs >= this.#nextMs;
  }

  onSaid(roundMs: number, nowMs: number): void {
    this.#said++;
    this.#nextMs = nowMs + roundMs / 2;
  }

  /** Nothing more is said or waited for. */
  over(nowMs: number): boolean {
    if (this.#sinceMs === undefined) return false;
    const saidOften = this.#said >= MAX_GOODBYES && nowMs >= this.#nextMs;
    return saidOften || nowMs - this.#sinceMs >= GOODBYE_LIMIT_MS;
  }
}
