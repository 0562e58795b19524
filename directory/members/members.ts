/**
 * The membership of a running authority, and the files behind it: what the operator's commands write takes effect while it runs,
 * and what nodes use is on the disk before they are listed.
 * @module
 */
import type { Clock } from '../../lib/core/clock.ts';
import { REREAD_MS, readJoinProof, TokenKeeper, tokenLabel } from '../../lib/directory/index.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { MemberFiles } from './member-files.ts';
import type { Membership } from './membership.ts';
import type { JoinTerms, JoinUse } from './token.ts';

export interface MembersOptions {
  readonly membership: Membership;
  readonly files: MemberFiles;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly log: Log;
}

export class Members {
  readonly #keeper: TokenKeeper<JoinTerms, JoinUse>;

  constructor(readonly options: MembersOptions) {
    const { membership, files, log } = options;
    this.#keeper = new TokenKeeper({
      ...options,
      book: membership.book,
      apply: async (tokens) => membership.update({ tokens, expelled: await files.expelled() }),
      onRevoked: (token) =>
        log.info({ token: tokenLabel(token) }, 'join token revoked: its nodes leave the list with the next consensus'),
      onSaved: (token) => log.info({ token: tokenLabel(token) }, 'a node came by a join token'),
    });
  }

  get membership(): Membership {
    return this.options.membership;
  }

  /** Reads what is there. Rejects with CONFIG when a file is damaged: an authority must not forget who used what. */
  open(): Promise<void> {
    return this.#keeper.open();
  }

  /** Reads again what the operator may have changed, unless it did so within `ageMs`. What cannot be read stays as it was. */
  reread(ageMs = REREAD_MS): Promise<void> {
    return this.#keeper.reread(ageMs);
  }

  /** A node came with a token that is not known. */
  async findToken(header: string): Promise<void> {
    const proof = readJoinProof(header);
    if (proof !== undefined) await this.#keeper.find(proof.key);
  }

  /** Resolves when all uses are on the disk. */
  save(): Promise<void> {
    return this.#keeper.save();
  }
}
