/**
 * Seats of a gateway's clients: how many the consensus lets it admit, and who has one.
 * @module
 */
import { type NetworkParams, uplinkRate } from '../lib/core/params.ts';
import type { Client } from './client.ts';

export interface Seats {
  /** What a client of a class takes: 1 of class standard, others in proportion to their packets. */
  readonly taken: (trafficClass: string) => number;
  /** How many there are by the present consensus. Those who are connected stay when it falls. */
  readonly most: () => number;
}

/** Of sums of rates in floating point. */
const ROUNDING = 1e-6;

/**
 * Whether there is one for a further client of `trafficClass` beside `clients`. The first may take more than there are: no class is to
 * be shut out for its rates.
 */
export function hasSeat(seats: Seats, clients: readonly Client[], trafficClass: string): boolean {
  const seated = clients.filter(({ link, keepsSeat }) => link !== undefined || keepsSeat);
  const taken = seated.reduce((sum, client) => sum + seats.taken(client.trafficClass), 0);
  return seated.length === 0 || taken + seats.taken(trafficClass) <= seats.most() + ROUNDING;
}

/** What a client makes of packets in each layer, where one of class standard makes 1; 1 of a class that the network does not have. */
export function seatsOf({ classes }: Pick<NetworkParams, 'classes'>, trafficClass: string): number {
  const { standard } = classes;
  const rates = Object.hasOwn(classes, trafficClass) ? classes[trafficClass] : undefined;
  if (standard === undefined || rates === undefined) return 1;
  const whole = uplinkRate(standard) + standard.replyRate;
  return whole === 0 ? 1 : (uplinkRate(rates) + rates.replyRate) / whole;
}

/** Whether a link ended although neither side had ended it: by an error of the system, or since nothing moved. */
export function hasBroken(reason: string): boolean {
  return reason === 'stalled' || /^E[A-Z]+$/.test(reason);
}
