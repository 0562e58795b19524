/**
 * Who may open one more stream: bounds at a time and per second, in total and per session. At a bound in total sessions share max-min what
 * there is, by what they send: a few that take all they can close the exit to nobody else. A session is known by its
 * key only, and forgotten when it has no streams and its rate has recovered.
 * @module
 */
import type { MonotonicMs } from '../lib/core/units.ts';
import { TokenBucket, takeOfEach } from '../lib/mixing/index.ts';
import type { EgressLimits } from './config.ts';
import { type PaidBy, sessionToGive, weightOf } from './shares.ts';

type AdmissionLimits = Pick<
  EgressLimits,
  'streams' | 'streamsPerSession' | 'streamsPerSecond' | 'streamsPerSecondPerSession'
>;

export interface AdmissionOptions {
  readonly limits: AdmissionLimits;
  /** Sessions weigh as much as they send; all weigh the same without it. */
  readonly paidBy?: PaidBy;
  /** Ends a stream of this session: its place goes to another one. The end is reported with `release`. */
  readonly giveUp?: (session: string) => void;
}

interface Held {
  streams: number;
  readonly rate: TokenBucket;
  /** Streams opened lately. */
  recent: number;
  recentMs: MonotonicMs;
}

/** A rate may be exceeded for this long by whoever was quiet before: a page opens all its connections at once. */
const BURST_SECONDS = 5;
/** The same of all sessions: several may do so, and something is left. */
const TOTAL_BURST_SECONDS = 10;
/** Sessions whose rate is remembered; at the bound those without streams are forgotten, the oldest first. */
const MAX_REMEMBERED = 4096;
/** Of streams that a session has opened half count no more after this time. */
const HALF_LIFE_MS = 2_500;
/** The mean weight of those that open streams is looked up this often. */
const MEAN_PERIOD_MS = 250;

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #paidBy: PaidBy;
  readonly #giveUp: (session: string) => void;
  readonly #rate: TokenBucket;
  readonly #sessions = new Map<string, Held>();
  #streams = 0;
  #meanWeight = 1;
  #meanMs = Number.NEGATIVE_INFINITY;

  constructor({ limits, paidBy = () => 1, giveUp = () => {} }: AdmissionOptions, nowMs: MonotonicMs) {
    this.#limits = limits;
    this.#paidBy = paidBy;
    this.#giveUp = giveUp;
    this.#rate = new TokenBucket(limits.streamsPerSecond, limits.streamsPerSecond * TOTAL_BURST_SECONDS, nowMs);
  }

  get streams(): number {
    return this.#streams;
  }

  /** Counts a stream of `session` in, unless a bound is reached. Every stream let in is released once. */
  admit(session: string, nowMs: MonotonicMs): boolean {
    const held = this.#heldBy(session, nowMs);
    if (held.streams >= this.#limits.streamsPerSession) return false;
    // First: who gives a place up is looked for among all sessions, which whoever asks without end must not cause each time.
    if (!this.takeRate(session, nowMs)) return false;
    if (this.#streams >= this.#limits.streams) {
      const gives = this.#toGive(session);
      if (gives === undefined) return false;
      this.#giveUp(gives);
    }
    if (this.#streams >= this.#limits.streams) return false;
    this.#streams += 1;
    held.streams += 1;
    return true;
  }

  /** Counts something as costly as a new stream against the rates, unless they are used up. */
  takeRate(session: string, nowMs: MonotonicMs): boolean {
    const held = this.#heldBy(session, nowMs);
    if (!this.#hasShare(session, held, nowMs) || !takeOfEach([held.rate, this.#rate], nowMs)) return false;
    held.recent = recentOf(held, nowMs) + 1;
    held.recentMs = nowMs;
    return true;
  }

  release(session: string): void {
    const held = this.#sessions.get(session);
    if (held === undefined || held.streams === 0) return;
    held.streams -= 1;
    this.#streams -= 1;
  }

  #toGive(session: string): string | undefined {
    const held = [...this.#sessions].map(([key, { streams }]) => [key, streams] as const);
    return sessionToGive(held, session, this.#paidBy);
  }

  /**
   * A session may have opened as many lately as the total rate has left, by its weight (dynamic thresholds, Choudhury and Hahne 1998; as
   * `FairPolicer` for packets): something is always left for who has opened fewer.
   */
  #hasShare(session: string, held: Held, nowMs: MonotonicMs): boolean {
    if (nowMs - this.#meanMs >= MEAN_PERIOD_MS) this.#findMean(nowMs);
    const weight = weightOf(session, this.#paidBy) / this.#meanWeight;
    return recentOf(held, nowMs) < weight * this.#rate.left(nowMs);
  }

  #findMean(nowMs: MonotonicMs): void {
    const active = [...this.#sessions].filter(([, held]) => recentOf(held, nowMs) >= 1);
    const sum = active.reduce((total, [session]) => total + weightOf(session, this.#paidBy), 0);
    this.#meanWeight = active.length === 0 ? 1 : sum / active.length;
    this.#meanMs = nowMs;
  }

  #heldBy(session: string, nowMs: MonotonicMs): Held {
    const perSecond = this.#limits.streamsPerSecondPerSession;
    const held = this.#sessions.get(session) ?? {
      streams: 0,
      rate: new TokenBucket(perSecond, perSecond * BURST_SECONDS, nowMs),
      recent: 0,
      recentMs: nowMs,
    };
    this.#sessions.delete(session); // to the end: the map is in the order of last use
    this.#sessions.set(session, held);
    if (this.#sessions.size > MAX_REMEMBERED) this.#forgetOne();
    return held;
  }

  #forgetOne(): void {
    for (const [session, held] of this.#sessions) {
      if (held.streams > 0) continue;
      this.#sessions.delete(session);
      return;
    }
  }
}

function recentOf({ recent, recentMs }: Held, nowMs: MonotonicMs): number {
  return recent * 2 ** ((recentMs - nowMs) / HALF_LIFE_MS);
}
