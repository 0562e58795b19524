import { createPublicKey, randomBytes } from 'node:crypto';
import instantiate, { type LibsodiumModule } from 'libsodium';
import t from 'tap';
import { toHex } from '../../lib/core/bytes.ts';
import { MixError } from '../../lib/core/errors.ts';
import { type Backend, createCrypto, loadCrypto, missingLibrary } from '../../lib/crypto/index.ts';
import { macsOver } from '../../lib/crypto/macs.ts';
import { nobleBackend } from '../../lib/crypto/noble.ts';
import { canImport, nodeBackend, SECRET_IMPORTS } from '../../lib/crypto/node.ts';
import { loadSodiumBackend } from '../../lib/crypto/sodium.ts';
import type { Blake2b, Primitives } from '../../lib/crypto/types.ts';
import { loadWasmBackend } from '../../lib/crypto/wasm.ts';

// RFC 7748 section 5.2: the first vector, and the first step of the iteration
const X_SECRET = 'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4';
const X_POINT = 'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c';
const X_RESULT = 'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552';
const NINE = '0900000000000000000000000000000000000000000000000000000000000000';
const NINE_TIMES_NINE = '422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079';
// RFC 8032 section 7.1, test 2
const ED_SEED = '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb';
const ED_PUBLIC = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c';
const ED_SIGNATURE =
  '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00';
// RFC 5869 test case 3
const HKDF_OKM = '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8';
/** All u-coordinates whose order divides 8, on the curve and its twist, and their non-canonical forms. */
const SMALL_ORDER_POINTS = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000080',
];

const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));

t.test('noble serves everything when chosen', async (t) => {
  t.same(new Set(Object.values(createCrypto('noble').backends)), new Set(['noble']));
});

t.test('without libsodium the next backend serves each primitive', async (t) => {
  const missing = loadSodiumBackend(() => {
    throw new Error('Error relocating: symbol not found');
  });
  t.equal(missing, undefined);
  const { backends } = createCrypto('fastest', [nodeBackend, nobleBackend]);
  t.match(backends, { x25519: 'node', ed25519: 'node', hkdf: 'node', chacha20: 'node', blake2b: 'noble' });
});

t.test('WebAssembly serves BLAKE2b where libsodium does not load, and is loaded nowhere else', async (t) => {
  const without = await loadCrypto('fastest', () => undefined);
  t.match(without.backends, { blake2b: 'wasm', chacha20: 'node', x25519: 'node' });
  t.equal(missingLibrary(without), undefined);
  const unused = async () => t.fail('loaded') as never;
  const native: Backend = { name: 'sodium', primitives: { blake2b: nobleBackend.primitives.blake2b } };
  t.match((await loadCrypto('fastest', () => native, unused)).backends, { blake2b: 'sodium' });
  const noble = await loadCrypto('noble', () => undefined, unused);
  t.same(new Set(Object.values(noble.backends)), new Set(['noble']));
  t.equal(missingLibrary(noble), undefined, 'it was asked for');
});

t.test('WebAssembly that does not load, or answers wrongly, leaves BLAKE2b to JavaScript, with one line', async (t) => {
  const broken = async () => {
    throw new Error('CompileError: refused by the embedder');
  };
  const wrong: Backend = { name: 'wasm', primitives: { blake2b: { blake2bKeyedInto: (out) => void out.fill(1) } } };
  for (const load of [() => loadWasmBackend(broken), async () => wrong]) {
    const crypto = await loadCrypto('fastest', () => undefined, load);
    t.match(crypto.backends, { blake2b: 'noble', x25519: 'node' });
    t.match(missingLibrary(crypto), /^neither libsodium nor its WebAssembly [^\n]+$/);
  }
  const half: Backend = { name: 'sodium', primitives: { blake2b: { blake2bKeyedInto: (out) => void out.fill(1) } } };
  const crypto = await loadCrypto('fastest', () => half);
  t.match(crypto.backends, { blake2b: 'wasm' }, 'a libsodium that answers wrongly is as good as none');
});

async function blake2bOn(sodium: LibsodiumModule): Promise<Blake2b> {
  return ((await loadWasmBackend(async () => sodium)) as { primitives: { blake2b: Blake2b } }).primitives.blake2b;
}

/** Whether `bytes` stand anywhere in `memory`, or any eight of them in a row. */
function holds(memory: Uint8Array, bytes: Uint8Array): boolean {
  const all = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
  for (let i = 0; i + 8 <= bytes.byteLength; i += 8)
    if (all.includes(Buffer.from(bytes.subarray(i, i + 8)))) return true;
  return false;
}

t.test('neither key nor data of a hash stays in the memory of WebAssembly, and it does not grow', async (t) => {
  const sodium = await instantiate();
  const { blake2bKeyedInto } = await blake2bOn(sodium);
  const beforeBytes = sodium.HEAPU8.byteLength;
  const out = new Uint8Array(32);
  const key = randomBytes(64);
  for (const lengthBytes of [0, 2033, 300_000, 100, 70_000]) {
    const data = randomBytes(lengthBytes);
    blake2bKeyedInto(out, key, data);
    for (const secret of [key, data.subarray(0, 128), data.subarray(-128)]) {
      t.notOk(holds(sodium.HEAPU8, secret), `${lengthBytes} bytes`);
    }
  }
  t.equal(sodium.HEAPU8.byteLength, beforeBytes);
  t.ok(beforeBytes <= 8 * 1024 * 1024, 'LIMITS.md');

  sodium.HEAPU8.set(key, sodium._malloc(64));
  t.ok(holds(sodium.HEAPU8, key), 'what stays would be found');
});

t.test('a hash that fails half-way is an error, and leaves nothing either', async (t) => {
  const sodium = await instantiate();
  let trap = false;
  const failing = Object.assign(Object.create(sodium) as typeof sodium, {
    _crypto_generichash_final(...args: Parameters<typeof sodium._crypto_generichash_final>) {
      if (trap) throw new Error('RuntimeError: unreachable');
      return sodium._crypto_generichash_final(...args) - 1;
    },
  });
  const { blake2bKeyedInto } = await blake2bOn(failing);
  const [key, data] = [randomBytes(64), randomBytes(500)];
  t.throws(() => blake2bKeyedInto(new Uint8Array(32), key, data), { code: 'INTERNAL' });
  trap = true;
  t.throws(() => blake2bKeyedInto(new Uint8Array(32), key, data), /unreachable/);
  t.notOk(holds(sodium.HEAPU8, key));
  t.notOk(holds(sodium.HEAPU8, data));
});

t.test('a library that loads and answers wrongly, or throws, is passed over', async (t) => {
  const wrong: Backend = {
    name: 'sodium',
    primitives: {
      x25519: { x25519: () => new Uint8Array(32), x25519Base: () => new Uint8Array(32) },
      sha256: {
        sha256() {
          throw new Error('disabled for FIPS');
        },
      },
    },
  };
  const { backends } = createCrypto('fastest', [wrong, nodeBackend, nobleBackend]);
  t.match(backends, { x25519: 'node', sha256: 'node' });
});

t.test('no working library for a primitive is an error that names it', async (t) => {
  t.throws(() => createCrypto('fastest', [nodeBackend]), { code: 'INTERNAL', message: /blake2b/ });
});

t.test('every backend gives the published answers', async (t) => {
  for (const crypto of [
    createCrypto('fastest'),
    createCrypto('fastest', [nodeBackend, nobleBackend]),
    await loadCrypto('fastest', () => undefined),
    createCrypto('noble'),
  ]) {
    t.equal(toHex(crypto.x25519(hex(X_SECRET), hex(X_POINT))), X_RESULT);
    t.equal(toHex(crypto.x25519Base(hex(NINE))), NINE_TIMES_NINE);
    const signature = crypto.ed25519Sign(hex(ED_SEED), hex('72'));
    t.equal(toHex(crypto.ed25519PublicKey(hex(ED_SEED))), ED_PUBLIC);
    t.equal(toHex(signature), ED_SIGNATURE);
    t.ok(crypto.ed25519Verify(hex(ED_PUBLIC), hex('72'), signature));
    t.notOk(crypto.ed25519Verify(hex(ED_PUBLIC), hex('73'), signature));
    const okm = crypto.hkdfSha256(new Uint8Array(22).fill(0x0b), hex(''), hex(''), 42);
    t.equal(toHex(okm), HKDF_OKM);
    // RFC 4231 test case 2
    const mac = crypto.hmacSha256(Buffer.from('Jefe'), Buffer.from('what do ya want for nothing?'));
    t.equal(toHex(mac), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
    // FIPS 180-2
    t.equal(
      toHex(crypto.sha256(Buffer.from('abc'))),
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    // FIPS 197 appendix B key; AES of the zero block begins the stream
    const stream = crypto.aes128CtrKeystream(hex('00000000000000000000000000000000'), 32);
    t.equal(toHex(stream), '66e94bd4ef8a2c3b884cfa59ca342b2e58e2fccefa7e3061367f1d57a4e7455a');
    // draft-strombergson-chacha-test-vectors TC1: zero key, zero nonce, 20 rounds
    const data = new Uint8Array(32);
    crypto.chacha20XorInPlace(new Uint8Array(32), data);
    t.equal(toHex(data), '76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7');
  }
});

t.test('HMAC and HKDF over a bare hash are those of OpenSSL, whatever the lengths', async (t) => {
  const { sha256, hmac, hkdf } = nodeBackend.primitives as Primitives;
  const over = macsOver((out, data) => out.set(sha256.sha256(data)));
  for (const lengthBytes of [0, 1, 63, 64, 65, 131, 512, 513, 5000]) {
    const [key, data] = [randomBytes(lengthBytes), randomBytes(5000 - lengthBytes)];
    t.same(Buffer.from(over.hmac.hmacSha256(key, data)), hmac.hmacSha256(key, data), `a key of ${lengthBytes} bytes`);
    const input = [data, key, data.subarray(0, 1024 - Math.min(1024, lengthBytes)), 1 + lengthBytes] as const;
    t.same(over.hkdf.hkdfSha256(...input), hkdf.hkdfSha256(...input), `${lengthBytes + 1} bytes of HKDF`);
  }
});

t.test('a point of small order is a CRYPTO error, a wrong length too', async (t) => {
  for (const crypto of [
    createCrypto('fastest'),
    createCrypto('fastest', [nodeBackend, nobleBackend]),
    await loadCrypto('fastest', () => undefined),
    createCrypto('noble'),
  ]) {
    for (const point of SMALL_ORDER_POINTS) {
      t.throws(() => crypto.x25519(new Uint8Array(32).fill(7), hex(point)), { code: 'CRYPTO' }, point);
    }
    t.throws(() => crypto.x25519(new Uint8Array(31), new Uint8Array(32)), MixError);
    t.throws(() => crypto.x25519(new Uint8Array(32), new Uint8Array(33)), MixError);
    t.throws(() => crypto.aes128CtrKeystream(new Uint8Array(32), 16));
    t.throws(() => crypto.chacha20XorInPlace(new Uint8Array(16), new Uint8Array(4)));
    t.throws(() => crypto.blake2bKeyedInto(new Uint8Array(32), new Uint8Array(32), new Uint8Array(4)));
    t.throws(() => crypto.blake2bKeyedInto(new Uint8Array(64), new Uint8Array(64), new Uint8Array(4)));
    t.throws(() => crypto.hkdfSha256(new Uint8Array(32), hex(''), hex(''), 255 * 32 + 1), { code: 'CRYPTO' });
    t.throws(() => crypto.hkdfSha256(new Uint8Array(32), hex(''), new Uint8Array(1025), 32), { code: 'CRYPTO' });
    t.equal(crypto.ed25519Verify(new Uint8Array(31), hex(''), new Uint8Array(64)), false);
    t.equal(crypto.ed25519Verify(hex(ED_PUBLIC), hex(''), new Uint8Array(63)), false);
  }
});

t.test('every way to import a secret that this Node has gives the same key', async (t) => {
  const ways = Object.entries(SECRET_IMPORTS).filter(([, way]) => canImport(way));
  t.ok(ways.length >= 2, 'Node 20 has jwk and der, Node 26 raw and der');
  for (const curve of ['X25519', 'Ed25519'] as const) {
    const keys = ways.map(([, way]) => createPublicKey(way(curve, Buffer.alloc(32, 5))).export({ format: 'jwk' }).x);
    t.match(keys[0], /^[\w-]{43}$/);
    t.equal(new Set(keys).size, 1, `${curve}: ${ways.map(([name]) => name)}`);
  }
});

t.test('node:crypto keeps the imported secrets in use, and mixes none up', async (t) => {
  const { x25519 } = nodeBackend.primitives.x25519!;
  const reference = nobleBackend.primitives.x25519;
  const secret = new Uint8Array(32).fill(1);
  const point = reference.x25519Base(new Uint8Array(32).fill(99));
  // More secrets than are kept, each followed by the node's own, as unwrapping does.
  for (let i = 2; i < 10; i++) {
    const factor = new Uint8Array(32).fill(i);
    t.same(new Uint8Array(x25519(factor, point)), reference.x25519(factor, point), `secret ${i}`);
    t.same(new Uint8Array(x25519(secret, point)), reference.x25519(secret, point), 'the own one');
  }
  // The caller's array is not the key: it may be overwritten.
  secret.fill(3);
  t.same(new Uint8Array(x25519(secret, point)), reference.x25519(secret, point), 'overwritten');
});
