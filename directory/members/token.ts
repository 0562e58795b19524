/**
 * Join tokens: counted tokens of an authority, each good for a number of nodes of some roles.
 * @module
 */
import { z } from 'zod';
import { MAX_NODES, type NodeRole, type TokenKind, termsShape, useShape } from '../../lib/directory/index.ts';

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
