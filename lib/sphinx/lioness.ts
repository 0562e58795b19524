/**
 * Lioness (Anderson and Biham, 1996): a wide block cipher from a stream cipher and a keyed hash. One flipped bit of the
 * block scrambles all of it, so that a tagged payload cannot be known again further on.
 *
 * Key: k1 32, k2 64, k3 32, k4 64. Block: L, the first 32 bytes, and R, the rest.
 * @module
 */
import type { Crypto } from '../crypto/index.ts';
import { LIONESS_LEFT_BYTES } from './constants.ts';

const streamKey = new Uint8Array(LIONESS_LEFT_BYTES);
const digest = new Uint8Array(LIONESS_LEFT_BYTES);

/** R = R xor stream(L xor key). */
function streamRound(crypto: Crypto, key: Uint8Array, keyOffset: number, left: Uint8Array, right: Uint8Array): void {
  for (let i = 0; i < LIONESS_LEFT_BYTES; i++) streamKey[i] = left[i]! ^ key[keyOffset + i]!;
  crypto.chacha20XorInPlace(streamKey, right);
}

/** L = L xor hash(key, R). */
function hashRound(crypto: Crypto, key: Uint8Array, keyOffset: number, left: Uint8Array, right: Uint8Array): void {
  crypto.blake2bKeyedInto(digest, key.subarray(keyOffset, keyOffset + 64), right);
  for (let i = 0; i < LIONESS_LEFT_BYTES; i++) left[i] = left[i]! ^ digest[i]!;
}

/** Encrypts `block` (more than 32 bytes) in place. */
export function lionessEncrypt(crypto: Crypto, key: Uint8Array, block: Uint8Array): void {
  const left = block.subarray(0, LIONESS_LEFT_BYTES);
  const right = block.subarray(LIONESS_LEFT_BYTES);
  streamRound(crypto, key, 0, left, right);
  hashRound(crypto, key, 32, left, right);
  streamRound(crypto, key, 96, left, right);
  hashRound(crypto, key, 128, left, right);
}

/** Decrypts `block` (more than 32 bytes) in place. */
export function lionessDecrypt(crypto: Crypto, key: Uint8Array, block: Uint8Array): void {
  const left = block.subarray(0, LIONESS_LEFT_BYTES);
  const right = block.subarray(LIONESS_LEFT_BYTES);
  hashRound(crypto, key, 128, left, right);
  streamRound(crypto, key, 96, left, right);
  hashRound(crypto, key, 32, left, right);
  streamRound(crypto, key, 0, left, right);
}
