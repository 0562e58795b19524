/**
 * The sender's blinding in one multiplication per hop.
 *
 * The format applies every blinding factor by an X25519 step of its own: hop m's secret is c_m·(…·(c_0·Y)), each c_i
 * clamped (RFC 7748 section 5). As a group operation that is one multiplication by the product, but X25519 clamps what
 * it is given, so the product must be brought into clamped form without changing what it does:
 *
 *     s = 8 · (c_0·…·c_m · 8⁻¹ mod ℓ)
 *
 * s equals the product modulo ℓ (the order of the large subgroup), and both are multiples of 8, so both send the
 * small-order component of any point of the curve to zero. Clamped form also wants bit 254 set and bit 255 clear; where
 * bit 254 is clear, 8ℓ - s has it set, and gives the negated point: the same u-coordinate. (With probability 2^-126 neither
 * number has 255 bits; nobody will ever see it.) Points on the twist have another order and would come out differently;
 * no honest key is one, and a packet with a dishonest key of a hop fails at that hop only.
 * @module
 */

/** ℓ, the prime order of the large subgroup of Curve25519. */
const SUBGROUP_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const COFACTOR = 8n;
/** 8⁻¹ mod ℓ. As ℓ = 5 mod 8, (3ℓ + 1) / 8 is whole. */
const INVERSE_OF_8 = (3n * SUBGROUP_ORDER + 1n) / COFACTOR;
const BIT_254 = 1n << 254n;

const bytes = new Uint8Array(32);
const words = new DataView(bytes.buffer);

function readClamped(secret: Uint8Array): bigint {
  bytes.set(secret);
  bytes[0] = bytes[0]! & 0xf8;
  bytes[31] = (bytes[31]! & 0x7f) | 0x40;
  return (
    words.getBigUint64(0, true) |
    (words.getBigUint64(8, true) << 64n) |
    (words.getBigUint64(16, true) << 128n) |
    (words.getBigUint64(24, true) << 192n)
  );
}

/** A running product of clamped scalars. */
export class ScalarProduct {
  /** Product · 8⁻¹ mod ℓ. */
  #eighth: bigint;

  constructor(secret: Uint8Array) {
    this.#eighth = (readClamped(secret) * INVERSE_OF_8) % SUBGROUP_ORDER;
  }

  multiply(factor: Uint8Array): void {
    this.#eighth = (this.#eighth * readClamped(factor)) % SUBGROUP_ORDER;
  }

  /** The one clamped scalar that acts like all factors in turn; valid until the next call on any product. */
  clamped(): Uint8Array {
    let scalar = COFACTOR * this.#eighth;
    if ((scalar & BIT_254) === 0n) scalar = COFACTOR * SUBGROUP_ORDER - scalar;
    // Each write keeps the low 64 bits.
    words.setBigUint64(0, scalar, true);
    words.setBigUint64(8, scalar >> 64n, true);
    words.setBigUint64(16, scalar >> 128n, true);
    words.setBigUint64(24, scalar >> 192n, true);
    return bytes;
  }
}
