/**
 * Burst mode: how fast the requester sends replies.
 *
 * Mixes lose packets without being congested, so loss as such says nothing: halving on it would collapse (20 % loss
 * per mix is 49 % one way). The pace follows the rate at which replies are delivered, after BBR: a little above it
 * most of the time, well above for one round to look for more, below for one round. What is lost in those slow
 * rounds cannot be our own doing: it is the loss of the paths, and the pace makes up for it. Anything lost beyond
 * that lowers the delivery rate, and so the pace.
 * @module
 */

/** Gains by which the pace differs from the delivery rate, round after round. */
const CYCLE: readonly number[] = [1.25, 0.75, 1, 1, 1, 1];
const SLOW_PHASE = 1;
const START_GAIN = 2;
/** Rounds without growth by a quarter after which the start is over. */
const START_PATIENCE = 3;
/** Delivery rate counts as the best of this many rounds. */
const MEMORY_ROUNDS = 10;
const MIN_PER_SECOND = 20;
const MAX_EXPLAINED_LOSS = 0.75;
const EXPLAINED_GAIN = 1 / 4;
/** Times come rounded; a packet must not wait for a billionth of itself. */
const ROUNDING = 1e-6;
/** Packets that may leave at once after a pause. */
const BURST_PACKETS = 16;

export class Pacer {
  #perSecond: number;
  #phase = -1;
  #startRounds = 0;
  #startBest = 0;
  #roundStartMs: number;
  #acked = 0;
  #lost = 0;
  #limited = true;
  #rates: number[] = [];
  #explained = 0;
  #credit = BURST_PACKETS;
  #creditMs: number;

  constructor(
    private readonly firstPerSecond: number,
    nowMs: number,
  ) {
    this.#perSecond = firstPerSecond;
    this.#roundStartMs = nowMs;
    this.#creditMs = nowMs;
  }

  get perSecond(): number {
    return this.#perSecond;
  }

  /** When the next packet may leave; in the past when it may now. */
  nextMs(nowMs: number): number {
    this.#refill(nowMs);
    return this.#credit >= 1 - ROUNDING ? nowMs : nowMs + ((1 - this.#credit) * 1000) / this.#perSecond;
  }

  onSent(nowMs: number): void {
    this.#refill(nowMs);
    this.#credit--;
    // Still credit for the next one after a packet means that the pace was not what held us back.
    if (this.#credit < 1 - ROUNDING) this.#limited = false;
  }

  onAcked(): void {
    this.#acked++;
  }

  onLost(): void {
    this.#lost++;
  }

  /** Ends the round if it is over; `roundMs` is a round trip. */
  advance(roundMs: number, nowMs: number): void {
    const lengthMs = nowMs - this.#roundStartMs;
    if (lengthMs < roundMs || this.#acked + this.#lost === 0) return;
    const rate = (this.#acked * 1000) / lengthMs;
    const lossRatio = this.#lost / (this.#acked + this.#lost);
    this.#rates.push(rate);
    if (this.#rates.length > MEMORY_ROUNDS) this.#rates.shift();
    if (this.#phase < 0) this.#startRound(lossRatio);
    else this.#cycleRound(lossRatio);
    // Rounds in which there was too little to send must not slow us down.
    if (!this.#limited || this.#bestPace() > this.#perSecond) this.#perSecond = this.#bestPace();
    this.#roundStartMs = nowMs;
    this.#acked = 0;
    this.#lost = 0;
    this.#limited = true;
  }

  #bestPace(): number {
    const best = Math.max(...this.#rates);
    const gain = this.#phase < 0 ? START_GAIN : (CYCLE[this.#phase] ?? 1);
    const floor = this.#phase < 0 ? this.firstPerSecond : MIN_PER_SECOND;
    return Math.max(floor, (gain * best) / (1 - this.#explained));
  }

  #startRound(lossRatio: number): void {
    const best = Math.max(...this.#rates);
    if (best > 1.25 * this.#startBest) {
      this.#startBest = best;
      this.#startRounds = 0;
    } else if (!this.#limited) {
      this.#startRounds++;
    }
    if (this.#startRounds < START_PATIENCE) return;
    this.#explained = Math.min(MAX_EXPLAINED_LOSS, lossRatio);
    this.#phase = SLOW_PHASE;
  }

  #cycleRound(lossRatio: number): void {
    if (this.#phase === SLOW_PHASE) {
      this.#explained += EXPLAINED_GAIN * (Math.min(MAX_EXPLAINED_LOSS, lossRatio) - this.#explained);
    }
    this.#phase = (this.#phase + 1) % CYCLE.length;
  }

  #refill(nowMs: number): void {
    const earned = ((nowMs - this.#creditMs) * this.#perSecond) / 1000;
    this.#credit = Math.min(BURST_PACKETS, this.#credit + Math.max(0, earned));
    this.#creditMs = nowMs;
  }
}
