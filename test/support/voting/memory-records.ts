/**
 * The disk of an authority in a simulated network of authorities: what was written outlives a crash, and a crash can come right before or
 * right after anything is written.
 */

import type { EvidenceKind, VotingRecords } from '../../../directory/voting/disk-records.ts';
import type { Slot } from '../../../directory/voting/schedule.ts';
import type { KeptVote } from '../../../directory/voting/vote-box.ts';
import type { IdentityHex } from '../../../lib/core/bytes.ts';
import type { EpochNumber } from '../../../lib/core/units.ts';

/** The power goes: the process is no more. */
export class PowerCut extends Error {}

export interface KeptEvidence {
  readonly epoch: EpochNumber;
  readonly kind: EvidenceKind;
  readonly authority: IdentityHex;
  readonly two: readonly [string, string];
}

export class MemoryRecords implements VotingRecords {
  /** Every document for which a signature may have left. */
  readonly released: { epoch: number; text: string }[] = [];
  readonly evidence: KeptEvidence[] = [];
  /** Writes until the power goes; `after`: the write is done. */
  cut: { writes: number; after: boolean } | undefined;
  /** A mutant forgets. */
  remembers = true;
  readonly #votes = new Map<string, KeptVote>();
  readonly #documents = new Map<number, string>();

  async ownVote({ epoch, attempt }: Slot, fresh?: KeptVote): Promise<KeptVote | undefined> {
    const key = `${epoch} ${attempt}`;
    if (fresh !== undefined && !this.#votes.has(key)) this.#write(() => this.#votes.set(key, fresh));
    return this.#votes.get(key);
  }

  async keepVotes(): Promise<void> {
    this.#write(() => {});
  }

  async ownDocument(epoch: EpochNumber, fresh?: string): Promise<string | undefined> {
    const newest = await this.newestSigned();
    if (fresh !== undefined && !this.remembers) this.#write(() => this.released.push({ epoch, text: fresh }));
    if (!this.remembers) return fresh;
    if (fresh !== undefined && epoch > newest) {
      this.#write(() => {
        this.#documents.set(epoch, fresh);
        this.released.push({ epoch, text: fresh });
      });
    }
    return this.#documents.get(epoch);
  }

  async newestSigned(): Promise<number> {
    return Math.max(-1, ...this.#documents.keys());
  }

  async keepEvidence(epoch: EpochNumber, kind: EvidenceKind, authority: IdentityHex, two: readonly [string, string]) {
    this.#write(() => this.evidence.push({ epoch, kind, authority, two }));
  }

  #write(done: () => unknown): void {
    const { cut } = this;
    if (cut === undefined || cut.writes > 0) {
      if (cut !== undefined) cut.writes -= 1;
      done();
      return;
    }
    this.cut = undefined;
    if (cut.after) done();
    throw new PowerCut();
  }
}
