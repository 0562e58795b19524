/**
 * The interface of `lib/crypto`: what the protocol needs, and nothing of how a library wants to be called.
 * @module
 */

/** `fastest`: per primitive the quickest library that loads. `noble`: the reference in pure JavaScript. */
export type CryptoChoice = 'fastest' | 'noble';

export type BackendName = 'sodium' | 'node' | 'wasm' | 'noble';

export interface X25519 {
  /** RFC 7748 section 5: clamps the secret, ignores the point's top bit. Throws MixError CRYPTO on a low-order point. */
  x25519(secret32: Uint8Array, point32: Uint8Array): Uint8Array;
  /** `x25519(secret, 9)`: the public key of a secret. */
  x25519Base(secret32: Uint8Array): Uint8Array;
}

/** RFC 8032. Verification is without the cofactor, and refuses points of small order or in a non-canonical encoding. */
export interface Ed25519 {
  ed25519PublicKey(seed32: Uint8Array): Uint8Array;
  ed25519Sign(seed32: Uint8Array, message: Uint8Array): Uint8Array;
  /** Never throws: a malformed key or signature is false. */
  ed25519Verify(public32: Uint8Array, message: Uint8Array, signature64: Uint8Array): boolean;
}

export interface Sha256 {
  sha256(data: Uint8Array): Uint8Array;
}

export interface Hmac {
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
}

export interface Hkdf {
  /** RFC 5869, extract and expand. 1 to 8160 bytes out; `info` at most 1024 bytes (a limit of node:crypto). */
  hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, lengthBytes: number): Uint8Array;
}

export interface AesCtr {
  /** AES-128 in counter mode over zeros, initial counter block zero. */
  aes128CtrKeystream(key16: Uint8Array, lengthBytes: number): Uint8Array;
}

export interface ChaCha20 {
  /** Original ChaCha20 (64-bit counter from 0), nonce zero: XORs the stream into `data`. */
  chacha20XorInPlace(key32: Uint8Array, data: Uint8Array): void;
}

export interface Blake2b {
  /** BLAKE2b in its keyed mode (RFC 7693) with a 32-byte digest, written to `out32`. */
  blake2bKeyedInto(out32: Uint8Array, key64: Uint8Array, data: Uint8Array): void;
}

/** The functions of each primitive; libraries are chosen primitive by primitive. */
export interface Primitives {
  x25519: X25519;
  ed25519: Ed25519;
  sha256: Sha256;
  hmac: Hmac;
  hkdf: Hkdf;
  aesCtr: AesCtr;
  chacha20: ChaCha20;
  blake2b: Blake2b;
}

export type Primitive = keyof Primitives;

/** One library: the primitives that it can serve. */
export interface Backend {
  readonly name: BackendName;
  readonly primitives: Partial<Primitives>;
}

/**
 * Every function is pure and synchronous. Keys, points and signatures must have the length named; another length is a
 * defect of the caller and throws. Results are fresh memory that the caller owns.
 */
export interface Crypto extends X25519, Ed25519, Sha256, Hmac, Hkdf, AesCtr, ChaCha20, Blake2b {
  /** Which library serves which primitive, for `status` and the log. */
  readonly backends: Readonly<Record<Primitive, BackendName>>;
}
