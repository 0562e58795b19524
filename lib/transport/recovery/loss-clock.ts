/**
 * When is a packet lost? Delays are independent exponentials, so packets overtake each other all the time, and order
 * proves nothing; only time does. RFC 9002's 9/8 of a round trip would give up almost every second packet here. The
 * threshold is built from the law of the delays (delay-law.ts), which is public. One packet in a thousand is given up although its delays
 * were lawful; rttvar makes it rarer:
 *
 *     excess + quantile of the mix delays + quantile of a slot + 4 * rttvar
 *
 * where excess is by how much measured round trips are longer than the law's mean (links, queues, waiting for slots).
 * Every newly acknowledged packet gives a sample, not only the largest of an ACK: with random delays the largest is
 * a biased choice, namely a fast one.
 *
 * The terms overlap, since rttvar has seen the same randomness as the quantiles, so their sum is longer than it need
 * be. A factor learns by how much: it sinks a little with every packet acknowledged in time and rises with every spurious
 * loss, which settles where about one loss in four hundred packets is spurious.
 * @module
 */
import { type DelayLaw, type LawTimes, lawTimes, SLOT_QUANTILE } from '../../core/delay-law.ts';

/** Until the first sample nothing is known of the links. */
const MIN_FIRST_THRESHOLD_MS = 1000;
/** The threshold never exceeds this many times the law's part of it, and this on top for the links. */
const MAX_LAW_FACTOR = 4;
const MAX_LINK_MS = 4000;
/** A sample beyond the threshold counts as at most so many thresholds, and with this weight. */
const OLD_SAMPLE_FACTOR = 1.5;
const OLD_SAMPLE_GAIN = 1 / 8;
/** The n-th sample counts 1/n at first, so that the start value is soon forgotten, and this much later. */
const GAIN = 1 / 32;
/** How the factor moves: down per timely packet, up per spurious loss. Their ratio is the share of spurious losses. */
const TIMELY_STEP = 1 - 1 / 4096;
const SPURIOUS_STEP = 1.1;
const MIN_FACTOR = 0.6;
const MAX_FACTOR = 2;

export interface LossClockOptions {
  /** At first. */
  readonly delay: DelayLaw;
  /** Mean gap between the slots that packets and their acknowledgements wait for. */
  readonly slotGapMs: number;
  /** How long the peer may hold an acknowledgement back. */
  readonly ackDelayMs: number;
}

export class LossClock {
  #law: LawTimes;
  #slotQuantileMs: number;
  #srttMs: number;
  #rttvarMs: number;
  #samples = 0;
  #thresholdMs = 0;
  #factor = 1;

  constructor(options: LossClockOptions) {
    this.#law = lawTimes(options.delay);
    this.#slotQuantileMs = options.slotGapMs * SLOT_QUANTILE;
    this.#srttMs = this.#law.meanMs + 2 * options.slotGapMs + options.ackDelayMs;
    this.#rttvarMs = this.#srttMs / 2;
    this.#update();
  }

  get srttMs(): number {
    return this.#srttMs;
  }

  /** Most packets are acknowledged by this age. */
  get usualMs(): number {
    return this.#srttMs + 2 * this.#rttvarMs;
  }

  /** How long after its sending a packet without acknowledgement counts as lost. */
  get thresholdMs(): number {
    return this.#thresholdMs;
  }

  /** The same for a packet whose own mix delays are known: only the way back is uncertain. */
  thresholdAtDelayMs(delayMs: number): number {
    const knownMs = delayMs + this.#law.oneWayQuantileMs - this.#law.quantileMs;
    return Math.min(this.#maxThresholdMs, this.#thresholdMs + this.#factor * knownMs);
  }

  /** The smallest that `thresholdAtDelayMs` can be. */
  get leastThresholdMs(): number {
    return Math.min(this.#thresholdMs, this.thresholdAtDelayMs(0));
  }

  setSlotGapMs(slotGapMs: number): void {
    this.#slotQuantileMs = slotGapMs * SLOT_QUANTILE;
    this.#update();
  }

  /**
   * The longest law of what is under way. Where it becomes longer, so do the round trips to come; where it becomes shorter, samples
   * have shown that already: packets by the shorter law have been under way for a while.
   */
  setLaw(law: DelayLaw): void {
    const times = lawTimes(law);
    if (times === this.#law) return;
    this.#srttMs += Math.max(0, times.meanMs - this.#law.meanMs);
    this.#rttvarMs += Math.max(0, times.deviationMs - this.#law.deviationMs);
    this.#law = times;
    this.#update();
  }

  /** Takes the time from a packet's sending to its acknowledgement, the wait for the acknowledgement's slot included. */
  sample(rttMs: number): void {
    if (rttMs > this.#thresholdMs) {
      // A path that was dead for a minute answers with minutes. It may also have become slow: then many such follow.
      this.#learn(Math.min(rttMs, OLD_SAMPLE_FACTOR * this.#thresholdMs), OLD_SAMPLE_GAIN, OLD_SAMPLE_GAIN);
    } else if (this.#samples++ === 0) {
      this.#srttMs = rttMs;
      this.#rttvarMs = rttMs / 2;
    } else {
      const gain = Math.max(GAIN, 1 / this.#samples);
      this.#learn(rttMs, gain, Math.min(1 / 4, gain));
    }
    this.#update();
  }

  #learn(rttMs: number, srttGain: number, rttvarGain: number): void {
    this.#rttvarMs += rttvarGain * (Math.abs(rttMs - this.#srttMs) - this.#rttvarMs);
    this.#srttMs += srttGain * (rttMs - this.#srttMs);
  }

  /** A packet was acknowledged before it was given up. */
  onTimely(): void {
    this.#factor = Math.max(MIN_FACTOR, this.#factor * TIMELY_STEP);
  }

  /** A packet was declared lost, and acknowledged after all (RFC 9002 appendix A: spurious). */
  onSpurious(): void {
    this.#factor = Math.min(MAX_FACTOR, this.#factor * SPURIOUS_STEP);
  }

  get #maxThresholdMs(): number {
    return MAX_LAW_FACTOR * (this.#law.quantileMs + this.#slotQuantileMs) + MAX_LINK_MS;
  }

  #update(): void {
    const excessMs = Math.max(0, this.#srttMs - this.#law.meanMs);
    const sumMs = excessMs + this.#law.quantileMs + this.#slotQuantileMs + 4 * this.#rttvarMs;
    const thresholdMs = this.#factor * sumMs;
    const floorMs = this.#samples === 0 ? MIN_FIRST_THRESHOLD_MS : 0;
    this.#thresholdMs = Math.min(this.#maxThresholdMs, Math.max(floorMs, thresholdMs));
  }
}
