/**
 * A join token as its authority knows it: what it is good for, and which nodes came by it. Two files, each with one writer: the
 * terms are the operator's (`mixsocks directory token`), the uses are the authority's.
 * @module
 */
import { z } from 'zod';
import { identityHex } from '../../lib/config/fields.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { MixError } from '../../lib/core/errors.ts';
import type { UnixMs } from '../../lib/core/units.ts';
import { type JoinKeyHex, MAX_NODES, type NodeRole } from '../../lib/directory/index.ts';

/** Nodes that one token can be good for. */
export const MAX_TOKEN_USES = MAX_NODES;
/** Tokens of an authority, revoked and expired ones included. */
export const MAX_TOKENS = 1024;

export const NODE_ROLES = ['mixnode', 'gateway', 'requester'] as const satisfies readonly NodeRole[];

const ID_DIGITS = 16;
const FORMAT = 1;

const wallMs = z
  .int()
  .min(0)
  .transform((value) => value as UnixMs);
const terms = z.strictObject({
  version: z.literal(FORMAT),
  /** Public: the token itself is nowhere on the authority's disk. */
  key: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .transform((key) => key as JoinKeyHex),
  uses: z.int().min(1).max(MAX_TOKEN_USES),
  roles: z.array(z.enum(NODE_ROLES)).min(1),
  createdMs: wallMs,
  expiresMs: wallMs.exactOptional(),
  revokedMs: wallMs.exactOptional(),
});
const use = z.strictObject({ identity: identityHex, role: z.enum(NODE_ROLES), name: z.string(), atMs: wallMs });
const uses = z.strictObject({ version: z.literal(FORMAT), nodes: z.array(use).max(MAX_TOKEN_USES) });

/** What a token is good for. */
export type TokenTerms = Omit<z.infer<typeof terms>, 'version'>;
/** A node that came by a token, with role and name as it first announced them. */
export type TokenUse = z.infer<typeof use>;

/** How people and files name a token: it is no secret. */
export type TokenId = string;

export function tokenIdOf(key: JoinKeyHex): TokenId {
  return key.slice(0, ID_DIGITS);
}

export function isTokenId(text: string): text is TokenId {
  return text.length === ID_DIGITS && /^[0-9a-f]+$/.test(text);
}

export function termsText(value: TokenTerms): string {
  return `${JSON.stringify({ version: FORMAT, ...value }, null, 2)}\n`;
}

export function usesText(nodes: Iterable<TokenUse>): string {
  return `${JSON.stringify({ version: FORMAT, nodes: [...nodes] }, null, 2)}\n`;
}

/** Reads a file of terms; throws CONFIG with what to do when it is damaged, or not that of the token `id`. */
export function parseTerms(text: string, id: TokenId, path: string): TokenTerms {
  const parsed = terms.safeParse(jsonOf(text));
  if (!parsed.success || tokenIdOf(parsed.data.key) !== id) {
    throw new MixError(
      'CONFIG',
      `${path} is damaged: restore it, or delete it, which revokes the join token ${id} and lets its nodes go`,
    );
  }
  const { version: _version, ...value } = parsed.data;
  return value;
}

/** Reads a file of uses; throws CONFIG with what to do when it is damaged. */
export function parseUses(text: string, id: TokenId, path: string): Map<IdentityHex, TokenUse> {
  const parsed = uses.safeParse(jsonOf(text));
  if (parsed.success) return new Map(parsed.data.nodes.map((node) => [node.identity, node]));
  throw new MixError(
    'CONFIG',
    `${path} is damaged: restore it, or give its nodes another token and revoke this one: mixsocks directory token revoke ${id}`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
