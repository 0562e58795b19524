/**
 * HMAC (RFC 2104) and HKDF (RFC 5869) over a SHA-256 of whole messages: for a library that has the hash and not these.
 * @module
 */
import { expectHkdfInput } from './checks.ts';
import type { Hkdf, Hmac } from './types.ts';

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;
/** Longest message for which memory is kept: more than a Sphinx header and its keys need. */
const MESSAGE_BYTES = 512;

/** Writes the SHA-256 of `data` to `out32`. */
export type HashInto = (out32: Uint8Array, data: Uint8Array) => void;

export function macsOver(hashInto: HashInto): { readonly hmac: Hmac; readonly hkdf: Hkdf } {
  const kept = new Uint8Array(BLOCK_BYTES + MESSAGE_BYTES);
  let inner = kept;
  const outer = new Uint8Array(BLOCK_BYTES + DIGEST_BYTES);
  const innerDigest = outer.subarray(BLOCK_BYTES);

  /** Takes a key for messages of up to `messageBytes`, which go behind the first block of `inner`. */
  function setKey(key: Uint8Array, messageBytes: number): void {
    inner = messageBytes > MESSAGE_BYTES ? new Uint8Array(BLOCK_BYTES + messageBytes) : kept;
    inner.fill(INNER_PAD, 0, BLOCK_BYTES);
    outer.fill(OUTER_PAD, 0, BLOCK_BYTES);
    const short = key.byteLength > BLOCK_BYTES ? digestOf(key) : key;
    for (let i = 0; i < short.byteLength; i++) {
      inner[i] = short[i]! ^ INNER_PAD;
      outer[i] = short[i]! ^ OUTER_PAD;
    }
  }

  function digestOf(data: Uint8Array): Uint8Array {
    const digest = new Uint8Array(DIGEST_BYTES);
    hashInto(digest, data);
    return digest;
  }

  function macInto(out: Uint8Array, messageBytes: number): void {
    hashInto(innerDigest, inner.subarray(0, BLOCK_BYTES + messageBytes));
    hashInto(out, outer);
  }

  function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
    setKey(key, data.byteLength);
    inner.set(data, BLOCK_BYTES);
    const mac = new Uint8Array(DIGEST_BYTES);
    macInto(mac, data.byteLength);
    return mac;
  }

  function hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, lengthBytes: number): Uint8Array {
    expectHkdfInput(info, lengthBytes);
    setKey(hmacSha256(salt, ikm), DIGEST_BYTES + info.byteLength + 1);
    const blocks = Math.ceil(lengthBytes / DIGEST_BYTES);
    const out = new Uint8Array(blocks * DIGEST_BYTES);
    for (let number = 1, before = 0; number <= blocks; number++, before = DIGEST_BYTES) {
      const end = BLOCK_BYTES + before + info.byteLength;
      inner.set(info, BLOCK_BYTES + before);
      inner[end] = number;
      const block = out.subarray((number - 1) * DIGEST_BYTES, number * DIGEST_BYTES);
      macInto(block, end + 1 - BLOCK_BYTES);
      inner.set(block, BLOCK_BYTES);
    }
    return out.subarray(0, lengthBytes);
  }

  return { hmac: { hmacSha256 }, hkdf: { hkdfSha256 } };
}
