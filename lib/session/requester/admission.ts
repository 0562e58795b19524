/**
 * What a requester gives its sessions. Seats and replies are paid in packets, which gateways ration: what a client asks for
 * costs it nothing.
 *
 * A session gets at most as many replies as its network's classes have for the packets that it sends. When all of them want more than there
 * is, they share it max-min. Seats of a full table go to those that pay more; a session without proof that its client receives
 * replies (RFC 9000 section 8.2) has no seat yet.
 * @module
 */
import type { TrafficClass } from '../../core/params.ts';
import type { MonotonicMs } from '../../core/units.ts';

/** Over this time packets count for the reply rate, and over this for a seat. */
export const RATE_WINDOW_S = 10;
export const SEAT_WINDOW_S = 30;
/** Younger sessions count as this old, or a first packet would be a flood. */
const RATE_LEAST_S = 0.5;
const SEAT_LEAST_S = 5;
/** A clock is not slower than this: a session must be able to answer. */
const LEAST_REPLY_RATE = 1;
/** Sessions without proof of receipt, beside those with a seat. */
export const MAX_UNPROVEN = 256;
/** One that has no proof after this time gives way first. */
const UNPROVEN_MS = 10_000;

/** Packets that came in the last half minute, by seconds. */
export class PaidMeter {
  readonly #perSecond = new Uint16Array(SEAT_WINDOW_S);
  readonly #beganMs: MonotonicMs;
  #second = 0;
  total = 0;

  constructor(nowMs: MonotonicMs) {
    this.#beganMs = nowMs;
  }

  ageMs(nowMs: MonotonicMs): number {
    return nowMs - this.#beganMs;
  }

  onPacket(nowMs: MonotonicMs): void {
    this.#advance(nowMs);
    this.total += 1;
    const slot = this.#second % SEAT_WINDOW_S;
    this.#perSecond[slot] = Math.min(0xffff, (this.#perSecond[slot] ?? 0) + 1);
  }

  /** Packets per second that count for the reply rate. */
  rate(nowMs: MonotonicMs): number {
    return this.#over(RATE_WINDOW_S, RATE_LEAST_S, nowMs);
  }

  /** The same for a seat. */
  seatRate(nowMs: MonotonicMs): number {
    return this.#over(SEAT_WINDOW_S, SEAT_LEAST_S, nowMs);
  }

  #over(windowS: number, leastS: number, nowMs: MonotonicMs): number {
    this.#advance(nowMs);
    let sum = 0;
    for (let i = 0; i < windowS && i <= this.#second; i++) {
      sum += this.#perSecond[(this.#second - i) % SEAT_WINDOW_S] ?? 0;
    }
    // The present second has only begun.
    const ageS = this.ageMs(nowMs) / 1000;
    return sum / Math.max(leastS, Math.min(windowS - 1 + (ageS % 1), ageS));
  }

  #advance(nowMs: MonotonicMs): void {
    const second = Math.floor(this.ageMs(nowMs) / 1000);
    for (let i = Math.max(this.#second + 1, second - SEAT_WINDOW_S + 1); i <= second; i++) {
      this.#perSecond[i % SEAT_WINDOW_S] = 0;
    }
    this.#second = Math.max(this.#second, second);
  }
}

/** What the classes of a network let a session have, whatever it asks for. */
export interface ReplyTerms {
  readonly maxRate: number;
  readonly repliesPerPacket: number;
}

/** The most generous of all classes: which one a client has is not known to a requester. */
export function replyTerms(classes: Readonly<Record<string, TrafficClass>>): ReplyTerms {
  const all = Object.values(classes);
  if (all.length === 0) return { maxRate: Number.POSITIVE_INFINITY, repliesPerPacket: Number.POSITIVE_INFINITY };
  // A class whose members send nothing pays for nothing.
  const paying = all.filter(({ mainRate }) => mainRate > 0);
  return {
    maxRate: Math.max(...all.map(({ replyRate }) => replyRate)),
    repliesPerPacket: Math.max(0, ...paying.map(({ replyRate, mainRate }) => replyRate / mainRate)),
  };
}

/** Replies per second for a session that pays `packetsPerSecond`. */
export function paidRate(packetsPerSecond: number, { repliesPerPacket }: ReplyTerms): number {
  return Math.max(LEAST_REPLY_RATE, repliesPerPacket * packetsPerSecond);
}

/** A session as far as its seat depends on it. */
export interface Seated {
  readonly proven: boolean;
  readonly paid: PaidMeter;
}

/** Which session without proof gives way to a newcomer; undefined while there is space. */
export function unprovenToLeave<S extends Seated>(sessions: Iterable<S>, nowMs: MonotonicMs): S | undefined {
  let count = 0;
  let leaves: S | undefined;
  const worth = ({ paid }: S) => (paid.ageMs(nowMs) >= UNPROVEN_MS ? -1 : paid.total);
  for (const session of sessions) {
    if (session.proven) continue;
    count += 1;
    if (leaves === undefined || worth(session) < worth(leaves)) leaves = session;
  }
  return count < MAX_UNPROVEN ? undefined : leaves;
}

/**
 * Which session leaves when `newcomer` has proven that it receives: undefined while there are seats, else the one that paid
 * least, if that is less than what the newcomer pays, else the newcomer.
 */
export function seatToLeave<S extends Seated>(
  sessions: Iterable<S>,
  newcomer: S,
  seats: number,
  nowMs: MonotonicMs,
): S | undefined {
  let taken = 0;
  let leaves = newcomer;
  let least = newcomer.paid.seatRate(nowMs);
  for (const session of sessions) {
    if (!session.proven) continue;
    taken += 1;
    const rate = session.paid.seatRate(nowMs);
    if (rate < least) [leaves, least] = [session, rate];
  }
  return taken <= seats ? undefined : leaves;
}
