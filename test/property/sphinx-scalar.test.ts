/**
 * One multiplication by the combined scalar gives what the format's step-by-step rule gives.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import t from 'tap';
import { createCrypto } from '../../lib/crypto/index.ts';
import { expandSecret, routeKeys } from '../../lib/sphinx/keys.ts';
import { ScalarProduct } from '../../lib/sphinx/scalar.ts';
import { seededRng } from '../support/seeded-rng.ts';

const crypto = createCrypto('fastest');
const secret = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ minLength: 32, maxLength: 32 }) },
  fc.constantFrom(new Uint8Array(32), new Uint8Array(32).fill(0xff)),
);
const factors = fc.array(secret, { minLength: 1, maxLength: 5 });

const { Point } = ed25519;
const TORSION = Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05');
/** u-coordinates of points of the curve: a multiple of the base point, plus one of the eight points of small order. */
const publicKey = fc
  .tuple(fc.bigInt({ min: 1n, max: Point.Fn.ORDER - 1n }), fc.integer({ min: 0, max: 7 }))
  .map(([k, torsion]) => Point.BASE.multiply(k).add(torsion === 0 ? Point.ZERO : TORSION.multiply(BigInt(torsion))))
  .map((point) => ed25519.utils.toMontgomery(point.toBytes()));

/** The rule as the format states it: each factor clamped and applied by its own X25519. */
function stepByStep(scalars: readonly Uint8Array[], point: Uint8Array): Uint8Array {
  return scalars.reduce((u, scalar) => crypto.x25519(scalar, u), point);
}

function combined([first, ...rest]: readonly Uint8Array[]): Uint8Array {
  const product = new ScalarProduct(first!);
  for (const factor of rest) product.multiply(factor);
  return product.clamped().slice();
}

t.test('on every point of the curve, small-order components included', async (t) => {
  const property = fc.property(
    factors,
    publicKey,
    (scalars, point) => Buffer.compare(crypto.x25519(combined(scalars), point), stepByStep(scalars, point)) === 0,
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 400, seed: 1 }));
});

t.test('the combined scalar is in clamped form already', async (t) => {
  const property = fc.property(factors, (scalars) => {
    const scalar = combined(scalars);
    return (scalar[0]! & 7) === 0 && (scalar[31]! & 0xc0) === 0x40;
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 400, seed: 1 }));
});

t.test('on the twist the two differ, which is why node keys are points of the curve', async (t) => {
  // 2 is the u-coordinate of a point of the twist: 2^3 + 486662·2^2 + 2 is not a square mod p.
  const scalars = [seededRng(1).bytes(32), seededRng(2).bytes(32)];
  const point = new Uint8Array(32).with(0, 2);
  t.notSame(crypto.x25519(combined(scalars), point), stepByStep(scalars, point));
});

t.test('the keys of a route are those of the rule', async (t) => {
  const property = fc.property(secret, fc.array(publicKey, { minLength: 1, maxLength: 5 }), (x, keys) => {
    const scalars = [x];
    return routeKeys(crypto, x, keys).every((hopKeys, i) => {
      const expected = expandSecret(crypto, stepByStep(scalars, keys[i]!));
      scalars.push(expected.slice(224, 256));
      return Buffer.compare(hopKeys, expected) === 0;
    });
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 100, seed: 1 }));
});
