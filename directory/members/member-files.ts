/**
 * What an authority's folder holds about its members: its join tokens (`TokenFiles`), each good for a number of nodes of some roles, and
 *
 *     DIR/expelled/<identity>      a node that was expelled: made by `mixsocks directory expel`, empty
 * @module
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type IdentityHex, isIdentityHex } from '../../lib/core/bytes.ts';
import type { Clock } from '../../lib/core/clock.ts';
import { MixError } from '../../lib/core/errors.ts';
import {
  createFileDurably,
  MAX_NODES,
  type NodeRole,
  namesIn,
  readJoinProof,
  TokenFiles,
  TokenKeeper,
  type TokenKind,
  termsShape,
  tokenLabel,
  useShape,
} from '../../lib/directory/index.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { Membership } from './membership.ts';

/** Nodes that one token can be good for. */
export const MAX_TOKEN_USES = MAX_NODES;
/** Tokens of an authority, revoked and expired ones included. */
export const MAX_TOKENS = 1024;

export const NODE_ROLES = ['mixnode', 'gateway', 'requester'] as const satisfies readonly NodeRole[];

const terms = z.strictObject({ ...termsShape(MAX_TOKEN_USES), roles: z.array(z.enum(NODE_ROLES)).min(1) });
const use = z.strictObject({ ...useShape, role: z.enum(NODE_ROLES), name: z.string() });

/** What a token is good for. */
export type JoinTerms = z.infer<typeof terms>;
/** A node that came by a token, with role and name as it first announced them. */
export type JoinUse = z.infer<typeof use>;

export const JOIN_TOKENS: TokenKind<JoinTerms, JoinUse> = {
  name: 'join token',
  issuer: 'an authority',
  folder: 'tokens',
  users: 'nodes',
  terms,
  use,
  maxTokens: MAX_TOKENS,
  maxUses: MAX_TOKEN_USES,
  revokeCommand: 'mixsocks directory token revoke',
};

/** Nodes that can be expelled at a time. */
export const MAX_EXPELLED = 4096;

export class MemberFiles extends TokenFiles<JoinTerms, JoinUse> {
  readonly #expelled: string;

  constructor(dir: string) {
    super(dir, JOIN_TOKENS);
    this.#expelled = join(dir, 'expelled');
  }

  override async open(): Promise<void> {
    await super.open();
    await this.make(this.#expelled);
  }

  async expelled(): Promise<Set<IdentityHex>> {
    return new Set((await namesIn(this.#expelled)).filter(isIdentityHex));
  }

  /** Whether it was not expelled already. */
  async expel(identity: IdentityHex): Promise<boolean> {
    await this.make(this.#expelled);
    if ((await this.expelled()).size >= MAX_EXPELLED) {
      throw new MixError('LIMIT', `at most ${MAX_EXPELLED} nodes are expelled at a time: take some back with --undo`);
    }
    return createFileDurably(join(this.#expelled, identity), '');
  }

  /** Whether it had been expelled. */
  async takeBack(identity: IdentityHex): Promise<boolean> {
    const was = (await this.expelled()).has(identity);
    await rm(join(this.#expelled, identity), { force: true });
    return was;
  }
}

export interface MembersOptions {
  readonly membership: Membership;
  readonly files: MemberFiles;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly log: Log;
}

/**
 * The membership of a running authority, and the files behind it: what the operator's commands write takes effect while it runs, and
 * what nodes use is on the disk before they are listed. `open`, `reread` and `save` are those of the keeper of its tokens.
 */
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
