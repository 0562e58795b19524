/**
 * The reference backend: `@noble/*`, audited JavaScript without dependencies, which runs wherever Node does. It serves
 * every primitive, at up to 30 times the cost of native code. Its code is loaded when a primitive is first asked for: a
 * process with native libraries starts without it.
 * @module
 */
import { createRequire } from 'node:module';
import { concatBytes, constantTimeEqual, toHex } from '../core/bytes.ts';
import { expectHkdfInput, expectLength, isProperSignature, lowOrderPoint } from './checks.ts';
import type { Primitives } from './types.ts';

const ZERO_COUNTER = new Uint8Array(16);
const ZERO_NONCE = new Uint8Array(8);

/** The packages, loaded in one go: they share most of their files. */
function loadPackages() {
  const load = createRequire(import.meta.url);
  const { ctr } = load('@noble/ciphers/aes.js') as typeof import('@noble/ciphers/aes.js');
  const { chacha20orig } = load('@noble/ciphers/chacha.js') as typeof import('@noble/ciphers/chacha.js');
  const { ed25519, x25519 } = load('@noble/curves/ed25519.js') as typeof import('@noble/curves/ed25519.js');
  const { blake2b } = load('@noble/hashes/blake2.js') as typeof import('@noble/hashes/blake2.js');
  const { hkdf } = load('@noble/hashes/hkdf.js') as typeof import('@noble/hashes/hkdf.js');
  const { hmac } = load('@noble/hashes/hmac.js') as typeof import('@noble/hashes/hmac.js');
  const { sha256, sha512 } = load('@noble/hashes/sha2.js') as typeof import('@noble/hashes/sha2.js');
  return { ctr, chacha20orig, ed25519, x25519, blake2b, hkdf, hmac, sha256, sha512 };
}

type Noble = ReturnType<typeof loadPackages>;

function multiply({ x25519 }: Noble, secret: Uint8Array, point: Uint8Array): Uint8Array {
  expectLength('X25519 secret', secret, 32);
  expectLength('X25519 point', point, 32);
  try {
    return x25519.getSharedSecret(secret, point);
  } catch {
    throw lowOrderPoint();
  }
}

/**
 * RFC 8032 section 5.1.7 without the cofactor, as libsodium and OpenSSL do it: S·B - k·A must encode to R. (noble's own
 * `verify` multiplies by the cofactor first, and so accepts some signatures of dishonest signers that the others refuse.)
 */
function verify(
  { ed25519: { Point }, sha512 }: Noble,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!isProperSignature(publicKey, signature)) return false;
  const commitment = signature.subarray(0, 32);
  try {
    const s = Point.Fn.fromBytes(signature.subarray(32));
    const key = Point.fromBytes(publicKey);
    const digest = sha512(concatBytes(commitment, publicKey, message)).reverse();
    const challenge = Point.Fn.create(BigInt(`0x${toHex(digest)}`));
    const expected = Point.BASE.multiplyUnsafe(s).subtract(key.multiplyUnsafe(challenge));
    return constantTimeEqual(expected.toBytes(), commitment);
  } catch {
    return false;
  }
}

let primitives: Primitives | undefined;

export const nobleBackend: { readonly name: 'noble'; readonly primitives: Primitives } = {
  name: 'noble',
  get primitives() {
    primitives ??= primitivesOf(loadPackages());
    return primitives;
  },
};

function primitivesOf(noble: Noble): Primitives {
  const { ctr, chacha20orig, ed25519, x25519, blake2b, hkdf, hmac, sha256 } = noble;
  return {
    x25519: {
      x25519: (secret, point) => multiply(noble, secret, point),
      x25519Base: (secret) => x25519.getPublicKey(secret),
    },
    ed25519: {
      ed25519PublicKey: (seed) => ed25519.getPublicKey(seed),
      ed25519Sign: (seed, message) => ed25519.sign(message, seed),
      ed25519Verify: (publicKey, message, signature) => verify(noble, publicKey, message, signature),
    },
    sha256: { sha256: (data) => sha256(data) },
    hmac: { hmacSha256: (key, data) => hmac(sha256, key, data) },
    hkdf: {
      hkdfSha256(ikm, salt, info, lengthBytes) {
        expectHkdfInput(info, lengthBytes);
        return hkdf(sha256, ikm, salt, info, lengthBytes);
      },
    },
    aesCtr: {
      aes128CtrKeystream(key, lengthBytes) {
        expectLength('AES-128 key', key, 16);
        return ctr(key, ZERO_COUNTER).encrypt(new Uint8Array(lengthBytes));
      },
    },
    chacha20: {
      chacha20XorInPlace(key, data) {
        expectLength('ChaCha20 key', key, 32);
        chacha20orig(key, ZERO_NONCE, data, data);
      },
    },
    blake2b: {
      blake2bKeyedInto(out, key, data) {
        expectLength('BLAKE2b digest', out, 32);
        expectLength('BLAKE2b key', key, 64);
        out.set(blake2b(data, { key, dkLen: 32 }));
      },
    },
  };
}
