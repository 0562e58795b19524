/**
 * The network as a client uses it now: the consensus in force, the rates of the client's class, and the laws of delays.
 * @module
 */
import { DelayLaws, delayLawOf } from '../core/delay-law.ts';
import { MixError } from '../core/errors.ts';
import type { TrafficClass } from '../core/params.ts';
import type { MonotonicMs } from '../core/units.ts';
import type { Topology } from '../directory/index.ts';

export class JoinedNetwork {
  readonly laws: DelayLaws;
  #topology: Topology;
  #rates: TrafficClass;

  /** Throws MixError NO_CONSENSUS, or CONFIG when the network has no such class. */
  constructor(
    topology: Topology | undefined,
    readonly trafficClass: string,
  ) {
    if (topology === undefined) throw noConsensus();
    const { classes } = topology.params;
    const rates = Object.hasOwn(classes, trafficClass) ? classes[trafficClass] : undefined;
    if (rates === undefined) throw new MixError('CONFIG', `this network has no traffic class "${trafficClass}"`);
    this.#topology = topology;
    this.#rates = rates;
    this.laws = new DelayLaws(delayLawOf(topology.params));
  }

  get topology(): Topology {
    return this.#topology;
  }

  /** Of the class; the last known ones when the network has given it up. */
  get rates(): TrafficClass {
    return this.#rates;
  }

  /** Another consensus is in force. */
  adopt(topology: Topology, nowMs: MonotonicMs): void {
    this.#topology = topology;
    this.#rates = topology.params.classes[this.trafficClass] ?? this.#rates;
    this.laws.follow(topology.params, nowMs);
  }
}

/** Throws MixError NO_CONSENSUS before there is one. */
export function joined(network: JoinedNetwork | undefined): JoinedNetwork {
  if (network === undefined) throw noConsensus();
  return network;
}

const noConsensus = () => new MixError('NO_CONSENSUS', 'there is no consensus yet');
