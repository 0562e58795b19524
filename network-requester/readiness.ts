/**
 * Whether sessions of proxies can come to a requester.
 * @module
 */
import { type Listing, listingFaults } from '../lib/directory/index.ts';

export interface RequesterCondition extends Listing {
  /** Whether a link to one of its gateways is up. */
  readonly hasLink: boolean;
}

/** What is missing, a line each: a consensus that lists it with its key, and a link to one of its gateways. */
export function requesterFaults(condition: RequesterCondition): string[] {
  const noLink = condition.hasLink ? [] : ['no link to a gateway is up'];
  return [...listingFaults(condition), ...noLink];
}
