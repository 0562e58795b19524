/**
 * Who may open one more stream: bounds at a time and per second, in total and per session. A session is known by its
 * key only, and forgotten when it has no streams and its rate has recovered.
 * @module
 */
import type { MonotonicMs } from '../lib/core/units.ts';
import { TokenBucket, takeOfEach } from '../lib/mixing/index.ts';
import type { EgressLimits } from './config.ts';

type AdmissionLimits = Pick<
  EgressLimits,
  'streams' | 'streamsPerSession' | 'streamsPerSecond' | 'streamsPerSecondPerSession'
>;

interface Held {
  streams: number;
  readonly rate: TokenBucket;
}

/** A rate may be exceeded for this long by whoever was quiet before: a page opens all its connections at once. */
const BURST_SECONDS = 5;
/** Sessions whose rate is remembered; at the bound those without streams are forgotten, the oldest first. */
const MAX_REMEMBERED = 4096;

export class Admission {
  readonly #rate: TokenBucket;
  readonly #sessions = new Map<string, Held>();
  #streams = 0;

  constructor(
    private readonly limits: AdmissionLimits,
    nowMs: MonotonicMs,
  ) {
    this.#rate = new TokenBucket(limits.streamsPerSecond, limits.streamsPerSecond * BURST_SECONDS, nowMs);
  }

  get streams(): number {
    return this.#streams;
  }

  /** Counts a stream of `session` in, unless a bound is reached. Every stream let in is released once. */
  admit(session: string, nowMs: MonotonicMs): boolean {
    const held = this.#heldBy(session, nowMs);
    if (this.#streams >= this.limits.streams || held.streams >= this.limits.streamsPerSession) return false;
    if (!this.takeRate(session, nowMs)) return false;
    this.#streams += 1;
    held.streams += 1;
    return true;
  }

  /** Counts something as costly as a new stream against the rates, unless they are used up. */
  takeRate(session: string, nowMs: MonotonicMs): boolean {
    return takeOfEach([this.#heldBy(session, nowMs).rate, this.#rate], nowMs);
  }

  release(session: string): void {
    const held = this.#sessions.get(session);
    if (held === undefined || held.streams === 0) return;
    held.streams -= 1;
    this.#streams -= 1;
  }

  #heldBy(session: string, nowMs: MonotonicMs): Held {
    const perSecond = this.limits.streamsPerSecondPerSession;
    const held = this.#sessions.get(session) ?? {
      streams: 0,
      rate: new TokenBucket(perSecond, perSecond * BURST_SECONDS, nowMs),
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
