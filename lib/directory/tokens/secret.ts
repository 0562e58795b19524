/**
 * The secret of a counted token, and its key. A token is 32 random bytes in hex. It is the seed of an Ed25519 key pair: who issued it
 * keeps the public key, from which nobody can find the token, and who has it signs with the private one. So the token never
 * travels, and what stands on the issuer's disk lets nobody in.
 * @module
 */
import { type Branded, concatBytes, toHex } from '../../core/bytes.ts';
import type { Rng } from '../../core/rng.ts';
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
