/**
 * What an authority must not forget of its votings: with it neither a crash nor a clock that is set back makes it vote or sign anew.
 * @module
 */
import type { IdentityHex } from '../../lib/core/bytes.ts';
import type { EpochNumber } from '../../lib/core/units.ts';
import type { Slot } from './schedule.ts';
import type { KeptVote } from './vote-box.ts';

/** What an authority must not sign two of for one epoch (votes: of one voting). */
export type EvidenceKind = 'votes' | 'consensuses';

/** What must outlive a crash. Each promise resolves when it is on the disk. */
export interface VotingRecords {
  /** The own vote of this voting. `fresh` becomes it unless there is one, or may have been one that is kept no more; the one that is. */
  ownVote(slot: Slot, fresh?: KeptVote): Promise<KeptVote | undefined>;
  /** All votes that were accepted, for audit. */
  keepVotes(slot: Slot, votes: ReadonlyMap<IdentityHex, readonly KeptVote[]>): Promise<void>;
  /** The consensus that this authority has signed for `epoch`. `fresh` becomes it unless there is one of this epoch or a later one. */
  ownDocument(epoch: EpochNumber, fresh?: string): Promise<string | undefined>;
  /** The newest epoch that this authority has signed for; -1 without. */
  newestSigned(): Promise<number>;
  /** Two documents that one authority must not both have signed. */
  keepEvidence(
    epoch: EpochNumber,
    kind: EvidenceKind,
    authority: IdentityHex,
    two: readonly [string, string],
  ): Promise<void>;
}
