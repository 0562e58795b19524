/**
 * A stratified network of Poisson mixes and what an observer of all its links knows about the packets in it.
 *
 * Discrete events: packets enter, and each packet in a mix leaves it after an exponential delay. The law has no memory, so
 * instead of drawing a delay per packet and hop and keeping a heap, the next departure is drawn from the sum of all rates
 * and falls on a uniformly chosen packet in flight (Gillespie's direct method): equal in law, constant time per event.
 *
 * Knowledge: a packet carries, per *label*, the probability that it is a packet with that label. A mix whose `n` packets
 * together hold the mass `p` of a label sends each of them with `p/n`, and `p - p/n` stays: Theorem 1 of the Loopix
 * paper, applied packet by packet. A corrupt mix tells which packet is which: it passes on what came in.
 * @module
 */
import type { SimulationRandom } from './random.ts';

export interface MixNetworkOptions {
  readonly layers: number;
  readonly mixesPerLayer: number;
  /** μ: one divided by the mean delay at a mix, per time unit. */
  readonly delayRate: number;
  /** How many labels are followed. */
  readonly labels: number;
  /** Indices (layer × mixesPerLayer + place) of mixes that tell the observer everything. */
  readonly corrupt?: readonly number[];
}

/** What happens outside the mixes: packets that enter, and packets that left the last one. */
export interface TrafficSource {
  /** Sum of the rates of all sources; constant between two calls of `emit`. */
  readonly rate: number;
  /** One source sends: calls `network.enter`. */
  emit(network: MixNetwork): void;
  /**
   * A packet left its last mix. `known[label]`: probability that it is the one with that label, valid during the call
   * only. `kind`: as it entered with, what an observer sees of where it goes on to.
   */
  leave?(known: Float64Array, kind: number, enteredAt: number, now: number): void;
}

/** The label of a packet nobody follows. */
export const NO_LABEL = -1;
const INITIAL_CAPACITY = 1024;

export class MixNetwork {
  readonly options: MixNetworkOptions;
  /** Packets in each mix: `layer * mixesPerLayer + place`. */
  readonly poolSizes: Int32Array;
  /** Simulated time. */
  now = 0;
  /** Packets entered and events handled so far. */
  entered = 0;
  events = 0;

  readonly #random: SimulationRandom;
  readonly #corrupt: Uint8Array;
  /** Mass of each label per mix; for corrupt mixes per packet instead. */
  readonly #mass: Float64Array;
  readonly #moving: Float64Array;
  #inFlight = 0;
  #mixOf = new Uint16Array(INITIAL_CAPACITY);
  #hopsLeft = new Uint8Array(INITIAL_CAPACITY);
  #kind = new Uint8Array(INITIAL_CAPACITY);
  #enteredAt = new Float64Array(INITIAL_CAPACITY);
  #knownOf: Float64Array;

  constructor(options: MixNetworkOptions, random: SimulationRandom) {
    const mixes = options.layers * options.mixesPerLayer;
    this.options = options;
    this.#random = random;
    this.poolSizes = new Int32Array(mixes);
    this.#corrupt = new Uint8Array(mixes);
    for (const mix of options.corrupt ?? []) this.#corrupt[mix] = 1;
    this.#mass = new Float64Array(mixes * options.labels);
    this.#moving = new Float64Array(options.labels);
    this.#knownOf = new Float64Array((options.corrupt?.length ?? 0) === 0 ? 0 : INITIAL_CAPACITY * options.labels);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** The probability mass of a label in a mix that is taken to be honest. */
  massOf(mix: number, label: number): number {
    return this.#mass[mix * this.options.labels + label]!;
  }

  /** A packet comes from outside to a random mix of `layer` and passes `hops` layers, after the last one the first. */
  enter(layer: number, hops: number, label: number = NO_LABEL, kind = 0): void {
    const packet = this.#inFlight++;
    if (packet === this.#mixOf.length) this.#grow();
    this.entered++;
    this.#hopsLeft[packet] = hops;
    this.#kind[packet] = kind;
    this.#enteredAt[packet] = this.now;
    this.#moving.fill(0);
    if (label !== NO_LABEL) this.#moving[label] = 1;
    this.#arrive(packet, layer);
  }

  /** Lets time pass until `until`. */
  run(until: number, source: TrafficSource): void {
    const { delayRate } = this.options;
    for (;;) {
      const sourceRate = source.rate;
      const totalRate = sourceRate + this.#inFlight * delayRate;
      const at = this.now + this.#random.exponential(totalRate);
      if (at > until || totalRate === 0) break;
      this.now = at;
      this.events++;
      // With the event's kind and its packet from two draws, 32 bits are enough for each.
      if (this.#random.uniform() * totalRate < sourceRate) source.emit(this);
      else this.#depart(this.#random.int(this.#inFlight), source);
    }
    this.now = until;
  }

  #depart(packet: number, source: TrafficSource): void {
    const mix = this.#mixOf[packet]!;
    if (this.#corrupt[mix] === 1) this.#takeOwn(packet);
    else this.#takeShare(mix);
    this.poolSizes[mix]!--;
    const hopsLeft = this.#hopsLeft[packet]! - 1;
    if (hopsLeft === 0) {
      source.leave?.(this.#moving, this.#kind[packet]!, this.#enteredAt[packet]!, this.now);
      this.#remove(packet);
      return;
    }
    this.#hopsLeft[packet] = hopsLeft;
    const { layers, mixesPerLayer } = this.options;
    this.#arrive(packet, (Math.floor(mix / mixesPerLayer) + 1) % layers);
  }

  /** The packet in motion joins a random mix of `layer`. */
  #arrive(packet: number, layer: number): void {
    const { mixesPerLayer, labels } = this.options;
    const mix = layer * mixesPerLayer + this.#random.int(mixesPerLayer);
    this.#mixOf[packet] = mix;
    this.poolSizes[mix]!++;
    if (this.#corrupt[mix] === 1) {
      this.#knownOf.set(this.#moving, packet * labels);
      return;
    }
    const base = mix * labels;
    for (let label = 0; label < labels; label++) this.#mass[base + label]! += this.#moving[label]!;
  }

  /** An honest mix sends: any of its packets may be the one that leaves. */
  #takeShare(mix: number): void {
    const { labels } = this.options;
    const size = this.poolSizes[mix]!;
    const base = mix * labels;
    for (let label = 0; label < labels; label++) {
      const mass = this.#mass[base + label]!;
      const share = mass / size;
      this.#moving[label] = share;
      this.#mass[base + label] = size === 1 ? 0 : mass - share;
    }
  }

  #takeOwn(packet: number): void {
    const { labels } = this.options;
    for (let label = 0; label < labels; label++) this.#moving[label] = this.#knownOf[packet * labels + label]!;
  }

  /** The last packet takes the place of the one that left. */
  #remove(packet: number): void {
    const last = --this.#inFlight;
    this.#mixOf[packet] = this.#mixOf[last]!;
    this.#hopsLeft[packet] = this.#hopsLeft[last]!;
    this.#kind[packet] = this.#kind[last]!;
    this.#enteredAt[packet] = this.#enteredAt[last]!;
    if (this.#knownOf.length === 0) return;
    const { labels } = this.options;
    this.#knownOf.copyWithin(packet * labels, last * labels, (last + 1) * labels);
  }

  #grow(): void {
    const capacity = this.#mixOf.length * 2;
    this.#mixOf = grown(this.#mixOf, new Uint16Array(capacity));
    this.#hopsLeft = grown(this.#hopsLeft, new Uint8Array(capacity));
    this.#kind = grown(this.#kind, new Uint8Array(capacity));
    this.#enteredAt = grown(this.#enteredAt, new Float64Array(capacity));
    if (this.#knownOf.length > 0) {
      this.#knownOf = grown(this.#knownOf, new Float64Array(capacity * this.options.labels));
    }
  }
}

function grown<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}
