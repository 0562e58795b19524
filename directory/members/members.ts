/**
 * The membership of a running authority, and the files behind it: what the operator's commands write takes effect while it runs,
 * and what nodes use is on the disk before they are listed.
 * @module
 */
import type { Clock } from '../../lib/core/clock.ts';
import { asMixError } from '../../lib/core/errors.ts';
import type { MonotonicMs } from '../../lib/core/units.ts';
import { readJoinProof } from '../../lib/directory/index.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { MemberFiles } from './member-files.ts';
import { type JoinToken, type Membership, type StoredMembership, tokenLabel } from './membership.ts';
import { type TokenId, tokenIdOf } from './token.ts';

/** The files are read again after so long, when something is done next: the authority looks by itself every five seconds or more often. */
export const REREAD_MS = 1000;
/** The same, when a node comes with a token that is not known and has a file. */
export const REREAD_FOR_UNKNOWN_MS = 200;

export interface MembersOptions {
  readonly membership: Membership;
  readonly files: MemberFiles;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly log: Log;
}

export class Members {
  #readMs: MonotonicMs | undefined;
  /** The last problem of each file, which is said once. */
  #complaints = new Map<string, string>();

  constructor(readonly options: MembersOptions) {}

  get membership(): Membership {
    return this.options.membership;
  }

  /** Reads what is there. Rejects with CONFIG when a file is damaged: an authority must not forget who used what. */
  async open(): Promise<void> {
    const { files, membership } = this.options;
    await files.open();
    const tokens: JoinToken[] = [];
    for (const id of await files.tokenIds()) {
      const token = await this.#read(id);
      if (token !== undefined) tokens.push(token);
    }
    membership.update({ tokens, expelled: await files.expelled() });
    this.#readMs = this.options.clock.nowMs();
  }

  /** Reads again what the operator may have changed, unless it did so within `ageMs`. What cannot be read stays as it was. */
  async reread(ageMs: number): Promise<void> {
    const { files, membership, clock } = this.options;
    const nowMs = clock.nowMs();
    if (this.#readMs !== undefined && nowMs - this.#readMs < ageMs) return;
    this.#readMs = nowMs;
    const before = new Map(membership.tokens.map((token) => [tokenIdOf(token.terms.key), token]));
    const problems = new Map<string, string>();
    try {
      const tokens: JoinToken[] = [];
      for (const id of await files.tokenIds()) {
        const known = before.get(id);
        const token = await this.#read(id, known).catch((error) => {
          problems.set(id, asMixError(error).message);
          return known;
        });
        if (token !== undefined) tokens.push(token);
      }
      this.#apply({ tokens, expelled: await files.expelled() }, before);
    } catch (error) {
      problems.set('', asMixError(error).message);
    }
    this.#complain(problems);
  }

  /**
   * A node came with a token that is not known: an operator makes a token and starts its node at once. To look for the file of
   * one token costs as much as a guess is worth.
   */
  async findToken(header: string): Promise<void> {
    const proof = readJoinProof(header);
    if (proof === undefined || !(await this.options.files.has(tokenIdOf(proof.key)))) return;
    await this.reread(REREAD_FOR_UNKNOWN_MS);
  }

  /** Resolves when all uses are on the disk. */
  async save(): Promise<void> {
    const { files, membership, log } = this.options;
    for (const token of membership.unsaved()) {
      const count = token.uses.size;
      await files.saveUses(tokenIdOf(token.terms.key), token.uses.values());
      membership.saved(token, count);
      log.info({ token: tokenLabel(token) }, 'a node came by a join token');
    }
  }

  /** A token's terms as they are now, with the uses that are known, or those on the disk when it was not. */
  async #read(id: TokenId, known?: JoinToken): Promise<JoinToken | undefined> {
    const { files, log } = this.options;
    const terms = await files.terms(id);
    if (terms === undefined) return undefined; // deleted since
    if (known !== undefined) return { terms, uses: known.uses };
    try {
      return { terms, uses: await files.uses(id) };
    } catch (error) {
      if (terms.revokedMs === undefined) throw error;
      log.warn({ problem: asMixError(error).message }, 'the uses of a revoked join token are not known any more');
      return { terms, uses: new Map() };
    }
  }

  #apply({ tokens, expelled }: StoredMembership, before: ReadonlyMap<TokenId, JoinToken>): void {
    const { membership, log } = this.options;
    const now = new Map(tokens.map((token) => [tokenIdOf(token.terms.key), token]));
    for (const [id, token] of before) {
      const later = now.get(id)?.terms;
      if (token.terms.revokedMs !== undefined || (later !== undefined && later.revokedMs === undefined)) continue;
      log.info({ token: tokenLabel(token) }, 'join token revoked: its nodes leave the list with the next consensus');
    }
    membership.update({ tokens, expelled });
  }

  #complain(problems: Map<string, string>): void {
    for (const [about, problem] of problems) {
      if (this.#complaints.get(about) === problem) continue;
      this.options.log.error({ problem }, 'join tokens cannot be read; going on with those that are known');
    }
    this.#complaints = problems;
  }
}
