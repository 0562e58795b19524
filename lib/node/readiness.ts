/**
 * Whether a mix or gateway can do its work.
 * @module
 */
import { type Listing, listingFaults } from '../directory/index.ts';
import type { PeerStatus } from '../link/index.ts';

export interface NodeCondition extends Listing {
  /** The links to the nodes that packets go to next. */
  readonly peers: { status(): readonly Pick<PeerStatus, 'state'>[] };
}

/**
 * What is missing, a line each: a consensus that lists this node with its key, and links to at least half of the next layer. (Others may
 * be down themselves: one that died must not make all nodes before it unready.)
 */
export function nodeFaults(condition: NodeCondition): string[] {
  const faults = listingFaults(condition);
  const { peers, directory } = condition;
  const links = peers.status();
  const up = links.filter(({ state }) => state === 'up').length;
  if (directory.topology() !== undefined && (up === 0 || 2 * up < links.length)) {
    faults.push(`${up} of ${links.length} links to the next layer are up`);
  }
  return faults;
}
