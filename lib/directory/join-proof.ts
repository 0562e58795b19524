/**
 * The proof that a node has a join token: a signature over its descriptor by the token's key. A recorded proof is good for the
 * descriptor that it was made for only.
 * @module
 */
import { fromHex, toHex } from '../core/bytes.ts';
import type { Crypto } from '../crypto/index.ts';
import { signedBytes } from './envelope.ts';
import { type TokenKeyHex, tokenKeyOf, tokenSeed } from './tokens/token.ts';

/** Header of an announcement that carries the proof: join key and signature, 192 hex digits. */
export const JOIN_PROOF_HEADER = 'mixsocks-join-proof';

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

export interface JoinProof {
  readonly key: TokenKeyHex;
  readonly signature: Uint8Array;
}

/** The public key of `token` (64 hex digits). */
export function joinKeyOf(token: string, crypto: Pick<Crypto, 'sha256' | 'ed25519PublicKey'>): TokenKeyHex {
  return tokenKeyOf('join-token', token, crypto);
}

/** The header's value for a descriptor with this payload. */
export function joinProof(
  token: string,
  payload: string,
  crypto: Pick<Crypto, 'sha256' | 'ed25519PublicKey' | 'ed25519Sign'>,
): string {
  const signature = crypto.ed25519Sign(tokenSeed('join-token', token, crypto), signedBytes('join', payload));
  return `${joinKeyOf(token, crypto)}${toHex(signature)}`;
}

/** Reads the header; undefined when it is not of its form. */
export function readJoinProof(header: string): JoinProof | undefined {
  const bytes = fromHex(header, KEY_BYTES + SIGNATURE_BYTES);
  if (bytes === undefined) return undefined;
  return { key: toHex(bytes.subarray(0, KEY_BYTES)) as TokenKeyHex, signature: bytes.subarray(KEY_BYTES) };
}

/** Whether who made the proof has the token of its key, and made it for this payload. */
export function isJoinProof(
  { key, signature }: JoinProof,
  payload: string,
  crypto: Pick<Crypto, 'ed25519Verify'>,
): boolean {
  return crypto.ed25519Verify(Buffer.from(key, 'hex'), signedBytes('join', payload), signature);
}
