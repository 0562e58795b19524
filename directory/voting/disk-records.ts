/**
 * What an authority that votes keeps on its disk. Files are made once and whole: a crash leaves none or all of one. What may have been
 * deleted for its age is not made again, whatever the clock says.
 *
 *     DIR/voting/<epoch>/signed.json                    the consensus that it signed: the record that the epoch is used up
 *     DIR/voting/<epoch>/<attempt>/own.json             its own vote
 *     DIR/voting/<epoch>/<attempt>/<authority>.json     the votes that it accepted, for audit
 *     DIR/evidence/<epoch>-<kind>-<authority>.json      two documents that one authority must not both have signed
 * @module
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { makeFolder } from '../../lib/core/folders.ts';
import { jsonOf } from '../../lib/core/parsed-text.ts';
import { loadTextIfThere } from '../../lib/core/text-file.ts';
import type { EpochNumber } from '../../lib/core/units.ts';
import { MAX_CONSENSUS_BYTES } from '../../lib/directory/documents.ts';
import { envelopeBytes, parseEnvelope } from '../../lib/directory/envelope.ts';
import { createFileDurably, namesIn } from '../../lib/directory/index.ts';
import { CONSENSUSES_KEPT, numbersIn } from '../archive.ts';
import type { Slot } from './schedule.ts';
import { unlessRefused } from './vote.ts';
import type { KeptVote } from './vote-box.ts';

/** Votings of one epoch whose votes are kept. */
export const ATTEMPTS_KEPT = 4;
/** Files of evidence; one is enough to act on. */
export const MAX_EVIDENCE_FILES = 64;

/** Longest file that is read: a consensus, or the votes of one authority with their ballots. */
const MAX_RECORD_BYTES = envelopeBytes(MAX_CONSENSUS_BYTES);

const SIGNED = 'signed.json';
const OWN = 'own.json';

const keptVotes = z.strictObject({ votes: z.array(z.strictObject({ vote: z.string(), ballot: z.string() })) });

/** What an authority must not sign two of for one epoch (votes: of one voting). */
export type EvidenceKind = 'votes' | 'consensuses';

/**
 * What an authority must not forget of its votings: with it neither a crash nor a clock that is set back makes it vote or sign anew. Each
 * promise resolves when it is on the disk.
 */
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

export class DiskRecords implements VotingRecords {
  readonly #voting: string;
  readonly #evidence: string;

  constructor(readonly dir: string) {
    this.#voting = join(dir, 'voting');
    this.#evidence = join(dir, 'evidence');
  }

  async ownVote({ epoch, attempt }: Slot, fresh?: KeptVote): Promise<KeptVote | undefined> {
    const folder = this.#attemptFolder(epoch, attempt);
    if (fresh !== undefined && !(await this.#mayBeForgotten(epoch, attempt))) {
      makeFolder(folder);
      await createFileDurably(join(folder, OWN), votesText([fresh]), 0o644);
    }
    return (await readVotes(join(folder, OWN)))[0];
  }

  async keepVotes({ epoch, attempt }: Slot, votes: ReadonlyMap<IdentityHex, readonly KeptVote[]>): Promise<void> {
    const folder = this.#attemptFolder(epoch, attempt);
    makeFolder(folder);
    for (const [authority, kept] of votes) {
      await createFileDurably(join(folder, `${authority}.json`), votesText(kept), 0o644);
    }
    await this.#prune(epoch);
  }

  async ownDocument(epoch: EpochNumber, fresh?: string): Promise<string | undefined> {
    const path = join(this.#voting, String(epoch), SIGNED);
    if (fresh !== undefined && epoch > (await this.newestSigned())) {
      makeFolder(join(this.#voting, String(epoch)));
      await createFileDurably(path, fresh, 0o644);
    }
    const text = await textOf(path);
    // one that can not be read any more has used up its epoch all the same
    const isWhole = text !== undefined && unlessRefused(() => parseEnvelope('consensus', text, MAX_CONSENSUS_BYTES));
    return isWhole ? text : undefined;
  }

  async keepEvidence(
    epoch: EpochNumber,
    kind: EvidenceKind,
    authority: IdentityHex,
    two: readonly [string, string],
  ): Promise<void> {
    makeFolder(this.#evidence);
    if ((await namesIn(this.#evidence)).length >= MAX_EVIDENCE_FILES) return;
    const text = `${JSON.stringify({ epoch, kind, authority, documents: two })}\n`;
    await createFileDurably(join(this.#evidence, `${epoch}-${kind}-${authority}.json`), text, 0o644);
  }

  /** Epochs of which there is something, oldest first. */
  async epochs(): Promise<number[]> {
    return numbersIn(this.#voting);
  }

  /** Votings of `epoch` of which there is something, oldest first. */
  async attempts(epoch: number): Promise<number[]> {
    return numbersIn(join(this.#voting, String(epoch)));
  }

  /** The votes that were accepted, by author. */
  async votes(epoch: number, attempt: number): Promise<Map<string, KeptVote[]>> {
    const folder = this.#attemptFolder(epoch, attempt);
    const found = new Map<string, KeptVote[]>();
    for (const name of await namesIn(folder)) {
      const authority = /^([0-9a-f]{64})\.json$/.exec(name)?.[1];
      if (authority !== undefined) found.set(authority, await readVotes(join(folder, name)));
    }
    return found;
  }

  async evidence(): Promise<string[]> {
    return namesIn(this.#evidence);
  }

  /**
   * Whether there may have been a vote of this voting that was deleted since: a clock that is set back must not lead to a second one. Later
   * epochs are no reason beyond that: a clock that was ahead for once is not to silence the authority until then.
   */
  async #mayBeForgotten(epoch: number, attempt: number): Promise<boolean> {
    const kept = (await this.epochs()).slice(-CONSENSUSES_KEPT);
    if (kept.length === CONSENSUSES_KEPT && epoch < (kept[0] as number)) return true;
    return (await this.attempts(epoch)).some((later) => later > attempt);
  }

  async newestSigned(): Promise<number> {
    for (const epoch of (await this.epochs()).reverse()) {
      if ((await namesIn(join(this.#voting, String(epoch)))).includes(SIGNED)) return epoch;
    }
    return -1;
  }

  async #prune(epoch: EpochNumber): Promise<void> {
    const newestSigned = await this.newestSigned(); // what is older is not signed again
    for (const old of (await this.epochs()).slice(0, -CONSENSUSES_KEPT)) {
      if (old === newestSigned) continue;
      await rm(join(this.#voting, String(old)), { recursive: true, force: true });
    }
    for (const old of (await this.attempts(epoch)).slice(0, -ATTEMPTS_KEPT)) {
      await rm(this.#attemptFolder(epoch, old), { recursive: true, force: true });
    }
  }

  #attemptFolder(epoch: number, attempt: number): string {
    return join(this.#voting, String(epoch), String(attempt));
  }
}

function votesText(votes: readonly KeptVote[]): string {
  return `${JSON.stringify({ votes })}\n`;
}

/** None where the file is missing or damaged. */
async function readVotes(path: string): Promise<KeptVote[]> {
  const text = await textOf(path);
  return keptVotes.safeParse(jsonOf(text ?? '')).data?.votes ?? [];
}

const textOf = (path: string) => loadTextIfThere(path, { code: 'DOCUMENT', maxBytes: MAX_RECORD_BYTES });
