/**
 * What is wrong with a consensus for who works by it.
 * @module
 */
import { constantTimeEqual, type IdentityHex } from '../core/bytes.ts';
import { epochAt } from '../core/params.ts';
import type { EpochNumber, UnixMs } from '../core/units.ts';
import type { Topology } from './topology.ts';

/** A line about a consensus that is old; undefined when it is of the present epoch. */
export function staleness(epoch: EpochNumber, epochMs: number, wallMs: UnixMs): string | undefined {
  const behind = epochAt(wallMs, epochMs) - epoch;
  if (behind <= 0) return undefined;
  return `the newest consensus is ${behind} ${behind === 1 ? 'epoch' : 'epochs'} old`;
}

export interface Listing {
  /** Its view of the network, whether every authority has taken its last announcement, and why one has not. */
  readonly directory: {
    topology(): Topology | undefined;
    readonly announced: boolean;
    readonly announcementProblem?: string | undefined;
  };
  readonly self: IdentityHex;
  /** Its own Sphinx keys. */
  readonly keys: { publicKey(epoch: EpochNumber, wallMs: UnixMs): Uint8Array | undefined };
  readonly wallMs: UnixMs;
}

/** Lines about what keeps packets from this node: no consensus, an old one, one without it or with another key. */
export function listingFaults({ directory, self, keys, wallMs }: Listing): string[] {
  const topology = directory.topology();
  const problem = directory.announcementProblem ?? 'not every authority has taken the announcement';
  const unannounced = directory.announced ? [] : [problem];
  if (topology === undefined) return ['there is no consensus in force', ...unannounced];
  const old = staleness(topology.epoch, topology.params.epochMs, wallMs);
  const faults = old === undefined ? [] : [old];
  const entry = topology.byId(self);
  if (entry === undefined) return [...faults, 'the consensus does not list this node', ...unannounced];
  const epoch = epochAt(wallMs, topology.params.epochMs);
  const [listed, own] = [entry.sphinxKey(epoch), keys.publicKey(epoch, wallMs)];
  if (listed === undefined || own === undefined || !constantTimeEqual(listed, own)) {
    faults.push('the consensus lists another Sphinx key for this epoch than this node has');
  }
  return faults;
}
