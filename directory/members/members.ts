/**
 * The membership of a running authority, and the files behind it: what the operator's commands write takes effect while it runs,
 * and what nodes use is on the disk before they are listed.
 * @module
 */
import type { Clock } from '../../lib/core/clock.ts';
import { readJoinProof, TokenKeeper, tokenLabel } from '../../lib/directory/index.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { JoinTerms, JoinUse, MemberFiles } from './member-files.ts';
import type { Membership } from './membership.ts';

export interface MembersOptions {
  readonly membership: Membership;
  readonly files: MemberFiles;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly log: Log;
}

/** Its `open`, `reread` and `save` are those of the keeper of its tokens. */
export class Members extends TokenKeeper<JoinTerms, JoinUse> {
  readonly membership: Membership;

  constructor({ membership, files, clock, log }: MembersOptions) {
    super({
      ...{ files, clock, log },
      book: membership.book,
      apply: async (tokens) => membership.update({ tokens, expelled: await files.expelled() }),
      onRevoked: (token) =>
        log.info({ token: tokenLabel(token) }, 'join token revoked: its nodes leave the list with the next consensus'),
      onSaved: (token) => log.info({ token: tokenLabel(token) }, 'a node came by a join token'),
    });
    this.membership = membership;
  }

  /** A node came with a token that is not known. */
  async findToken(header: string): Promise<void> {
    const proof = readJoinProof(header);
    if (proof !== undefined) await this.find(proof.key);
  }
}
