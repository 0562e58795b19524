/**
 * The credit of a session as a whole, both ways, and the bytes it makes each side keep.
 * @module
 */
import { ReceiveWindow } from './flow.ts';
import { INITIAL_SESSION_WINDOW_BYTES } from './limits.ts';
import type { SessionLimits } from './types.ts';

export class SessionFlow {
  readonly #window: ReceiveWindow;
  #peerLimit = INITIAL_SESSION_WINDOW_BYTES;
  #sentNewBytes = 0;
  #receivedBytes = 0;
  #queuedBytes = 0;
  #retainedBytes = 0;
  /** The peer should hear of new credit (MAX_DATA). */
  creditOwed = false;

  constructor(
    private readonly limits: SessionLimits,
    nowMs: number,
  ) {
    this.#window = new ReceiveWindow(limits.sessionWindowBytes, limits.maxSessionWindowBytes, nowMs);
  }

  // ---- sending

  /** Bytes that may be sent for the first time: the peer's credit, within our own bound on what is kept for it. */
  get credit(): number {
    return Math.min(this.#peerLimit - this.#sentNewBytes, this.limits.maxSessionWindowBytes - this.#retainedBytes);
  }

  /** Bytes of all streams that wait to be sent, for the first time or again. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  onSent(newBytes: number): void {
    this.#sentNewBytes += newBytes;
  }

  /** Sets the peer's first limit. */
  begin(limit: number): void {
    this.#peerLimit = limit;
  }

  /** Raises the peer's limit; false when it knew better already. */
  raise(limit: number): boolean {
    if (limit <= this.#peerLimit) return false;
    this.#peerLimit = limit;
    return true;
  }

  /** What the streams queue and keep changed. True when our own bound held them back and does so less now. */
  queuedChanged(deltaQueued: number, deltaRetained: number): boolean {
    const wasFull = this.#retainedBytes >= this.limits.maxSessionWindowBytes;
    this.#queuedBytes += deltaQueued;
    this.#retainedBytes += deltaRetained;
    return wasFull && deltaRetained < 0;
  }

  // ---- receiving

  /** What to tell the peer in MAX_DATA. */
  get limit(): number {
    return this.#window.limit;
  }

  /** Bytes of the peer that were neither consumed nor given up: what its streams keep in memory here, at most. */
  get unreadBytes(): number {
    return this.#receivedBytes - this.#window.consumed;
  }

  /** Counts bytes beyond the highest of a stream. False when the peer went beyond its credit. */
  onReceived(bytes: number): boolean {
    this.#receivedBytes += bytes;
    return this.#receivedBytes <= this.#window.limit;
  }

  consume(bytes: number, roundMs: number, nowMs: number): void {
    if (this.#window.consume(bytes, roundMs, nowMs)) this.creditOwed = true;
  }

  /** A stream's window grew: leaves room for two such, so that one that is not read does not stop the other. */
  onStreamWindow(windowBytes: number): void {
    if (2 * windowBytes <= this.#window.windowBytes) return;
    if (this.#window.widen(2 * windowBytes)) this.creditOwed = true;
  }
}
