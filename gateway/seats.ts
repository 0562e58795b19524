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
 * Whether there is one for a client of `trafficClass` beside the other `clients`. `present`: itself, connected or not long ago; it keeps what
 * it has, and needs more for a class that takes more. The first may take more than there are: no class is to be shut out for its rates.
 */
export function hasSeat(
  seats: Seats,
  clients: readonly Client[],
  trafficClass: string,
  present: Client | undefined,
): boolean {
  const seated = clients.filter(isSeated);
  const wanted = seats.taken(trafficClass);
  if (present !== undefined && isSeated(present) && wanted <= seats.taken(present.trafficClass) + ROUNDING) return true;
  const others = seated.filter((client) => client !== present);
  const taken = others.reduce((sum, client) => sum + seats.taken(client.trafficClass), 0);
  return others.length === 0 || taken + wanted <= seats.most() + ROUNDING;
}

const isSeated = ({ link, keepsSeat }: Client): boolean => link !== undefined || keepsSeat;

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
