/**
 * Whether an authority gives its network a consensus.
 * @module
 */
import type { EpochNumber, UnixMs } from '../lib/core/units.ts';
import { staleness } from '../lib/directory/index.ts';

export interface AuthorityCondition {
  /** Of the newest consensus whose epoch has begun; undefined before the first. */
  readonly epoch: EpochNumber | undefined;
  readonly epochMs: number;
  readonly wallMs: UnixMs;
}

/** What is missing, a line each: a consensus of the present epoch. */
export function authorityFaults({ epoch, epochMs, wallMs }: AuthorityCondition): string[] {
  if (epoch === undefined) return ['no consensus yet: not enough nodes have announced themselves'];
  const old = staleness(epoch, epochMs, wallMs);
  return old === undefined ? [] : [old];
}
