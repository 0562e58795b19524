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
import { MixError } from '../../lib/core/errors.ts';
import {
  createFileDurably,
  MAX_NODES,
  type NodeRole,
  namesIn,
  TokenFiles,
  type TokenKind,
  termsShape,
  useShape,
} from '../../lib/directory/index.ts';

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
