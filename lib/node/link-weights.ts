/**
 * What the consensus lets each neighbour carry, for the shares of incoming links: numbers in proportion to packets per second.
 * @module
 */
import type { IdentityHex } from '../core/bytes.ts';
import { type NetworkParams, uplinkRate } from '../core/params.ts';
import { nodesAhead, type RingPosition, type Topology } from '../directory/index.ts';

type Listed = Pick<Topology, 'layers' | 'gateways' | 'requesters' | 'params'>;

/**
 * The weights of the nodes before `position`. Mixes of a layer have equal ones, since routes are drawn uniformly. A gateway has that of its
 * clients, and a part of that of all exits for each exit that names it. A consensus does not say how many clients a gateway has
 * nor how busy an exit is: until it does, all gateways count alike, and all exits. What a gateway carries, once it is published,
 * belongs in place of 1 here.
 */
export function linkWeights(topology: Listed, position: RingPosition): Map<IdentityHex, number> {
  const weights = new Map(nodesAhead(topology, position, -1).map(({ id }) => [id, 1]));
  if (position !== 1) return weights;
  const { gateways, requesters, params } = topology;
  const perExit = (repliesPerPacket(params) * gateways.length) / requesters.length;
  for (const { gateways: named = [] } of requesters) {
    for (const id of named) {
      const weight = weights.get(id);
      if (weight !== undefined) weights.set(id, weight + perExit / named.length);
    }
  }
  return weights;
}

/** Replies that exits send for a packet of a client at most, by the classes. */
function repliesPerPacket({ classes }: NetworkParams): number {
  const ratios = Object.values(classes).map((rates) => rates.replyRate / uplinkRate(rates));
  return Math.max(0, ...ratios.filter(Number.isFinite));
}
