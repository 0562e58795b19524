/**
 * Whether the requester of a session sends more replies than it was asked for. Whoever does fills the queue at the client's
 * gateway, where the client's own loops and the replies of others are lost then. Replies that came are counted, and the blocks that
 * the requester says it has used: what it sent beyond the gateway's clock never comes, but it cannot use blocks for long without
 * saying so, as it gets no new ones then.
 *
 * Only arrivals are seen, and a link that stalls delivers late, all at once, what was sent in time. So what was missing in the minute
 * before may come on top. A requester that saves replies up gains as much, once a minute.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';

/** A requester may send so many times what it was asked for. */
export const TOLERATED_EXCESS = 1.3;
/** Over this time, or since the last reply before it. */
const WINDOW_MS = 10_000;
/** Replies that had not come in so long before are late; more of them are not allowed for. */
export const LATE_MS = 60_000;
const SAMPLE_MS = 1_000;
/** A requester may not know yet that it is asked for less. */
const RATE_GRACE_MS = 30_000;
/** Of these the highest counts; of more the lowest are forgotten. */
const MAX_RATES = 64;
/** Of few replies chance makes more: standard deviations of a Poisson clock, and replies under way. */
const DEVIATIONS = 6;
const SPARED_REPLIES = 10;

interface Sample {
  readonly atMs: MonotonicMs;
  readonly seen: number;
  readonly used: number;
  /** Replies asked for so far. */
  readonly asked: number;
}

export class ReplyExcess {
  /** Rates asked for lately, and when each was replaced. */
  #rates: { readonly perSecond: number; untilMs: number }[];
  #samples: Sample[];

  /** `perSecond`: replies asked for. `lateMs`: only a test takes another. */
  constructor(
    perSecond: number,
    nowMs: MonotonicMs,
    readonly lateMs = LATE_MS,
  ) {
    this.#rates = [{ perSecond, untilMs: Number.POSITIVE_INFINITY }];
    this.#samples = [{ atMs: nowMs, seen: 0, used: 0, asked: 0 }];
  }

  #seen = 0;
  #used = 0;

  setRate(perSecond: number, nowMs: MonotonicMs): void {
    const current = this.#rates.at(-1);
    if (current !== undefined) current.untilMs = nowMs + RATE_GRACE_MS;
    this.#rates.push({ perSecond, untilMs: Number.POSITIVE_INFINITY });
    if (this.#rates.length > MAX_RATES) this.#forgetLowest();
  }

  /** A reply has come; by its account the requester has used `used` blocks. True when that is more than was asked for. */
  onReply(used: number, nowMs: MonotonicMs): boolean {
    this.#seen += 1;
    this.#used = Math.max(this.#used, used);
    const last = this.#samples.at(-1) as Sample;
    if (nowMs - last.atMs < SAMPLE_MS) return false;
    const asked = last.asked + (this.#highestRate(nowMs) * (nowMs - last.atMs)) / 1000;
    this.#samples.push({ atMs: nowMs, seen: this.#seen, used: this.#used, asked });
    const base = this.#samples.findLast(({ atMs }) => nowMs - atMs >= WINDOW_MS);
    if (base === undefined) return false;
    const from = this.#samples.findLastIndex(({ atMs }) => base.atMs - atMs >= this.lateMs);
    this.#samples.splice(0, Math.max(0, from));
    const before = this.#samples[0] as Sample;
    const expected = asked - base.asked;
    const most = Math.max(TOLERATED_EXCESS * expected, expected + DEVIATIONS * Math.sqrt(expected) + SPARED_REPLIES);
    const due = base.asked - before.asked;
    const lateReplies = Math.max(0, due - (base.seen - before.seen));
    const lateAccount = Math.max(0, due - (base.used - before.used));
    return this.#seen - base.seen > most + lateReplies || this.#used - base.used > most + lateAccount;
  }

  #forgetLowest(): void {
    const lowest = Math.min(...this.#rates.slice(0, -1).map(({ perSecond }) => perSecond));
    this.#rates.splice(
      this.#rates.findIndex(({ perSecond }) => perSecond === lowest),
      1,
    );
  }

  /** Of the rates that the requester may go by. */
  #highestRate(nowMs: MonotonicMs): number {
    this.#rates = this.#rates.filter(({ untilMs }) => untilMs > nowMs);
    return Math.max(...this.#rates.map(({ perSecond }) => perSecond));
  }
}
