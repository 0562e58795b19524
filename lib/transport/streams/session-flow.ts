/**
 * The credit of a session as a whole (RFC 9000 section 4), both ways, and the memory that it costs each side.
 *
 * What an application does not read must never use up what other streams need. So the limit of the session is the sum of the
 * limits of its streams, and an allowance for streams that are not known here yet: it never holds back a stream that has
 * credit of its own. Memory is bounded where the credit of streams is granted. Each stream has a least window, whatever the
 * others do. What windows are wider than that comes out of one budget per session, of which a stream gets at most a share of
 * what is free (dynamic thresholds: Choudhury and Hahne, 1998): the more is parked in streams that nobody reads, the narrower
 * are the windows of the rest.
 * @module
 */

import { INITIAL_SESSION_WINDOW_BYTES } from '../limits.ts';
import type { LossClock } from '../recovery/loss-clock.ts';
import type { SessionMemory } from '../session-memory.ts';
import type { SessionLimits } from '../types.ts';

/** A window gets at most this share of the budget that is free. */
const WINDOW_SHARE = 1 / 4;

/** What a stream counts for. */
export interface StreamCredit {
  /** Bytes that the peer may send on it, from the first. */
  readonly limit: number;
  /** Bytes of those that are, or can come to be, in memory here. */
  readonly heldBytes: number;
}

export const NO_CREDIT: StreamCredit = { limit: 0, heldBytes: 0 };

export class SessionFlow {
  #peerLimit = INITIAL_SESSION_WINDOW_BYTES;
  #sentNewBytes = 0;
  #queuedBytes = 0;
  #retainedBytes = 0;
  #limit: number;
  #receivedBytes = 0;
  #consumedBytes = 0;
  /** Sum of the limits of all streams there ever were. */
  #streamLimits = 0;
  /** Sum of what their credit can bring into memory … */
  #heldBytes = 0;
  /** … and of the parts of it beyond the least window of each. */
  #budgetUsed = 0;
  /** The peer should learn of new credit (MAX_DATA). */
  creditOwed = false;

  constructor(
    private readonly limits: SessionLimits,
    private readonly clock: LossClock,
    /** Undefined where memory is not counted. */
    readonly memory?: SessionMemory,
  ) {
    this.#limit = limits.sessionWindowBytes;
  }

  /** A time in which an answer to something sent now should have come. */
  get roundMs(): number {
    return this.clock.thresholdMs;
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

  /** Takes MAX_DATA: the highest limit holds. */
  raise(limit: number): void {
    this.#peerLimit = Math.max(this.#peerLimit, limit);
  }

  /** Bytes of streams that wait to be sent, or are kept until acknowledged, changed. */
  queuedChanged(deltaQueued: number, deltaRetained: number): void {
    this.#queuedBytes += deltaQueued;
    this.#retainedBytes += deltaRetained;
  }

  // ---- receiving

  /** The limit for MAX_DATA. */
  get limit(): number {
    return this.#limit;
  }

  /** Bytes of the peer that were neither consumed nor discarded: what its streams keep in memory here, at most. */
  get unreadBytes(): number {
    return this.#receivedBytes - this.#consumedBytes;
  }

  /** Bytes that the streams keep no longer. */
  get consumedBytes(): number {
    return this.#consumedBytes;
  }

  /** Whether there is memory for the least window of one more stream, here and in the process. */
  get hasSpace(): boolean {
    const { maxStreams, minStreamWindowBytes, maxSessionWindowBytes } = this.limits;
    const most = maxStreams * minStreamWindowBytes + maxSessionWindowBytes;
    return this.#heldBytes + minStreamWindowBytes <= most && this.memory?.admitsStream !== false;
  }

  /** Counts bytes beyond the highest of a stream. False when the peer went beyond its credit. */
  onReceived(bytes: number): boolean {
    this.#receivedBytes += bytes;
    return this.#receivedBytes <= this.#limit;
  }

  /** The application has consumed bytes, or they were discarded. */
  onConsumed(bytes: number): void {
    this.#consumedBytes += bytes;
  }

  /** How wide the window of a stream may be that counts for `credit` now. */
  allowedWindowBytes(credit: StreamCredit): number {
    const { minStreamWindowBytes, maxSessionWindowBytes } = this.limits;
    const free = maxSessionWindowBytes - this.#budgetUsed + this.#beyondLeast(credit);
    return minStreamWindowBytes + Math.max(0, free * WINDOW_SHARE);
  }

  /** A stream counts for something else than before. */
  creditChanged(before: StreamCredit, after: StreamCredit): void {
    this.#streamLimits += after.limit - before.limit;
    this.#heldBytes += after.heldBytes - before.heldBytes;
    this.#budgetUsed += this.#beyondLeast(after) - this.#beyondLeast(before);
    const limit = this.#streamLimits + this.limits.sessionWindowBytes;
    if (limit - this.#limit < this.limits.sessionWindowBytes / 2) return;
    this.#limit = limit;
    this.creditOwed = true;
  }

  #beyondLeast({ heldBytes }: StreamCredit): number {
    return Math.max(0, heldBytes - this.limits.minStreamWindowBytes);
  }
}
