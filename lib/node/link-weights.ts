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
 * clients, where the mean of all is 1: by the number that the consensus lets it admit, if there is one, and a quarter at least. And it has a
 * part of that of all exits for each exit that names it; how busy an exit is nobody knows, so that all count alike.
 */
export function linkWeights(topology: Listed, position: RingPosition): Map<IdentityHex, number> {
  if (position !== 1) return new Map(nodesAhead(topology, position, -1).map(({ id }) => [id, 1]));
  const { gateways, requesters, params } = topology;
  const weights = clientWeights(gateways);
  const perExit = (repliesPerPacket(params) * gateways.length) / requesters.length;
  for (const { gateways: named = [] } of requesters) {
    for (const id of named) {
      const weight = weights.get(id);
      if (weight !== undefined) weights.set(id, weight + perExit / named.length);
    }
  }
  return weights;
}

/** Of the mean: what a gateway whose number is low may burst in any case. Its clients may have come when the number was higher. */
const LEAST_CLIENTS_SHARE = 1 / 4;

function clientWeights(gateways: Topology['gateways']): Map<IdentityHex, number> {
  const numbers = gateways.flatMap(({ maxClients }) => maxClients ?? []);
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  return new Map(
    gateways.map(({ id, maxClients = mean }) => [id, mean > 0 ? Math.max(LEAST_CLIENTS_SHARE, maxClients / mean) : 1]),
  );
}

/** Replies that exits send for a packet of a client at most, by the classes. */
function repliesPerPacket({ classes }: NetworkParams): number {
  const ratios = Object.values(classes).map((rates) => rates.replyRate / uplinkRate(rates));
  return Math.max(0, ...ratios.filter(Number.isFinite));
}
