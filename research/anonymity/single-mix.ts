/**
 * The anonymity of a single Poisson mix, figure 4 of the Loopix paper: how uncertain is an observer, in bits, which of the
 * messages that came in is the one that goes out now?
 * @module
 */
import type { SimulationRandom } from './random.ts';

/** Entropy in bits of a choice between two, the first with this probability. */
export function binaryEntropy(probability: number): number {
  if (probability <= 0 || probability >= 1) return 0;
  return -probability * Math.log2(probability) - (1 - probability) * Math.log2(1 - probability);
}

/**
 * Appendix A.1, equation 5: entropy of the next outgoing message, when `leftOver` messages with entropy `entropyBefore`
 * stayed in the pool and `arrived` came in since the last one went out.
 */
export function updatedEntropy(leftOver: number, arrived: number, entropyBefore: number): number {
  if (arrived === 0) return entropyBefore;
  const newShare = arrived / (arrived + leftOver);
  return binaryEntropy(newShare) + newShare * Math.log2(arrived) + (1 - newShare) * entropyBefore;
}

/** Theorems 1 and 2: what an observer of a mix knows about its next outgoing message. */
export interface MixObservation {
  /** n: messages that came in first; k: how many of them are still there; l: how many came in later. */
  readonly first: number;
  readonly left: number;
  readonly later: number;
  /** λM and μ: rate of the mix's own loops, and one divided by the mean delay. */
  readonly loopRate?: number;
  readonly delayRate?: number;
}

/** Probability that the next message out is not a loop of the mix itself (appendix A.2, equation 8). */
function notOwnLoop({ left, later, loopRate = 0, delayRate = 1 }: MixObservation): number {
  return ((left + later) * delayRate) / ((left + later) * delayRate + loopRate);
}

/** Probability that the next message out is a given one of the first `n`. (The paper's main text swaps the two cases.) */
export function probabilityOfFirst(seen: MixObservation): number {
  return (notOwnLoop(seen) * seen.left) / (seen.first * (seen.left + seen.later));
}

/** Probability that the next message out is a given one of those that came later. */
export function probabilityOfLater(seen: MixObservation): number {
  return notOwnLoop(seen) / (seen.left + seen.later);
}

/** Entropy in bits of a large pool (λ/μ over about 5): the closed form for a stop-and-go mix, Danezis 2004. */
export function largePoolEntropy(arrivalRate: number, delayRate: number): number {
  return Math.log2((Math.E * arrivalRate) / delayRate);
}

export interface SingleMixOptions {
  /** λ: messages that come in per time unit, and μ: one divided by the mean delay. */
  readonly arrivalRate: number;
  readonly delayRate: number;
  /** Departures to average over, at least; at least `MEASURED_DELAYS` mean delays are measured in any case. */
  readonly departures: number;
}

export interface SingleMixResult {
  /** Mean over the outgoing messages, in bits. */
  readonly entropyBits: number;
  /** Mean and variance over time of the number of messages in the pool: both λ/μ by Lemma 1. */
  readonly poolMean: number;
  readonly poolVariance: number;
  readonly arrivals: number;
}

/** Mean delays until the empty start is forgotten: what is left of it is e^-12. */
const WARM_UP_DELAYS = 12;
const MEASURED_DELAYS = 8;

/** Sums over the measured part of a trace. */
class Tally {
  #seconds = 0;
  #poolTime = 0;
  #poolSquareTime = 0;
  #entropy = 0;
  departures = 0;

  lasted(pool: number, time: number): void {
    this.#seconds += time;
    this.#poolTime += pool * time;
    this.#poolSquareTime += pool * pool * time;
  }

  departed(entropyBits: number): void {
    this.#entropy += entropyBits;
    this.departures++;
  }

  result(arrivals: number): SingleMixResult {
    const poolMean = this.#poolTime / this.#seconds;
    const poolVariance = this.#poolSquareTime / this.#seconds - poolMean ** 2;
    return { entropyBits: this.#entropy / this.departures, poolMean, poolVariance, arrivals };
  }
}

/** One trace of an M/M/∞ mix, from empty to its steady state and on. */
export function simulateSingleMix(options: SingleMixOptions, random: SimulationRandom): SingleMixResult {
  const { arrivalRate, delayRate, departures } = options;
  const measureFrom = WARM_UP_DELAYS / delayRate;
  const measureUntil = measureFrom + MEASURED_DELAYS / delayRate;
  const tally = new Tally();
  let [now, leftOver, arrived, arrivals, entropyBits] = [0, 0, 0, 0, 0];
  while (now < measureUntil || tally.departures < departures) {
    const pool = leftOver + arrived;
    const totalRate = arrivalRate + pool * delayRate;
    const wait = random.exponential(totalRate);
    if (now >= measureFrom) tally.lasted(pool, wait);
    now += wait;
    if (random.uniform() * totalRate < arrivalRate) {
      arrived++;
      arrivals++;
      continue;
    }
    entropyBits = updatedEntropy(leftOver, arrived, entropyBits);
    if (now >= measureFrom) tally.departed(entropyBits);
    leftOver = pool - 1;
    arrived = 0;
  }
  return tally.result(arrivals);
}
