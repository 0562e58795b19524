/**
 * Anonymity over the whole path, in bits, against an observer of all links (and of the inside of corrupt mixes).
 *
 * * Packet entropy: a packet was seen to enter. Which of the packets that leave the last layer is it?
 * * Sender entropy: a packet was seen to leave. Which of the users sent it?
 * @module
 */
import { MixNetwork, type MixNetworkOptions, NO_LABEL, type TrafficSource } from './mix-network.ts';
import type { SimulationRandom } from './random.ts';
import { type Spread, spreadOf } from './statistics.ts';
import { settledAfter } from './unlinkability.ts';

/** Packets of one origin: they enter at `layer`, pass `hops` layers and go on to where `kind` stands for. */
export interface Source {
  readonly rate: number;
  readonly layer: number;
  readonly hops: number;
  readonly kind: number;
  /** The users who send these, all at the same rate; 0: nobody whose anonymity is measured. */
  readonly users: number;
}

/** The mixes, and how many of them, drawn anew for every batch of samples, are corrupt. */
export interface Topology extends Omit<MixNetworkOptions, 'labels' | 'corrupt'> {
  readonly corruptMixes: number;
}

function networkOf(topology: Topology, labels: number, random: SimulationRandom): MixNetwork {
  const corrupt = random.sample(topology.corruptMixes, topology.layers * topology.mixesPerLayer);
  return new MixNetwork({ ...topology, labels, corrupt }, random);
}

/** Time for all but 10^-6 of a followed packet's probability to leave. */
function followedFor(topology: Topology): number {
  return (2 * topology.layers + 20) / topology.delayRate;
}

function pickSource(sources: readonly Source[], rate: number, random: SimulationRandom): Source {
  let left = random.uniform() * rate;
  for (const source of sources) {
    left -= source.rate;
    if (left < 0) return source;
  }
  return sources[sources.length - 1]!;
}

function sumOfRates(sources: readonly Source[]): number {
  return sources.reduce((sum, source) => sum + source.rate, 0);
}

/** Follows packets of the kind of interest, one label each. */
class FollowedPackets implements TrafficSource {
  readonly rate: number;
  readonly #sources: readonly Source[];
  readonly #random: SimulationRandom;
  readonly #kind: number;
  #pending = 0;
  /** Sums of q and of q log2 q per label, over all outputs and over those of the same kind. */
  readonly any: EntropySums;
  readonly sameKind: EntropySums;

  constructor(sources: readonly Source[], kind: number, labels: number, random: SimulationRandom) {
    this.#sources = sources;
    this.#kind = kind;
    this.#random = random;
    this.rate = sumOfRates(sources);
    this.any = new EntropySums(labels);
    this.sameKind = new EntropySums(labels);
  }

  follow(): void {
    this.#pending = this.any.labels;
  }

  emit(network: MixNetwork): void {
    const source = pickSource(this.#sources, this.rate, this.#random);
    const followed = this.#pending > 0 && source.kind === this.#kind;
    network.enter(source.layer, source.hops, followed ? --this.#pending : NO_LABEL, source.kind);
  }

  leave(known: Float64Array, kind: number): void {
    this.any.add(known);
    if (kind === this.#kind) this.sameKind.add(known);
  }
}

/** -Σ q log2 q of distributions that come in pieces. */
class EntropySums {
  readonly labels: number;
  readonly #mass: Float64Array;
  readonly #weighted: Float64Array;

  constructor(labels: number) {
    this.labels = labels;
    this.#mass = new Float64Array(labels);
    this.#weighted = new Float64Array(labels);
  }

  add(probabilities: Float64Array): void {
    for (let label = 0; label < this.labels; label++) {
      const q = probabilities[label]!;
      if (q === 0) continue;
      this.#mass[label]! += q;
      this.#weighted[label]! += q * Math.log2(q);
    }
  }

  /** Entropy of each distribution, brought to the sum 1. */
  entropies(): number[] {
    return Array.from(this.#mass, (mass, label) => Math.max(0, Math.log2(mass) - this.#weighted[label]! / mass));
  }
}

export interface PacketEntropy {
  /** Bits over all packets that leave the last layer. */
  readonly any: Spread;
  /** Bits when the observer leaves out packets which go on to where the followed one cannot go. */
  readonly sameKind: Spread;
  /** Share of packets with less than one bit of `sameKind`: traced. */
  readonly tracedShare: number;
  /** Packets simulated. */
  readonly packets: number;
}

/** Follows `targets` packets of `kind`, a batch at a time, through a network in its steady state. */
export function packetEntropy(
  topology: Topology,
  sources: readonly Source[],
  kind: number,
  targets: number,
  random: SimulationRandom,
): PacketEntropy {
  const labels = Math.min(targets, 8);
  const [any, sameKind]: [number[], number[]] = [[], []];
  let packets = 0;
  while (any.length < targets) {
    const network = networkOf(topology, labels, random);
    const followed = new FollowedPackets(sources, kind, labels, random);
    network.run(settledAfter(topology.layers, topology.delayRate), followed);
    followed.follow();
    network.run(network.now + followedFor(topology), followed);
    any.push(...followed.any.entropies());
    sameKind.push(...followed.sameKind.entropies());
    packets += network.entered;
  }
  const traced = sameKind.filter((bits) => bits < 1).length;
  return { any: spreadOf(any), sameKind: spreadOf(sameKind), tracedShare: traced / sameKind.length, packets };
}

/** Every packet of a user carries that user's label. */
class LabelledUsers implements TrafficSource {
  readonly rate: number;
  readonly #sources: readonly Source[];
  readonly #random: SimulationRandom;
  readonly #kind: number;
  readonly entropies: number[] = [];
  measuring = false;

  constructor(sources: readonly Source[], kind: number, random: SimulationRandom) {
    this.#sources = sources;
    this.#kind = kind;
    this.#random = random;
    this.rate = sumOfRates(sources);
  }

  emit(network: MixNetwork): void {
    const source = pickSource(this.#sources, this.rate, this.#random);
    const user = source.users === 0 ? NO_LABEL : this.#random.int(source.users);
    network.enter(source.layer, source.hops, user, source.kind);
  }

  leave(known: Float64Array, kind: number): void {
    if (!this.measuring || kind !== this.#kind) return;
    this.entropies.push(entropyOf(known));
  }
}

/** Entropy in bits of a distribution given up to a factor; 0 for one that is empty. */
export function entropyOf(weights: Float64Array): number {
  let [sum, weighted] = [0, 0];
  for (const weight of weights) {
    if (weight <= 0) continue;
    sum += weight;
    weighted += weight * Math.log2(weight);
  }
  return sum === 0 ? 0 : Math.max(0, Math.log2(sum) - weighted / sum);
}

/** Networks, each with its own corrupt mixes, over which a sender entropy is averaged. */
const SENDER_BATCHES = 10;

/** Entropy over the users, given that one of them sent the packet: for at least `samples` packets of `kind`. */
export function senderEntropy(
  topology: Topology,
  sources: readonly Source[],
  kind: number,
  samples: number,
  random: SimulationRandom,
): Spread {
  const users = Math.max(...sources.map((source) => source.users));
  const batches = topology.corruptMixes === 0 ? 1 : SENDER_BATCHES;
  const entropies: number[] = [];
  for (let batch = 0; batch < batches; batch++) {
    const network = networkOf(topology, users, random);
    const labelled = new LabelledUsers(sources, kind, random);
    // The labels start with the network, so its steady state is also that of what is known.
    network.run(2 * settledAfter(topology.layers, topology.delayRate), labelled);
    labelled.measuring = true;
    while (labelled.entropies.length < samples / batches) network.run(network.now + 1 / topology.delayRate, labelled);
    entropies.push(...labelled.entropies);
  }
  return spreadOf(entropies);
}
