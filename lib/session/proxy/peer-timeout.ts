/**
 * When the requester's silence counts: the proxy sends PING, knows for how long an answer is overdue, and in the end gives
 * the requester up. In steady mode replies come all the time, so every silence counts; in burst mode only one that follows
 * something which asks for an acknowledgement. Times are time awake: a machine that sleeps receives nothing.
 * @module
 */
import { laterMs, type MonotonicMs } from '../../core/units.ts';
import type { SessionEnd } from '../../transport/session-end.ts';
import type { Downlink } from '../../transport/types.ts';

/** Silence is checked this often. */
const CHECK_MS = 250;
/** PINGs come ever more rarely, but not more than this. */
const MAX_PING_MS = 30_000;
/** Replies are random: one that is missing for this many rounds is overdue. */
const ROUNDS_BEFORE_OVERDUE = 2;

export class PeerTimeout {
  #dueMs: MonotonicMs;
  #pingMs: number;

  /** With streams open, the first PING is sent after a silence of `firstPingMs`. */
  constructor(
    private readonly end: SessionEnd,
    private readonly downlink: Downlink,
    private readonly firstPingMs: number,
    nowMs: MonotonicMs,
  ) {
    this.#pingMs = firstPingMs;
    this.#dueMs = laterMs(nowMs, CHECK_MS);
  }

  /** When `check` is to be called next. */
  get dueMs(): MonotonicMs {
    return this.#dueMs;
  }

  /** A packet was received, or the requester is needed again: the next PING is sent as soon as the first. */
  reset(): void {
    this.#pingMs = this.firstPingMs;
  }

  /** For how long something has been missing that should have come. */
  get overdueMs(): number {
    return Math.max(0, this.#countedMs - ROUNDS_BEFORE_OVERDUE * this.end.roundMs);
  }

  /** What to do about the silence now. */
  check(nowMs: MonotonicMs): 'wait' | 'ping' | 'give up' {
    this.#dueMs = laterMs(nowMs, CHECK_MS);
    const { silentMs, unansweredMs, limits, streams } = this.end;
    if (this.#countedMs >= limits.deadPeerMs) return 'give up';
    if (silentMs < this.#pingMs || (streams.size === 0 && unansweredMs === 0)) return 'wait';
    this.#pingMs = silentMs + Math.min(MAX_PING_MS, silentMs);
    return 'ping';
  }

  /** The part of the silence that counts. */
  get #countedMs(): number {
    return this.downlink === 'steady' ? this.end.silentMs : this.end.unansweredMs;
  }
}
