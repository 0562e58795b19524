/**
 * The key schedule: from a hop's shared secret to the keys of its layer, and from a sender's secret to those of a route.
 * @module
 */
import type { Crypto } from '../crypto/index.ts';
import { LIONESS_KEY_BYTES, SEED_BYTES } from './constants.ts';
import { ScalarProduct } from './scalar.ts';

const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

const EXPAND_SALT = new Uint8Array(0);
const EXPAND_INFO = ascii(
  'Dwste mou enan moxlo arketa makru kai ena upomoxlio gia na ton topothetisw kai tha kinisw thn gh.',
);
const PAYLOAD_SALT = ascii('sphinx-payload-key-V01-CS01-HKDF:SHA256-SALT');
const PAYLOAD_INFO = ascii('sphinx-payload-key-V01-CS01-HKDF:SHA256-INFO');

/** Bytes 48 to 224 held the payload key of versions before 259. */
const HOP_KEYS_BYTES = 288;

/** The 288 expanded bytes of one hop's secret; the functions below are views of its parts. */
export function expandSecret(crypto: Crypto, sharedSecret: Uint8Array): Uint8Array {
  return crypto.hkdfSha256(sharedSecret, EXPAND_SALT, EXPAND_INFO, HOP_KEYS_BYTES);
}

/** AES key of the header's stream. */
export const streamKeyOf = (hopKeys: Uint8Array): Uint8Array => hopKeys.subarray(0, 16);
/** HMAC key of the header's MAC. */
export const macKeyOf = (hopKeys: Uint8Array): Uint8Array => hopKeys.subarray(16, 32);
export const payloadSeedOf = (hopKeys: Uint8Array): Uint8Array => hopKeys.subarray(32, 32 + SEED_BYTES);
export const blindingFactorOf = (hopKeys: Uint8Array): Uint8Array => hopKeys.subarray(224, 256);
export const replayTagOf = (hopKeys: Uint8Array): Uint8Array => hopKeys.subarray(256, 288);

/** The wide block cipher's key of one layer. */
export function payloadKey(crypto: Crypto, seed: Uint8Array): Uint8Array {
  return crypto.hkdfSha256(seed, PAYLOAD_SALT, PAYLOAD_INFO, LIONESS_KEY_BYTES);
}

/**
 * The expanded keys of every hop, from the sender's secret of this packet; one multiplication per hop (scalar.ts).
 * Throws MixError CRYPTO if a public key has a small order.
 */
export function routeKeys(crypto: Crypto, secret: Uint8Array, publicKeys: readonly Uint8Array[]): Uint8Array[] {
  const product = new ScalarProduct(secret);
  return publicKeys.map((publicKey, hop) => {
    const keys = expandSecret(crypto, crypto.x25519(product.clamped(), publicKey));
    if (hop < publicKeys.length - 1) product.multiply(blindingFactorOf(keys));
    return keys;
  });
}
