/**
 * The network of section 4.3 of the Loopix paper with any parameters, in its time units: all three measures at once.
 * @module
 */
import { type PacketEntropy, packetEntropy, type Source, senderEntropy } from './end-to-end.ts';
import { SimulationRandom } from './random.ts';
import { simulateSingleMix } from './single-mix.ts';
import type { Spread } from './statistics.ts';
import { type EpsilonResult, measureEpsilon, type UnlinkabilityOptions } from './unlinkability.ts';

export interface PaperNetworkResult {
  /** Lemma 1, and as simulated. */
  readonly pool: number;
  readonly simulatedPool: number;
  readonly singleMixBits: number;
  readonly packet: PacketEntropy;
  readonly sender: Spread;
  readonly epsilon: EpsilonResult;
}

const MEASURED_DEPARTURES = 20_000;
const SENDER_SAMPLES_PER_REPETITION = 10;

export function measurePaperNetwork(
  setting: UnlinkabilityOptions,
  repetitions: number,
  seed: number,
): PaperNetworkResult {
  const { users, ratePerUser, delayRate, layers, mixesPerLayer } = setting;
  const rate = users * ratePerUser + setting.otherRate;
  const arrivalRate = rate / mixesPerLayer;
  const sources: Source[] = [{ rate, layer: 0, hops: layers, kind: 0, users }];
  const mixing = { arrivalRate, delayRate, departures: MEASURED_DEPARTURES };
  const single = simulateSingleMix(mixing, new SimulationRandom(seed, 1));
  const senders = SENDER_SAMPLES_PER_REPETITION * repetitions;
  return {
    pool: arrivalRate / delayRate,
    simulatedPool: single.poolMean,
    singleMixBits: single.entropyBits,
    packet: packetEntropy(setting, sources, 0, repetitions, new SimulationRandom(seed, 2)),
    sender: senderEntropy(setting, sources, 0, senders, new SimulationRandom(seed, 3)),
    epsilon: measureEpsilon(setting, repetitions, [seed, 4]),
  };
}
