/**
 * How many packets wait in a mix at the same time: its arrival rate times the mean delay (Little's law). That pool is
 * what hides a packet, so the status shows when it is small.
 *
 * Beside the pool, in which all packets count, there is what one user has in a layer at a time: the Loopix paper's λ/μ
 * (docs/ANONYMITY.md). Of few, it is easier to tell which of two busy users sent a packet, however many others there are.
 *
 * Counted is what can be known from here: the clocks of this proxy, of the exits and of the nodes. Other proxies announce
 * nothing, so the estimate is a lower bound, and it says how many of them it would take.
 * @module
 */

import type { NetworkParams, TrafficClass } from '../../core/params.ts';
import type { Topology } from '../../directory/index.ts';

export interface MixingStatus {
  /** Packets per second at a mix of the layer that sees fewest. */
  readonly arrivalsPerSecond: number;
  /** Packets that wait in it on average, and how many of them are not this proxy's. */
  readonly poolPackets: number;
  readonly othersPackets: number;
  /** Share of packets that would meet no other packet in it. */
  readonly aloneShare: number;
  readonly enough: boolean;
  /** Further proxies of the same class with which the pool would be large enough. */
  readonly proxiesWanted: number;
  /** The mean delay per mix with which it would be, as things are. */
  readonly delayWantedMs: number;
  /** Main packets of one user that are in a layer at a time. */
  readonly perUserPackets: number;
  readonly perUserEnough: boolean;
  /** The mean delay per mix with which they would be enough. */
  readonly perUserDelayMs: number;
}

type PoolStatus = Omit<MixingStatus, keyof ReturnType<typeof perUser>>;

/** With ten packets in the pool, fewer than one packet in 200,000 passes a mix without meeting another. */
export const ENOUGH_POOL_PACKETS = 10;
/** "λ/μ ≥ 2 is a good choice": the Loopix paper, section 4.3. */
export const ENOUGH_PER_USER_PACKETS = 2;

/** What one more proxy sends through every layer; in burst mode replies keep no rate to count on. */
function ratePerLayer(rates: TrafficClass, downlink: 'steady' | 'burst'): number {
  return rates.mainRate + rates.loopRate + rates.dropRate + (downlink === 'steady' ? rates.replyRate : 0);
}

/** The estimate for a proxy of `trafficClass`; undefined when the network lacks a layer or that class. */
export function mixingPool(
  topology: Topology,
  trafficClass: string,
  downlink: 'steady' | 'burst',
): MixingStatus | undefined {
  const { params, layers } = topology;
  const rates = params.classes[trafficClass];
  if (rates === undefined || layers.length === 0 || layers.some((layer) => layer.length === 0)) return undefined;
  const own = ratePerLayer(rates, downlink);
  const perMix = layers.map((layer) => ({ mixes: layer.length, others: othersPerLayer(topology, layer.length) }));
  const least = perMix.reduce((a, b) => ((a.others + own) / a.mixes <= (b.others + own) / b.mixes ? a : b));
  return { ...estimate(params, least.mixes, own, least.others), ...perUser(params, rates) };
}

function perUser({ meanDelayMs }: NetworkParams, { mainRate }: TrafficClass) {
  const perUserPackets = (mainRate * meanDelayMs) / 1000;
  const perUserEnough = perUserPackets >= ENOUGH_PER_USER_PACKETS;
  const wantedMs = Math.ceil((1000 * ENOUGH_PER_USER_PACKETS) / mainRate);
  return { perUserPackets, perUserEnough, perUserDelayMs: perUserEnough ? meanDelayMs : wantedMs };
}

/**
 * Cover of exits and nodes that crosses a layer of `mixes` mixes. A loop of a mix ends in its own layer, where it does
 * not wait; loops of gateways and exits wait once in every layer.
 */
function othersPerLayer({ params, layers, gateways, requesters }: Topology, mixes: number): number {
  const exit = params.classes.standard ?? Object.values(params.classes)[0];
  const exitRate = exit === undefined ? 0 : exit.loopRate + exit.dropRate;
  const allMixes = layers.reduce((sum, layer) => sum + layer.length, 0);
  return requesters.length * exitRate + (gateways.length + allMixes - mixes) * params.nodeLoopRate;
}

function estimate({ meanDelayMs }: NetworkParams, mixes: number, own: number, others: number): PoolStatus {
  const arrivalsPerSecond = (own + others) / mixes;
  const poolPackets = (arrivalsPerSecond * meanDelayMs) / 1000;
  const enough = poolPackets >= ENOUGH_POOL_PACKETS;
  const missingPerSecond = (1000 * ENOUGH_POOL_PACKETS) / meanDelayMs - arrivalsPerSecond;
  return {
    arrivalsPerSecond,
    poolPackets,
    othersPackets: ((others / mixes) * meanDelayMs) / 1000,
    // M/M/∞: nobody there on arrival (e^-k), and nobody comes before it leaves (1 / (1 + k)).
    aloneShare: Math.exp(-poolPackets) / (1 + poolPackets),
    enough,
    proxiesWanted: enough ? 0 : Math.ceil((missingPerSecond * mixes) / own),
    delayWantedMs: enough ? meanDelayMs : Math.ceil((1000 * ENOUGH_POOL_PACKETS) / arrivalsPerSecond),
  };
}
