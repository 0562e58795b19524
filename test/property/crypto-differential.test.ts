/**
 * Every library that serves a primitive gives the bytes of the reference, on random and on hostile input.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import t from 'tap';
import { concatBytes, toHex } from '../../lib/core/bytes.ts';
import { availableBackends, type Primitive, type Primitives } from '../../lib/crypto/index.ts';
import { nobleBackend } from '../../lib/crypto/noble.ts';
import { loadWasmBackend, PIECE_BYTES } from '../../lib/crypto/wasm.ts';

const bytes = (min: number, max = min) => fc.uint8Array({ minLength: min, maxLength: max });
const reference = nobleBackend.primitives;
const wasm = await loadWasmBackend();
/** All libraries of this machine, WebAssembly too where none needs it. */
const backends = wasm === undefined ? availableBackends() : [...availableBackends(), wasm];

/** The libraries other than the reference that serve `primitive` on this machine. */
function others<P extends Primitive>(primitive: P): { name: string; functions: Primitives[P] }[] {
  return backends
    .filter((backend) => backend.name !== 'noble' && backend.primitives[primitive] !== undefined)
    .map((backend) => ({ name: backend.name, functions: backend.primitives[primitive]! }));
}

/** The result as hex, or the fact that it threw. */
function outcome(compute: () => Uint8Array): string {
  try {
    return toHex(compute());
  } catch {
    return 'throws';
  }
}

function check<P extends Primitive, Input>(
  primitive: P,
  input: fc.Arbitrary<Input>,
  compute: (functions: Primitives[P], input: Input) => Uint8Array,
  numRuns: number,
): void {
  t.test(`${primitive}: ${compute.name}`, async (t) => {
    const candidates = others(primitive);
    for (const { name, functions } of candidates) {
      const property = fc.property(input, (value) => {
        const expected = outcome(() => compute(reference[primitive], value));
        return outcome(() => compute(functions, value)) === expected;
      });
      t.doesNotThrow(() => fc.assert(property, { numRuns, seed: 1 }), name);
    }
    t.ok(candidates.length > 0, 'a library besides the reference was compared');
  });
}

/** Field elements at and above p, small ones, all bits, and anything. */
const point = fc.oneof(
  { weight: 4, arbitrary: bytes(32) },
  fc.integer({ min: 0, max: 255 }).map((low) => new Uint8Array(32).fill(0xff).with(0, low).with(31, 0x7f)),
  fc.integer({ min: 0, max: 255 }).map((low) => new Uint8Array(32).fill(0xff).with(0, low)),
  fc.integer({ min: 0, max: 20 }).map((low) => new Uint8Array(32).with(0, low)),
  fc.constant(new Uint8Array(Buffer.from('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800', 'hex'))),
);
check(
  'x25519',
  fc.tuple(bytes(32), point),
  function multiply({ x25519 }, [secret, u]) {
    return x25519(secret, u);
  },
  60,
);
check(
  'x25519',
  bytes(31, 33),
  function base({ x25519Base }, secret) {
    return x25519Base(secret);
  },
  40,
);
check(
  'ed25519',
  fc.tuple(bytes(32), bytes(0, 300)),
  function sign({ ed25519PublicKey, ed25519Sign, ed25519Verify }, [seed, message]) {
    const publicKey = ed25519PublicKey(seed);
    const signature = ed25519Sign(seed, message);
    return concatBytes(publicKey, signature, Uint8Array.of(Number(ed25519Verify(publicKey, message, signature))));
  },
  20,
);
check(
  'sha256',
  bytes(0, 5000),
  function digest({ sha256 }, data) {
    return sha256(data);
  },
  200,
);
check(
  'hmac',
  fc.tuple(bytes(0, 200), bytes(0, 2000)),
  function mac({ hmacSha256 }, [key, data]) {
    return hmacSha256(key, data);
  },
  200,
);
check(
  'hkdf',
  fc.tuple(bytes(0, 100), bytes(0, 100), bytes(0, 1030), fc.integer({ min: -1, max: 8170 })),
  function derive({ hkdfSha256 }, [ikm, salt, info, lengthBytes]) {
    return hkdfSha256(ikm, salt, info, lengthBytes);
  },
  100,
);
check(
  'aesCtr',
  fc.tuple(bytes(15, 17), fc.integer({ min: 0, max: 10_000 })),
  function keystream({ aes128CtrKeystream }, [key, lengthBytes]) {
    return aes128CtrKeystream(key, lengthBytes);
  },
  200,
);
check(
  'chacha20',
  fc.tuple(bytes(31, 33), bytes(0, 5000)),
  function xorInPlace({ chacha20XorInPlace }, [key, data]) {
    const copy = data.slice();
    chacha20XorInPlace(key, copy);
    return copy;
  },
  200,
);
check(
  'blake2b',
  fc.tuple(bytes(31, 33), bytes(63, 65), bytes(0, 5000)),
  function keyedInto({ blake2bKeyedInto }, [out, key, data]) {
    const copy = out.slice();
    blake2bKeyedInto(copy, key, data);
    return copy;
  },
  200,
);

t.test('blake2b: data longer than what a library takes at once', async (t) => {
  const key = new Uint8Array(64).fill(3);
  for (const lengthBytes of [PIECE_BYTES, 2 * PIECE_BYTES + 129]) {
    const data = new Uint8Array(lengthBytes).map((_, i) => i);
    const digest = ({ blake2bKeyedInto }: Primitives['blake2b']) => {
      const out = new Uint8Array(32);
      blake2bKeyedInto(out, key, data);
      return toHex(out);
    };
    const expected = digest(reference.blake2b);
    for (const { name, functions } of others('blake2b'))
      t.equal(digest(functions), expected, `${name}: ${lengthBytes}`);
  }
});

t.test('a view into a larger buffer gives what a copy gives', async (t) => {
  const big = new Uint8Array(400).map((_, i) => i);
  for (const { name, primitives } of backends) {
    const key = big.subarray(3, 35);
    if (primitives.chacha20 !== undefined) {
      const buffer = big.slice();
      primitives.chacha20.chacha20XorInPlace(key, buffer.subarray(101, 201));
      const copy = big.slice(101, 201);
      reference.chacha20.chacha20XorInPlace(key.slice(), copy);
      t.same(buffer, concatBytes(big.slice(0, 101), copy, big.slice(201)), `${name} chacha20`);
    }
    if (primitives.blake2b !== undefined) {
      const buffer = new Uint8Array(64);
      primitives.blake2b.blake2bKeyedInto(buffer.subarray(7, 39), big.subarray(1, 65), big.subarray(5));
      const expected = new Uint8Array(32);
      reference.blake2b.blake2bKeyedInto(expected, big.slice(1, 65), big.slice(5));
      t.same(buffer, concatBytes(new Uint8Array(7), expected, new Uint8Array(25)), `${name} blake2b`);
    }
    if (primitives.x25519 !== undefined) {
      const actual = primitives.x25519.x25519(key, big.subarray(40, 72));
      t.same(toHex(actual), toHex(reference.x25519.x25519(key.slice(), big.slice(40, 72))), `${name} x25519`);
    }
  }
});

// Signatures that a dishonest signer can make: key and R with a component of small order, on which libraries differ.
const { Point } = ed25519;
const TORSION = Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05');
const scalar = fc.bigInt({ min: 1n, max: Point.Fn.ORDER - 1n });
const order8 = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 7 }));
const times = (n: number) => (n === 0 ? Point.ZERO : TORSION.multiply(BigInt(n)));
const littleEndian = (value: Uint8Array) => BigInt(`0x${toHex(value.slice().reverse())}`);

t.test('ed25519: crafted signatures are valid for all libraries or for none', async (t) => {
  const verdicts = new Set<boolean>();
  const property = fc.property(
    scalar,
    scalar,
    order8,
    order8,
    fc.boolean(),
    fc.boolean(),
    (a, r, i, j, zeroKey, zeroR) => {
      const key = (zeroKey ? Point.ZERO : Point.BASE.multiply(a)).add(times(i)).toBytes();
      const commitment = (zeroR ? Point.ZERO : Point.BASE.multiply(r)).add(times(j)).toBytes();
      const message = commitment.subarray(0, 5);
      const challenge = Point.Fn.create(littleEndian(sha512(concatBytes(commitment, key, message))));
      const s = Point.Fn.create((zeroR ? 0n : r) + challenge * (zeroKey ? 0n : a));
      const signature = concatBytes(commitment, Point.Fn.toBytes(s));
      const expected = reference.ed25519.ed25519Verify(key, message, signature);
      verdicts.add(expected);
      return others('ed25519').every(({ functions }) => functions.ed25519Verify(key, message, signature) === expected);
    },
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 150, seed: 1 }));
  t.equal(verdicts.size, 2, 'some are accepted, some refused');
});

t.test('ed25519: garbage is false for all libraries', async (t) => {
  const property = fc.property(bytes(31, 33), bytes(0, 20), bytes(63, 65), (key, message, signature) =>
    backends.every(({ primitives }) => primitives.ed25519?.ed25519Verify(key, message, signature) !== true),
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 60, seed: 1 }));
});

t.test('ed25519: a second encoding of the same signature is refused', async (t) => {
  const seed = new Uint8Array(32).fill(3);
  const message = new Uint8Array(8);
  const signature = reference.ed25519.ed25519Sign(seed, message);
  const larger = littleEndian(signature.subarray(32)) + Point.Fn.ORDER;
  const encoded = Buffer.from(larger.toString(16).padStart(64, '0'), 'hex').reverse();
  const malleated = concatBytes(signature.subarray(0, 32), encoded);
  for (const { name, primitives } of backends) {
    if (primitives.ed25519 === undefined) continue;
    const { ed25519PublicKey, ed25519Verify } = primitives.ed25519;
    t.ok(ed25519Verify(ed25519PublicKey(seed), message, signature), name);
    t.notOk(ed25519Verify(ed25519PublicKey(seed), message, malleated), name);
  }
});
