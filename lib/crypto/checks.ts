/**
 * Input checks that the libraries do not make, or not alike.
 * @module
 */
import { MixError } from '../core/errors.ts';

/** Throws unless `bytes` is exactly `lengthBytes` long: some libraries would read a longer key as another algorithm. */
export function expectLength(what: string, bytes: Uint8Array, lengthBytes: number): void {
  if (bytes.byteLength !== lengthBytes) {
    throw new MixError('CRYPTO', `${what} must be ${lengthBytes} bytes, not ${bytes.byteLength}`);
  }
}

/** What every X25519 throws when the result is zero (RFC 7748 section 6.1): all honest points avoid it. */
export function lowOrderPoint(): MixError {
  return new MixError('CRYPTO', 'X25519: the point has a small order');
}

/** u-coordinates of the points of small order, on the curve and its twist, in every encoding below 2^255; little-endian. */
const SMALL_ORDER_U: readonly Buffer[] = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map((hex) => Buffer.from(hex, 'hex'));

/** Whether every X25519 with this public key fails: whoever drew a route over its owner could seal no packet. */
export function isSmallOrderPoint(point32: Uint8Array): boolean {
  const u = Buffer.from(point32);
  u[31] = (u[31] ?? 0) & 0x7f; // X25519 ignores the top bit
  return SMALL_ORDER_U.some((small) => small.equals(u));
}

/** Longest output of HKDF-SHA256 (RFC 5869 section 2.3). */
const MAX_HKDF_BYTES = 255 * 32;
/** node:crypto takes no longer info string; held everywhere, so that no two members differ. */
const MAX_HKDF_INFO_BYTES = 1024;

export function expectHkdfInput(info: Uint8Array, lengthBytes: number): void {
  if (!Number.isInteger(lengthBytes) || lengthBytes < 1 || lengthBytes > MAX_HKDF_BYTES) {
    throw new MixError('CRYPTO', `HKDF output must be 1 to ${MAX_HKDF_BYTES} bytes, not ${lengthBytes}`);
  }
  if (info.byteLength > MAX_HKDF_INFO_BYTES) {
    throw new MixError('CRYPTO', `HKDF info must be at most ${MAX_HKDF_INFO_BYTES} bytes, not ${info.byteLength}`);
  }
}

/** y-coordinates of the points of edwards25519 whose order divides 8, little-endian; the sign of x does not matter. */
const SMALL_ORDER_Y: readonly Buffer[] = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
].map((hex) => Buffer.from(hex, 'hex'));

/**
 * Whether 32 bytes may stand for a point in an Ed25519 key or signature: y below p, and not of small order. Libraries
 * disagree on the rest ("Taming the many EdDSAs", 2020), and a document must be valid for all members or for none.
 */
function isProperPoint(encoded: Uint8Array): boolean {
  const y = Buffer.from(encoded);
  y[31] = (y[31] ?? 0) & 0x7f;
  const belowP = y[31] !== 0x7f || (y[0] ?? 0) < 0xed || y.subarray(1, 31).some((byte) => byte !== 0xff);
  return belowP && !SMALL_ORDER_Y.some((small) => small.equals(y));
}

/** Whether a signature is worth a verification: lengths, and proper points as key and as R. */
export function isProperSignature(publicKey: Uint8Array, signature: Uint8Array): boolean {
  return (
    publicKey.byteLength === 32 &&
    signature.byteLength === 64 &&
    isProperPoint(publicKey) &&
    isProperPoint(signature.subarray(0, 32))
  );
}
