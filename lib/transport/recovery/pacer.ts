/**
 * Burst mode: how fast the requester sends replies.
 *
 * Mixes lose packets without being congested, so loss as such says nothing: halving on it would collapse (20 % loss
 * per mix is 49 % one way). The pace follows the rate at which replies are delivered, after BBR: as fast most of the
 * time, faster for one round to look for more, slower for one round. What is lost of the packets that left in slow
 * rounds cannot be our own doing: it is the loss of the paths, and the pace makes up for it. Whatever is lost beyond
 * that shows as a lower delivery rate, and so lowers the pace.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';

/** Gains by which the pace differs from the delivery rate, round after round. */
const CYCLE: readonly number[] = [1.25, 0.75, 1, 1, 1, 1];
const SLOW_PHASE = 1;
const START_GAIN = 2;
/** Rounds without growth by a quarter after which the start is over. */
const START_ROUNDS = 3;
/** Delivery rate counts as the best of this many rounds. */
const MEMORY_ROUNDS = 10;
const MIN_PER_SECOND = 20;
const MAX_EXPLAINED_LOSS = 0.75;
/** Packets of a slow round after which its loss counts half. */
const HALF_WEIGHT_PACKETS = 40;
/** Slow rounds whose packets are not all settled after so many rounds are forgotten. */
const MAX_OPEN_ROUNDS = 64;
/** Packets that may leave at once after a pause. */
const BURST_PACKETS = 16;
/** Times come rounded; a packet must not wait for a billionth of itself. */
const ROUNDING = 1e-6;

interface SlowRound {
  sent: number;
  acked: number;
  lost: number;
}

export class Pacer {
  #perSecond: number;
  #phase = -1;
  #round = 0;
  #startRounds = 0;
  #startBest = 0;
  #roundStartMs: number;
  #acked = 0;
  #limited = true;
  #rates: number[] = [];
  /** Made with the first: most sessions are not paced. */
  #slowRounds: Map<number, SlowRound> | undefined;
  #explained = 0;
  #credit = BURST_PACKETS;
  #creditMs: number;

  constructor(
    private readonly firstPerSecond: number,
    nowMs: MonotonicMs,
  ) {
    this.#perSecond = firstPerSecond;
    this.#roundStartMs = nowMs;
    this.#creditMs = nowMs;
  }

  /** When the next packet may leave; in the past when it may now. */
  nextMs(nowMs: MonotonicMs): number {
    this.#refill(nowMs);
    return this.#credit >= 1 - ROUNDING ? nowMs : nowMs + ((1 - this.#credit) * 1000) / this.#perSecond;
  }

  /** Counts a packet. Returns the round it belongs to, for `onAcked` or `onLost`. */
  onSent(nowMs: MonotonicMs): number {
    this.#refill(nowMs);
    this.#credit--;
    // Still credit for the next one after a packet means that the pace was not what held us back.
    if (this.#credit < 1 - ROUNDING) this.#limited = false;
    const slow = this.#slowRounds?.get(this.#round);
    if (slow !== undefined) slow.sent++;
    return this.#round;
  }

  onAcked(round: number): void {
    this.#acked++;
    const slow = this.#slowRounds?.get(round);
    if (slow === undefined) return;
    slow.acked++;
    this.#settle(round, slow);
  }

  onLost(round: number): void {
    const slow = this.#slowRounds?.get(round);
    if (slow === undefined) return;
    slow.lost++;
    this.#settle(round, slow);
  }

  /** Ends the round if it is over; `roundMs` is a round trip. */
  advance(roundMs: number, nowMs: MonotonicMs): void {
    const lengthMs = nowMs - this.#roundStartMs;
    if (lengthMs < roundMs || this.#acked === 0) return;
    this.#rates.push((this.#acked * 1000) / lengthMs);
    if (this.#rates.length > MEMORY_ROUNDS) this.#rates.shift();
    this.#nextPhase();
    // Rounds in which there was too little to send must not slow us down.
    const pace = this.#bestPace();
    if (!this.#limited || pace > this.#perSecond) this.#perSecond = pace;
    this.#roundStartMs = nowMs;
    this.#acked = 0;
    this.#limited = true;
  }

  #bestPace(): number {
    const best = Math.max(...this.#rates);
    const gain = this.#phase < 0 ? START_GAIN : (CYCLE[this.#phase] ?? 1);
    const floor = this.#phase < 0 ? this.firstPerSecond : MIN_PER_SECOND;
    return Math.max(floor, (gain * best) / (1 - this.#explained));
  }

  #nextPhase(): void {
    if (this.#phase >= 0) this.#phase = (this.#phase + 1) % CYCLE.length;
    else if (this.#startIsOver()) this.#phase = SLOW_PHASE;
    this.#round++;
    if (this.#phase !== SLOW_PHASE) return;
    this.#slowRounds ??= new Map();
    this.#slowRounds.set(this.#round, { sent: 0, acked: 0, lost: 0 });
    for (const round of this.#slowRounds.keys()) {
      if (round > this.#round - MAX_OPEN_ROUNDS) break;
      this.#slowRounds.delete(round);
    }
  }

  #startIsOver(): boolean {
    const best = Math.max(...this.#rates);
    if (best > 1.25 * this.#startBest) {
      this.#startBest = best;
      this.#startRounds = 0;
    } else if (!this.#limited) {
      this.#startRounds++;
    }
    return this.#startRounds >= START_ROUNDS;
  }

  /** Learns from a slow round once the fate of all its packets is known. */
  #settle(round: number, slow: SlowRound): void {
    if (round === this.#round || slow.acked + slow.lost < slow.sent) return;
    this.#slowRounds?.delete(round);
    const loss = Math.min(MAX_EXPLAINED_LOSS, slow.lost / slow.sent);
    this.#explained += (slow.sent / (slow.sent + HALF_WEIGHT_PACKETS)) * (loss - this.#explained);
  }

  #refill(nowMs: MonotonicMs): void {
    const earned = ((nowMs - this.#creditMs) * this.#perSecond) / 1000;
    this.#credit = Math.min(BURST_PACKETS, this.#credit + Math.max(0, earned));
    this.#creditMs = nowMs;
  }
}
