/**
 * Join tokens and their proofs. A token is 32 random bytes in hex. It is the seed of an Ed25519 key pair: the authority keeps
 * the public key, from which nobody can find the token, and a node signs each descriptor with the private one. So the token
 * never travels, a recorded proof is good for the descriptor that it was made for only, and what an authority has on its disk lets
 * nobody join.
 * @module
 */
import { type Branded, concatBytes, fromHex, toHex } from '../core/bytes.ts';
import type { Rng } from '../core/rng.ts';
import type { Crypto } from '../crypto/index.ts';
import { signedBytes } from './envelope.ts';

/** Header of an announcement that carries the proof: join key and signature, 192 hex digits. */
export const JOIN_PROOF_HEADER = 'mixsocks-join-proof';

const TOKEN_BYTES = 32;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** The public key of a join token, hex: what an authority knows of it. */
export type JoinKeyHex = Branded<string, 'JoinKeyHex'>;

export interface JoinProof {
  readonly key: JoinKeyHex;
  readonly signature: Uint8Array;
}

/** A new token. */
export function newJoinToken(rng: Rng): string {
  return toHex(rng.bytes(TOKEN_BYTES));
}

/** The public key of `token` (64 hex digits). */
export function joinKeyOf(token: string, crypto: Pick<Crypto, 'sha256' | 'ed25519PublicKey'>): JoinKeyHex {
  return toHex(crypto.ed25519PublicKey(seedOf(token, crypto))) as JoinKeyHex;
}

/** The header's value for a descriptor with this payload. */
export function joinProof(
  token: string,
  payload: string,
  crypto: Pick<Crypto, 'sha256' | 'ed25519PublicKey' | 'ed25519Sign'>,
): string {
  const signature = crypto.ed25519Sign(seedOf(token, crypto), signedBytes('join', payload));
  return `${joinKeyOf(token, crypto)}${toHex(signature)}`;
}

/** Reads the header; undefined when it is not of its form. */
export function readJoinProof(header: string): JoinProof | undefined {
  const bytes = fromHex(header, KEY_BYTES + SIGNATURE_BYTES);
  if (bytes === undefined) return undefined;
  return { key: toHex(bytes.subarray(0, KEY_BYTES)) as JoinKeyHex, signature: bytes.subarray(KEY_BYTES) };
}

/** Whether who made the proof has the token of its key, and made it for this payload. */
export function isJoinProof(
  { key, signature }: JoinProof,
  payload: string,
  crypto: Pick<Crypto, 'ed25519Verify'>,
): boolean {
  return crypto.ed25519Verify(Buffer.from(key, 'hex'), signedBytes('join', payload), signature);
}

function seedOf(token: string, crypto: Pick<Crypto, 'sha256'>): Uint8Array {
  return crypto.sha256(concatBytes(Buffer.from('mixsocks/join-token/v1\0', 'latin1'), Buffer.from(token, 'hex')));
}
