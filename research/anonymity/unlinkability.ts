/**
 * Third-party unlinkability, section 4.3 of the Loopix paper: of two senders who are both active, which one sent a packet
 * that leaves the last layer? The measure is ε = |ln(p0 / p1)|, where p0 and p1 are the probabilities an observer of all
 * links assigns to them; 0 means no idea, ln 2 means one is twice as likely as the other.
 * @module
 */
import { MixNetwork, NO_LABEL, type TrafficSource } from './mix-network.ts';
import { SimulationRandom } from './random.ts';
import { type Spread, spreadOf } from './statistics.ts';

export interface UnlinkabilityOptions {
  /** Senders, the two challengers among them. */
  readonly users: number;
  /** λ of **one** sender, payload and cover together, per time unit. */
  readonly ratePerUser: number;
  /** Payload messages each challenger puts into its buffer per time unit. */
  readonly payloadRate: number;
  /** Packets per time unit of anybody who is not a sender (replies, loops of nodes). */
  readonly otherRate: number;
  /** μ: one divided by the mean delay at a mix. */
  readonly delayRate: number;
  readonly layers: number;
  readonly mixesPerLayer: number;
  readonly corruptMixes: number;
  /** Time during which only the others send, and the time both challengers send before the measurement. */
  readonly burnIn: number;
  readonly challengeTime: number;
}

/** The setting of figures 5 to 7, but for the burn-in: see `settledAfter`. */
export const PAPER_SETTING: Omit<UnlinkabilityOptions, 'burnIn'> = {
  users: 100,
  ratePerUser: 2,
  payloadRate: 1,
  otherRate: 0,
  delayRate: 1,
  layers: 3,
  mixesPerLayer: 3,
  corruptMixes: 0,
  challengeTime: 100,
};

/**
 * Time after which a network that starts empty is in its steady state: a packet that entered at the start is still in it
 * with a probability under 10^-4 for any number of layers up to 20. Waiting longer changes nothing but the run time.
 */
export function settledAfter(layers: number, delayRate: number): number {
  return (2 * layers + 10) / delayRate;
}

const CHALLENGERS = 2;

/** All senders; the challengers join at `startChallengers` and send buffered payload (labelled) or else cover. */
class Senders implements TrafficSource {
  rate: number;
  readonly #options: UnlinkabilityOptions;
  readonly #random: SimulationRandom;
  readonly #sentPayload = [0, 0];
  #startedAt = Number.POSITIVE_INFINITY;

  constructor(options: UnlinkabilityOptions, random: SimulationRandom) {
    this.#options = options;
    this.#random = random;
    this.rate = (options.users - CHALLENGERS) * options.ratePerUser + options.otherRate;
  }

  startChallengers(now: number): void {
    this.#startedAt = now;
    this.rate += CHALLENGERS * this.#options.ratePerUser;
  }

  emit(network: MixNetwork): void {
    network.enter(0, this.#options.layers, this.#label(network.now));
  }

  #label(now: number): number {
    if (now < this.#startedAt) return NO_LABEL;
    const sender = Math.floor((this.#random.uniform() * this.rate) / this.#options.ratePerUser);
    if (sender >= CHALLENGERS) return NO_LABEL;
    const buffered = Math.floor((now - this.#startedAt) * this.#options.payloadRate) - this.#sentPayload[sender]!;
    if (buffered <= 0) return NO_LABEL;
    this.#sentPayload[sender]!++;
    return sender;
  }
}

export interface EpsilonSample {
  /** Undefined if one of the two cannot be the sender. */
  readonly epsilon: number | undefined;
  readonly packets: number;
}

/** One repetition: ε in the pool of one mix of the last layer. */
export function sampleEpsilon(options: UnlinkabilityOptions, random: SimulationRandom): EpsilonSample {
  const { layers, mixesPerLayer, delayRate } = options;
  const mixes = layers * mixesPerLayer;
  const observed = mixes - 1 - random.int(mixesPerLayer);
  // "When we calculate our anonymity metric at a mix node we assume this mix node to be honest", whatever the draw says.
  const corrupt = random.sample(options.corruptMixes, mixes).filter((mix) => mix !== observed);
  const network = new MixNetwork({ layers, mixesPerLayer, delayRate, labels: CHALLENGERS, corrupt }, random);
  const senders = new Senders(options, random);
  network.run(options.burnIn, senders);
  senders.startChallengers(network.now);
  network.run(options.burnIn + options.challengeTime, senders);
  const [p0, p1] = [network.massOf(observed, 0), network.massOf(observed, 1)];
  const epsilon = p0 > 0 && p1 > 0 ? Math.abs(Math.log(p0 / p1)) : undefined;
  return { epsilon, packets: network.entered };
}

export interface EpsilonResult extends Spread {
  /** Repetitions in which ε was not defined; they are not in the mean. */
  readonly undefinedSamples: number;
  readonly packets: number;
}

/** Repeats the experiment, each time with a stream of random numbers of its own. */
export function measureEpsilon(
  options: UnlinkabilityOptions,
  repetitions: number,
  seeds: readonly number[],
): EpsilonResult {
  const samples = Array.from({ length: repetitions }, (_, i) =>
    sampleEpsilon(options, new SimulationRandom(...seeds, i)),
  );
  const defined = samples.flatMap(({ epsilon }) => (epsilon === undefined ? [] : [epsilon]));
  return {
    ...spreadOf(defined),
    undefinedSamples: repetitions - defined.length,
    packets: samples.reduce((sum, sample) => sum + sample.packets, 0),
  };
}
