/**
 * Whether an authority gives its network a consensus.
 * @module
 */
import type { EpochNumber, UnixMs } from '../lib/core/units.ts';
import { staleness } from '../lib/directory/index.ts';
import { endText } from './signed-ahead.ts';

export interface AuthorityCondition {
  /** Of the newest consensus whose epoch has begun; undefined before the first. */
  readonly epoch: EpochNumber | undefined;
  readonly epochMs: number;
  readonly wallMs: UnixMs;
  /** The last epoch that it signs nothing for, as its clock was ahead. */
  readonly signedAhead?: EpochNumber | undefined;
}

/** What is missing, a line each: a consensus of the present epoch. */
export function authorityFaults({ epoch, epochMs, wallMs, signedAhead }: AuthorityCondition): string[] {
  const ahead =
    signedAhead === undefined
      ? []
      : [
          `signs nothing until ${endText(signedAhead, epochMs)}: its clock was ahead, and it has signed for epochs to come`,
        ];
  if (epoch === undefined && ahead.length > 0) return ahead;
  if (epoch === undefined) return ['no consensus yet: not enough nodes have announced themselves'];
  const old = staleness(epoch, epochMs, wallMs);
  return [...ahead, ...(old === undefined ? [] : [old])];
}
