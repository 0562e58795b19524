/**
 * The anonymity of a mixsocks network with given parameters: which packets its clocks send through each layer, how many
 * wait in each mix, and what that is worth. Times in seconds.
 * @module
 */
import type { IdentityHex } from '../../lib/core/bytes.ts';
import type { TrafficClass } from '../../lib/core/params.ts';
import { CAPACITY_STEPS, DELAY_STEPS, meanDelayInForce, stepAtMost } from '../../lib/directory/index.ts';
import { type PacketEntropy, packetEntropy, type Source, senderEntropy, type Topology } from './end-to-end.ts';
import { SimulationRandom } from './random.ts';
import { simulateSingleMix } from './single-mix.ts';
import type { Spread } from './statistics.ts';
import { type EpsilonResult, measureEpsilon, settledAfter } from './unlinkability.ts';

export interface OwnNetwork {
  readonly proxies: number;
  readonly requesters: number;
  readonly gateways: number;
  readonly layers: number;
  readonly mixesPerLayer: number;
  readonly corruptMixes: number;
  readonly meanDelayMs: number;
  readonly traffic: Omit<TrafficClass, 'deliveryRate'>;
  /** λM; 0 leaves out the loops of the nodes, as if the observer knew them. */
  readonly nodeLoopRate: number;
}

/** Where a packet goes on to after the last layer; an observer of the links sees that. */
const TO_REQUESTER = 1;
const TO_PROXY = 2;
const ELSEWHERE = 3;

/** All sources of packets of the network (lib/core/params.ts; docs/PROTOCOL.md, section 7). */
export function sourcesOf(network: OwnNetwork): Source[] {
  const { proxies, requesters, gateways, layers, mixesPerLayer, traffic, nodeLoopRate } = network;
  const through = { layer: 0, hops: layers, users: 0 };
  const own = { ...through, users: proxies };
  const sources: Source[] = [
    { ...own, rate: proxies * traffic.mainRate, kind: TO_REQUESTER },
    { ...own, rate: proxies * traffic.loopRate, kind: TO_PROXY },
    { ...own, rate: proxies * traffic.dropRate, kind: ELSEWHERE },
    { ...through, rate: proxies * traffic.replyRate, kind: TO_PROXY },
    { ...through, rate: requesters * traffic.loopRate, kind: TO_REQUESTER },
    { ...through, rate: requesters * traffic.dropRate, kind: ELSEWHERE },
    { ...through, rate: gateways * nodeLoopRate, kind: ELSEWHERE },
  ];
  // The loop of a mix goes once around through all other layers and ends at the mix, without waiting there.
  for (let layer = 0; layer < layers && layers > 1; layer++) {
    const loops = { rate: mixesPerLayer * nodeLoopRate, layer: (layer + 1) % layers, hops: layers - 1 };
    sources.push({ ...loops, kind: ELSEWHERE, users: 0 });
  }
  return sources.filter(({ rate }) => rate > 0);
}

/** Packets per second that come to each mix. */
export function arrivalRatePerMix({ layers, mixesPerLayer }: OwnNetwork, sources: readonly Source[]): number {
  const visits = sources.reduce((sum, source) => sum + source.rate * source.hops, 0);
  return visits / (layers * mixesPerLayer);
}

/** The mean delay, ms, that authorities with this mixing target come to while nothing changes. */
export function settledDelayMs(network: OwnNetwork, mixingTarget: number): number {
  const arrivalsPerSecond = stepAtMost(CAPACITY_STEPS, arrivalRatePerMix(network, sourcesOf(network)));
  const mixes = [1, 2, 3].map((layer) => ({
    ...{ identity: String(layer) as IdentityHex, role: 'mixnode', layer, arrivalsPerSecond },
  })) as Parameters<typeof meanDelayInForce>[0];
  let { meanDelayMs } = network;
  for (const _step of DELAY_STEPS)
    meanDelayMs = meanDelayInForce(mixes, { mixingTarget, meanDelayMs }, { meanDelayMs });
  return meanDelayMs;
}

export interface OwnNetworkResult {
  readonly arrivalsPerMix: number;
  /** Lemma 1: arrivals per mix times the mean delay. */
  readonly pool: number;
  readonly simulatedPool: number;
  readonly singleMixBits: number;
  /** Which of the packets that come out is the one a proxy just sent to a requester? */
  readonly packet: PacketEntropy;
  /** Which proxy sent a packet that goes to a requester? Undefined for too many proxies to follow each. */
  readonly sender: Spread | undefined;
  /** Two proxies that both send data; undefined for fewer than two. */
  readonly epsilon: EpsilonResult | undefined;
}

export interface Effort {
  readonly seed: number;
  readonly repetitions: number;
}

/** Following a label per proxy costs their number at each event. */
const MOST_LABELLED_PROXIES = 512;
const MEASURED_DEPARTURES = 20_000;
/** Main slots of a challenger before ε is measured: as in the paper (100 time units at λ = 2). */
const CHALLENGE_SLOTS = 200;

export function measureOwnNetwork(network: OwnNetwork, { seed, repetitions }: Effort): OwnNetworkResult {
  const { proxies, layers, mixesPerLayer, corruptMixes } = network;
  const sources = sourcesOf(network);
  const delayRate = 1000 / network.meanDelayMs;
  const arrivalsPerMix = arrivalRatePerMix(network, sources);
  const mixing = { arrivalRate: arrivalsPerMix, delayRate, departures: MEASURED_DEPARTURES };
  const single = simulateSingleMix(mixing, new SimulationRandom(seed, 1));
  const random = new SimulationRandom(seed, 2);
  const topology: Topology = { layers, mixesPerLayer, delayRate, corruptMixes };
  const followsUsers = proxies <= MOST_LABELLED_PROXIES;
  return {
    arrivalsPerMix,
    pool: arrivalsPerMix / delayRate,
    simulatedPool: single.poolMean,
    singleMixBits: single.entropyBits,
    packet: packetEntropy(topology, sources, TO_REQUESTER, repetitions, random),
    sender: followsUsers ? senderEntropy(topology, sources, TO_REQUESTER, 10 * repetitions, random) : undefined,
    epsilon: proxies < 2 ? undefined : epsilonOf(network, sources, { seed, repetitions }),
  };
}

/**
 * The experiment of section 4.3 with the clocks of this network. As in the paper, data fills half the slots of the clock
 * that can carry it; everything else is traffic of others.
 */
function epsilonOf(network: OwnNetwork, sources: readonly Source[], { seed, repetitions }: Effort): EpsilonResult {
  const { proxies, traffic, layers, mixesPerLayer, corruptMixes } = network;
  const delayRate = 1000 / network.meanDelayMs;
  const ratePerLayer = arrivalRatePerMix(network, sources) * mixesPerLayer;
  const burnIn = settledAfter(layers, delayRate);
  return measureEpsilon(
    {
      users: proxies,
      ratePerUser: traffic.mainRate,
      payloadRate: traffic.mainRate / 2,
      otherRate: ratePerLayer - proxies * traffic.mainRate,
      delayRate,
      layers,
      mixesPerLayer,
      corruptMixes,
      burnIn,
      // Long enough for both the mixes and the challengers' buffers to forget how they started.
      challengeTime: burnIn + CHALLENGE_SLOTS / traffic.mainRate,
    },
    repetitions,
    [seed, 3],
  );
}
