/**
 * The backend on libsodium through `sodium-native`, whose prebuilt binaries cover glibc Linux, macOS and Windows. Where
 * it does not load (musl, other processors, an install without it) the caller goes on with the next backend.
 * @module
 */
import { createRequire } from 'node:module';
import { expectLength, isProperSignature, lowOrderPoint } from './checks.ts';
import { macsOver } from './macs.ts';
import type { Backend } from './types.ts';

/** The part of sodium-native's interface in use; output first, as in libsodium. */
interface Sodium {
  crypto_scalarmult(out: Uint8Array, secret: Uint8Array, point: Uint8Array): void;
  crypto_scalarmult_base(out: Uint8Array, secret: Uint8Array): void;
  crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void;
  crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void;
  crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
  crypto_stream_chacha20_xor(out: Uint8Array, data: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
  crypto_generichash(out: Uint8Array, data: Uint8Array, key: Uint8Array): void;
  crypto_hash_sha256(out: Uint8Array, data: Uint8Array): void;
}

const ZERO_NONCE = new Uint8Array(8);

/**
 * OpenSSL 3.0, that of Node 20 and 22, looks HKDF up by its name in each call. That is no slower in a loop; where a process handles
 * one packet at a time, each call finds all of that code and its tables out of the caches (docs/PERFORMANCE.md).
 */
const OPENSSL_LOOKS_UP = /^3\.0\./.test(process.versions.openssl ?? '');

/** libsodium as a backend, or undefined where its binary does not load. */
export function loadSodiumBackend(
  load: () => unknown = () => createRequire(import.meta.url)('sodium-native'),
): Backend | undefined {
  try {
    return sodiumBackend(load() as Sodium);
  } catch {
    return undefined;
  }
}

function sodiumBackend(sodium: Sodium): Backend {
  const { hmac, hkdf } = macsOver((out, data) => sodium.crypto_hash_sha256(out, data));
  return {
    name: 'sodium',
    primitives: {
      x25519: {
        x25519(secret, point) {
          expectLength('X25519 secret', secret, 32);
          expectLength('X25519 point', point, 32);
          const out = new Uint8Array(32);
          try {
            sodium.crypto_scalarmult(out, secret, point);
          } catch {
            throw lowOrderPoint();
          }
          return out;
        },
        x25519Base(secret) {
          const out = new Uint8Array(32);
          sodium.crypto_scalarmult_base(out, secret);
          return out;
        },
      },
      ed25519: {
        ed25519PublicKey: (seed) => keyPair(sodium, seed).publicKey,
        ed25519Sign(seed, message) {
          const signature = new Uint8Array(64);
          sodium.crypto_sign_detached(signature, message, keyPair(sodium, seed).secretKey);
          return signature;
        },
        ed25519Verify: (publicKey, message, signature) =>
          isProperSignature(publicKey, signature) && sodium.crypto_sign_verify_detached(signature, message, publicKey),
      },
      chacha20: {
        chacha20XorInPlace: (key, data) => sodium.crypto_stream_chacha20_xor(data, data, ZERO_NONCE, key),
      },
      hmac,
      ...(OPENSSL_LOOKS_UP ? { hkdf } : {}),
      blake2b: {
        blake2bKeyedInto(out, key, data) {
          expectLength('BLAKE2b digest', out, 32);
          expectLength('BLAKE2b key', key, 64);
          sodium.crypto_generichash(out, data, key);
        },
      },
    },
  };
}

function keyPair(sodium: Sodium, seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } {
  const pair = { publicKey: new Uint8Array(32), secretKey: new Uint8Array(64) };
  sodium.crypto_sign_seed_keypair(pair.publicKey, pair.secretKey, seed);
  return pair;
}
