/**
 * A counted token as who issued it knows it: what it is good for, and who came by it. Two files, each with one writer: the terms are
 * the operator's, the uses are the running role's. Join tokens and invitations are its kinds.
 *
 * The token itself is 32 random bytes in hex, the seed of an Ed25519 key pair: who issued it keeps the public key, from which nobody can
 * find the token, and who has it signs with the private one. So the token never travels, and what stands on the issuer's disk lets nobody
 * in.
 * @module
 */
import { z } from 'zod';
import { identityHex } from '../../config/fields.ts';
import { type Branded, concatBytes, type IdentityHex, toHex } from '../../core/bytes.ts';
import { MixError } from '../../core/errors.ts';
import { jsonOf } from '../../core/parsed-text.ts';
import type { Rng } from '../../core/rng.ts';
import type { UnixMs } from '../../core/units.ts';
import type { Crypto } from '../../crypto/index.ts';

const TOKEN_BYTES = 32;

/** The public key of a token, hex: what its issuer knows of it. */
export type TokenKeyHex = Branded<string, 'TokenKeyHex'>;

/** Kinds have different keys from one secret. */
export type TokenPurpose = 'join-token' | 'invitation';

/** A new token. */
export function newToken(rng: Rng): string {
  return toHex(rng.bytes(TOKEN_BYTES));
}

/** The Ed25519 seed of `token` (64 hex digits). */
export function tokenSeed(purpose: TokenPurpose, token: string, crypto: Pick<Crypto, 'sha256'>): Uint8Array {
  return crypto.sha256(concatBytes(Buffer.from(`mixsocks/${purpose}/v1\0`, 'latin1'), Buffer.from(token, 'hex')));
}

/** The public key of `token`. */
export function tokenKeyOf(
  purpose: TokenPurpose,
  token: string,
  crypto: Pick<Crypto, 'sha256' | 'ed25519PublicKey'>,
): TokenKeyHex {
  return toHex(crypto.ed25519PublicKey(tokenSeed(purpose, token, crypto))) as TokenKeyHex;
}

const ID_DIGITS = 16;
const FORMAT = 1;

export const tokenTimeMs = z
  .int()
  .min(0)
  .transform((value) => value as UnixMs);

/** Fields of the terms of every kind. */
export const termsShape = (maxUses: number) => ({
  /** Public: the token itself is nowhere on the disk of who issued it. */
  key: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .transform((key) => key as TokenKeyHex),
  uses: z.int().min(1).max(maxUses),
  createdMs: tokenTimeMs,
  expiresMs: tokenTimeMs.exactOptional(),
  revokedMs: tokenTimeMs.exactOptional(),
});

/** Fields of the uses of every kind: a public key that came by the token, and when. */
export const useShape = { identity: identityHex, atMs: tokenTimeMs };

/** What a token is good for. */
export type TokenTerms = Readonly<z.infer<z.ZodObject<ReturnType<typeof termsShape>>>>;

/** Who came by it, and when. */
export type TokenUse = Readonly<z.infer<z.ZodObject<typeof useShape>>>;

/** A token, and who came by it. */
export interface Token<Terms extends TokenTerms = TokenTerms, Use extends TokenUse = TokenUse> {
  readonly terms: Terms;
  readonly uses: ReadonlyMap<IdentityHex, Use>;
}

/** What tells the kinds of tokens apart. */
export interface TokenKind<Terms extends TokenTerms, Use extends TokenUse> {
  /** In messages: `join token`. */
  readonly name: string;
  /** Who issues them: `an authority`. */
  readonly issuer: string;
  /** Of the files. */
  readonly folder: string;
  /** Who comes by it: in the file of uses, and in messages. */
  readonly users: string;
  readonly terms: z.ZodType<Terms>;
  readonly use: z.ZodType<Use>;
  readonly maxTokens: number;
  readonly maxUses: number;
  /** The command that revokes one. */
  readonly revokeCommand: string;
}

/** How people and files name a token: it is no secret. */
export type TokenId = string;

export function tokenIdOf(key: TokenKeyHex): TokenId {
  return key.slice(0, ID_DIGITS);
}

export function isTokenId(text: string): text is TokenId {
  return text.length === ID_DIGITS && /^[0-9a-f]+$/.test(text);
}

/** Expiry is about coming by a token: who came by it before stays. */
export function isRevoked({ revokedMs }: TokenTerms): boolean {
  return revokedMs !== undefined;
}

export function isExpired({ expiresMs }: TokenTerms, nowMs: UnixMs): boolean {
  return expiresMs !== undefined && nowMs >= expiresMs;
}

export function isUsedUp({ terms, uses }: Token): boolean {
  return uses.size >= terms.uses;
}

/** In words, for lists. */
export function tokenState(token: Token, nowMs: UnixMs): 'revoked' | 'used up' | 'expired' | 'open' {
  if (isRevoked(token.terms)) return 'revoked';
  if (isUsedUp(token)) return 'used up';
  return isExpired(token.terms, nowMs) ? 'expired' : 'open';
}

/** For the log: `1f2e3d4c5b6a7988 (2 of 3)`. */
export function tokenLabel({ terms, uses }: Token): string {
  return `${tokenIdOf(terms.key)} (${uses.size} of ${terms.uses})`;
}

export function termsText(value: TokenTerms): string {
  return `${JSON.stringify({ version: FORMAT, ...value }, null, 2)}\n`;
}

export function usesText(kind: { readonly users: string }, uses: Iterable<TokenUse>): string {
  return `${JSON.stringify({ version: FORMAT, [kind.users]: [...uses] }, null, 2)}\n`;
}

/** Reads a file of terms; throws CONFIG with what to do when it is damaged, or not that of the token `id`. */
export function parseTerms<Terms extends TokenTerms>(
  { name, users, terms }: TokenKind<Terms, never>,
  text: string,
  id: TokenId,
  path: string,
): Terms {
  const { version, ...rest } = objectOf(text);
  const parsed = terms.safeParse(rest);
  if (version === FORMAT && parsed.success && tokenIdOf(parsed.data.key) === id) return parsed.data;
  throw new MixError(
    'CONFIG',
    `${path} is damaged: restore it, or delete it, which revokes the ${name} ${id} and lets its ${users} go`,
  );
}

/** Reads a file of uses; throws CONFIG with what to do when it is damaged. */
export function parseUses<Use extends TokenUse>(
  { name, users, use, maxUses, revokeCommand }: TokenKind<never, Use>,
  text: string,
  id: TokenId,
  path: string,
): Map<IdentityHex, Use> {
  const schema = z.strictObject({ version: z.literal(FORMAT), [users]: z.array(use).max(maxUses) });
  const parsed = schema.safeParse(objectOf(text));
  if (parsed.success) {
    const all = (parsed.data as unknown as Record<string, Use[]>)[users] ?? [];
    return new Map(all.map((one) => [one.identity, one]));
  }
  throw new MixError(
    'CONFIG',
    `${path} is damaged: restore it, or give its ${users} another ${name} and revoke this one: ${revokeCommand} ${id}`,
  );
}

function objectOf(text: string): Record<string, unknown> {
  const value = jsonOf(text);
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
