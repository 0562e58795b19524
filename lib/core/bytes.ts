/**
 * Byte helpers shared by every layer: branded types, hex, constant-time compare, and the
 * QUIC variable-length integer (RFC 9000 section 16) that session frames use.
 * @module
 */
import { timingSafeEqual } from 'node:crypto';

declare const brand: unique symbol;
/** A type that is its base at run time and cannot be mixed up at compile time. */
export type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** An Ed25519 public key as 64 lower-case hex digits: how documents, config and logs name a node. */
export type IdentityHex = Branded<string, 'IdentityHex'>;

/** The 32 address bytes of a Sphinx header as a latin-1 string: a map key that costs no hex on the packet path. */
export type AddressKey = Branded<string, 'AddressKey'>;

/** A Buffer view over the same memory; copies nothing. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function toHex(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('hex');
}

/** Lower-case hex of exactly `lengthBytes` bytes, or undefined if `text` is anything else. */
export function fromHex(text: string, lengthBytes: number): Uint8Array | undefined {
  if (text.length !== 2 * lengthBytes || !/^[0-9a-f]*$/.test(text)) return undefined;
  return new Uint8Array(Buffer.from(text, 'hex'));
}

/** The identity that an Ed25519 public key of 32 bytes is. */
export function identityHexOf(publicKey: Uint8Array): IdentityHex {
  return toHex(publicKey) as IdentityHex;
}

export function isIdentityHex(text: string): text is IdentityHex {
  return /^[0-9a-f]{64}$/.test(text);
}

/** The first 8 bytes, hex: they are unique in a network, and reply blocks and loop results name a node by them. */
export function prefixOf(identity: IdentityHex): string {
  return identity.slice(0, 16);
}

/** Map key of the 32 bytes of `bytes` at `offset`. */
export function addressKeyAt(bytes: Uint8Array, offset: number): AddressKey {
  return asBuffer(bytes).toString('latin1', offset, offset + 32) as AddressKey;
}

/** Map key of an identity given in hex. */
export function addressKeyOf(identity: IdentityHex): AddressKey {
  return Buffer.from(identity, 'hex').toString('latin1') as AddressKey;
}

/** Whether two byte strings are equal, in time that depends on their length only. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}

export function concatBytes(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.byteLength;
  }
  return out;
}

/** Largest value of a QUIC varint that a JavaScript number holds exactly (the wire allows 2^62 - 1). */
export const MAX_VARINT = Number.MAX_SAFE_INTEGER;

/** Bytes that `value` takes as a varint: 1, 2, 4 or 8. */
export function varintBytes(value: number): 1 | 2 | 4 | 8 {
  if (value < 0x40) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x4000_0000) return 4;
  return 8;
}

/** Writes `value` (an integer from 0 to MAX_VARINT) at `offset`; returns the offset behind it. */
export function writeVarint(out: Uint8Array, offset: number, value: number): number {
  const length = varintBytes(value);
  let rest = value;
  for (let i = length - 1; i >= 0; i--) {
    out[offset + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  const prefix = length === 1 ? 0 : length === 2 ? 0x40 : length === 4 ? 0x80 : 0xc0;
  out[offset] = (out[offset] ?? 0) | prefix;
  return offset + length;
}

/**
 * A cursor over bytes from the network. A read past the end, or a varint beyond MAX_VARINT, sets `failed`
 * and returns zeros, so that a parser checks once at the end instead of after every field.
 */
export class ByteReader {
  failed = false;
  offset = 0;
  constructor(readonly bytes: Uint8Array) {}

  get left(): number {
    return this.bytes.byteLength - this.offset;
  }

  u8(): number {
    const value = this.bytes[this.offset];
    if (value === undefined) {
      this.failed = true;
      return 0;
    }
    this.offset += 1;
    return value;
  }

  u16(): number {
    return this.u8() * 256 + this.u8();
  }

  varint(): number {
    const first = this.u8();
    const extra = (1 << (first >> 6)) - 1;
    let value = first & 0x3f;
    for (let i = 0; i < extra; i++) value = value * 256 + this.u8();
    if (value > MAX_VARINT) this.failed = true;
    return this.failed ? 0 : value;
  }

  /** A view (not a copy) of the next `length` bytes; empty when there are fewer. */
  take(length: number): Uint8Array {
    if (length > this.left) {
      this.failed = true;
      return this.bytes.subarray(0, 0);
    }
    const view = this.bytes.subarray(this.offset, this.offset + length);
    this.offset += length;
    return view;
  }
}
