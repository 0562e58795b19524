/**
 * The interface of `lib/crypto`: what the protocol needs, and nothing of how a library wants to be called.
 * @module
 */

/** `fastest`: per primitive the quickest library that loads. `noble`: the reference in pure JavaScript. */
export type CryptoChoice = 'fastest' | 'noble';

export type BackendName = 'sodium' | 'node' | 'noble';

/**
 * Every function is pure and synchronous. Keys, points and signatures must have the length named; another length is a
 * defect of the caller and throws. Results are fresh memory that the caller owns.
 */
export interface Crypto {
  /** Which library serves which primitive, for `status` and the log. */
  readonly backends: Readonly<Record<Primitive, BackendName>>;

  /** RFC 7748 section 5: clamps the secret, ignores the point's top bit. Throws MixError CRYPTO on a low-order point. */
  x25519(secret32: Uint8Array, point32: Uint8Array): Uint8Array;
  /** `x25519(secret, 9)`: the public key of a secret. */
  x25519Base(secret32: Uint8Array): Uint8Array;

  /** RFC 8032: the public key of a 32-byte seed. */
  ed25519PublicKey(seed32: Uint8Array): Uint8Array;
  ed25519Sign(seed32: Uint8Array, message: Uint8Array): Uint8Array;
  /** Never throws: a malformed key or signature is false. */
  ed25519Verify(public32: Uint8Array, message: Uint8Array, signature64: Uint8Array): boolean;

  sha256(data: Uint8Array): Uint8Array;
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** RFC 5869, extract and expand. */
  hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, lengthBytes: number): Uint8Array;

  /** AES-128 in counter mode over zeros, initial counter block zero. */
  aes128CtrKeystream(key16: Uint8Array, lengthBytes: number): Uint8Array;
  /** Original ChaCha20 (64-bit counter from 0), nonce zero: XORs the stream into `data`. */
  chacha20XorInPlace(key32: Uint8Array, data: Uint8Array): void;
  /** BLAKE2b in its keyed mode (RFC 7693) with a 32-byte digest, written to `out32`. */
  blake2bKeyedInto(out32: Uint8Array, key64: Uint8Array, data: Uint8Array): void;
}

export type Primitive = 'x25519' | 'ed25519' | 'sha256' | 'hmac' | 'hkdf' | 'aesCtr' | 'chacha20' | 'blake2b';
