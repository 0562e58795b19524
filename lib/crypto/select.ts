/**
 * Which library serves which primitive. The order is by measurement (`npm run bench -- sphinx` prints it for any machine);
 * a candidate must first give a known answer, so that a library that loads and is broken or restricted is passed over.
 * @module
 */

import { toHex } from '../core/bytes.ts';
import { MixError } from '../core/errors.ts';
import { nobleBackend } from './noble.ts';
import { nodeBackend } from './node.ts';
import { loadSodiumBackend } from './sodium.ts';
import type { Backend, BackendName, Crypto, CryptoChoice, Primitive, Primitives } from './types.ts';
import { loadWasmBackend } from './wasm.ts';

/** Known answers for keys and data of bytes 07 and 09: one short computation per primitive. */
const KNOWN_ANSWERS: { readonly [P in Primitive]: (candidate: Primitives[P]) => string } = {
  x25519: ({ x25519 }) => toHex(x25519(filled(32, 7), filled(32, 9))),
  ed25519: ({ ed25519PublicKey }) => toHex(ed25519PublicKey(filled(32, 7))),
  sha256: ({ sha256 }) => toHex(sha256(filled(9, 9))),
  hmac: ({ hmacSha256 }) => toHex(hmacSha256(filled(16, 7), filled(9, 9))),
  hkdf: ({ hkdfSha256 }) => toHex(hkdfSha256(filled(32, 7), filled(0, 0), filled(9, 9), 32)),
  aesCtr: ({ aes128CtrKeystream }) => toHex(aes128CtrKeystream(filled(16, 7), 32)),
  chacha20({ chacha20XorInPlace }) {
    const data = filled(32, 9);
    chacha20XorInPlace(filled(32, 7), data);
    return toHex(data);
  },
  blake2b({ blake2bKeyedInto }) {
    const out = filled(32, 0);
    blake2bKeyedInto(out, filled(64, 7), filled(9, 9));
    return toHex(out);
  },
};

const EXPECTED: Readonly<Record<Primitive, string>> = {
  x25519: '0e51ebabf4a6427d4b2fd9c4e1d53e0be9a81f718609a84818d481d1ff874161',
  ed25519: 'ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c',
  sha256: 'db58a24296e01b4ea9fb7b7722daedce3ef9c9caf48a1094e196e9fcb8286d40',
  hmac: 'a21299f61c106467f95173dca11f67b17b5456bff4c9b5c1e6eb71b1f5f5b0dc',
  hkdf: '4f5b8a4805ee3478b7922febf2c679dfba4d225db2c4c5e98d8cc2b38c319538',
  aesCtr: '4c83b1490bd1a72c53479846884591af974e8b36e1e372932a18cc4c7d46e37f',
  chacha20: 'fd099b715ea3ff481dfc68b3a5ba70798570a8d51d7fa25e3b1fad0b0e6db4ec',
  blake2b: 'c54fb809808f32e1e54f61f945294a34c5fc1d015afb427adbe5f760654f0b5f',
};

function filled(lengthBytes: number, value: number): Uint8Array {
  return new Uint8Array(lengthBytes).fill(value);
}

function answersRight<P extends Primitive>(primitive: P, candidate: Primitives[P]): boolean {
  try {
    return KNOWN_ANSWERS[primitive](candidate) === EXPECTED[primitive];
  } catch {
    return false;
  }
}

/** `backend`'s functions of `primitive`, if it has them and they give the known answer. */
function served<P extends Primitive>(backend: Backend, primitive: P): Primitives[P] | undefined {
  const candidate: Primitives[P] | undefined = backend.primitives[primitive];
  return candidate !== undefined && answersRight(primitive, candidate) ? candidate : undefined;
}

/** All backends that load on this machine without waiting, fastest first. */
export function availableBackends(loadSodium = loadSodiumBackend): readonly Backend[] {
  const sodium = loadSodium();
  return sodium === undefined ? [nodeBackend, nobleBackend] : [sodium, nodeBackend, nobleBackend];
}

/**
 * The crypto of a process that handles packets: `createCrypto`, and WebAssembly where BLAKE2b would else fall to
 * JavaScript. It is loaded nowhere else. Throws as `createCrypto`; the parameters behind the first are for tests.
 */
export async function loadCrypto(
  choice: CryptoChoice = 'fastest',
  loadSodium = loadSodiumBackend,
  loadWasm: () => Promise<Backend | undefined> = loadWasmBackend,
): Promise<Crypto> {
  if (choice === 'noble') return createCrypto('noble');
  const fast = availableBackends(loadSodium).filter((backend) => backend !== nobleBackend);
  if (fast.some((backend) => served(backend, 'blake2b') !== undefined))
    return createCrypto(choice, [...fast, nobleBackend]);
  const wasm = await loadWasm();
  return createCrypto(choice, wasm === undefined ? [...fast, nobleBackend] : [...fast, wasm, nobleBackend]);
}

/** One line for the log where packets are dear because a library is missing; undefined where none is. */
export function missingLibrary({ backends }: Crypto): string | undefined {
  if (backends.blake2b !== 'noble' || backends.x25519 === 'noble') return undefined;
  return 'neither libsodium nor its WebAssembly loads here: BLAKE2b is JavaScript, and packets cost many times as much';
}

/**
 * The crypto of the libraries that load without waiting: for signatures, tokens and tests. Throws MixError INTERNAL if a
 * primitive has no working library. `backends` is for tests.
 */
export function createCrypto(
  choice: CryptoChoice = 'fastest',
  backends: readonly Backend[] = choice === 'noble' ? [nobleBackend] : availableBackends(),
): Crypto {
  const names: Partial<Record<Primitive, BackendName>> = {};
  function choose<P extends Primitive>(primitive: P): Primitives[P] {
    for (const backend of backends) {
      const candidate = served(backend, primitive);
      if (candidate === undefined) continue;
      names[primitive] = backend.name;
      return candidate;
    }
    throw new MixError('INTERNAL', `no crypto library on this machine computes ${primitive} rightly`);
  }
  return {
    ...choose('x25519'),
    ...choose('ed25519'),
    ...choose('sha256'),
    ...choose('hmac'),
    ...choose('hkdf'),
    ...choose('aesCtr'),
    ...choose('chacha20'),
    ...choose('blake2b'),
    backends: names as Record<Primitive, BackendName>,
  };
}
