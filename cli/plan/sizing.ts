/**
 * How many mixes, gateways and exits carry a number of users: the fewest of each that leave room on a machine with given costs. Pure.
 * @module
 */
import { GatewayConfig } from '../../gateway/config.ts';
import { MixError } from '../../lib/core/errors.ts';
import type { TrafficClass } from '../../lib/core/params.ts';
import { acceptedRate } from '../../lib/mixing/index.ts';
import { nodeOptions } from '../../lib/node/config.ts';
import { RequesterConfig } from '../../network-requester/config.ts';
import {
  type MachineCosts,
  type NetworkRates,
  type NetworkShape,
  packetsAt,
  processorTime,
} from '../localnet/capacity.ts';

/** Of each, however few users there are: one can be restarted, and no single one sees both ends of all sessions. */
const LEAST = { mixesPerLayer: 2, gateways: 2, requesters: 2 } as const;
/** Of one processor, and of the accepted rate: the rest is for bursts, and for what others leave undone while they are down. */
const USED_SHARE = 0.7;
/** Of the time of a node for unwrapping, as in lib/mixing/accepted-rate.ts. */
const UNWRAP_SHARE = 0.6;
/** Beyond this nothing is sought. */
const MOST_NODES = 1e8;

export type Sizes = Required<Pick<NetworkShape, 'mixesPerLayer' | 'gateways' | 'requesters'>>;

export interface Demand {
  readonly users: number;
  readonly traffic: TrafficClass;
  readonly nodeLoopRate: number;
  readonly payloadBytes: number;
  readonly epochMs: number;
}

/** Bounds of a role as it is configured by default. */
export const DEFAULT_BOUNDS = {
  maxPacketsPerSecond: nodeOptions.maxPacketsPerSecond.parse(undefined),
  replayMemoryMiB: nodeOptions.replayMemoryMiB.parse(undefined),
  maxClients: GatewayConfig.shape.maxClients.parse(undefined),
  maxDeliveryRate: GatewayConfig.shape.maxDeliveryRate.parse(undefined),
  maxReplyRate: RequesterConfig.shape.maxReplyRate.parse(undefined),
} as const;

export const ratesOf = ({ traffic, nodeLoopRate }: Pick<Demand, 'traffic' | 'nodeLoopRate'>): NetworkRates => ({
  rate: traffic.mainRate,
  replyRate: traffic.replyRate,
  loopRate: traffic.loopRate,
  dropRate: traffic.dropRate,
  nodeLoopRate,
});

export const shapeOf = ({ users, payloadBytes }: Demand, sizes: Sizes): NetworkShape => ({
  ...sizes,
  proxies: users,
  packetSize: payloadBytes,
});

/** The least network for `demand`. Throws LIMIT where a machine is too slow for a node of its own loops. */
export function sizesFor(demand: Demand, costs: MachineCosts): Sizes {
  let sizes: Sizes = LEAST;
  // More nodes make more loops for the others: from below, again until nothing grows.
  for (;;) {
    const grown = { ...sizes };
    for (const part of Object.keys(LEAST) as (keyof Sizes)[]) {
      grown[part] = fewest(grown[part], (count) => carries({ ...grown, [part]: count }, part, demand, costs));
    }
    if (Object.keys(LEAST).every((part) => grown[part as keyof Sizes] === sizes[part as keyof Sizes])) return grown;
    sizes = grown;
  }
}

/** The least count from `least` on that `fits`, which holds for all greater ones too. */
function fewest(least: number, fits: (count: number) => boolean): number {
  let [below, enough] = [least - 1, least];
  while (!fits(enough)) {
    if (enough > MOST_NODES) throw new MixError('LIMIT', 'this machine is too slow for a node of such a network');
    [below, enough] = [enough, 2 * enough];
  }
  while (enough - below > 1) {
    const middle = Math.floor((below + enough) / 2);
    if (fits(middle)) enough = middle;
    else below = middle;
  }
  return enough;
}

/** Whether so many of one part do what falls to them. */
function carries(sizes: Sizes, part: keyof Sizes, demand: Demand, costs: MachineCosts): boolean {
  const rates = ratesOf(demand);
  const shape = shapeOf(demand, sizes);
  const { maxClients, maxDeliveryRate, maxReplyRate } = DEFAULT_BOUNDS;
  const time = processorTime(rates, shape, costs);
  const packets = packetsAt(rates, shape);
  const most = USED_SHARE * acceptedRate((1000 * UNWRAP_SHARE) / costs.unwrapMs, { ...DEFAULT_BOUNDS, ...demand });
  switch (part) {
    case 'mixesPerLayer':
      return time.mixnode <= USED_SHARE && packets.mixnode <= most;
    case 'gateways': {
      const clients = demand.users / sizes.gateways;
      const isBounded = clients <= maxClients && clients * demand.traffic.deliveryRate <= maxDeliveryRate;
      return isBounded && time.gateway <= USED_SHARE && packets.gateway <= most;
    }
    case 'requesters':
      return time.requester <= USED_SHARE && (demand.users * rates.replyRate) / sizes.requesters <= maxReplyRate;
  }
}
