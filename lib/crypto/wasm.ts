/**
 * The backend on libsodium's own build for WebAssembly (npm's `libsodium`), for machines on which no binary of `sodium-native`
 * loads: musl, BSD, processors of 32 bits. It serves BLAKE2b alone, 25 times as fast as JavaScript does; what
 * `node:crypto` has is faster there.
 *
 * The module has memory of its own, which lasts. Key and data are overwritten before a call returns; the last digest stays on
 * its stack until the next call.
 * @module
 */
import type { LibsodiumModule } from 'libsodium';
import { MixError } from '../core/errors.ts';
import { expectLength } from './checks.ts';
import type { Backend, Blake2b } from './types.ts';

const KEY_BYTES = 64;
const DIGEST_BYTES = 32;
/** Longer data goes through the module in pieces of this size: a whole packet of any size that a network may have. */
export const PIECE_BYTES = 64 * 1024;

/** libsodium's WebAssembly as a backend, or undefined where it does not load. Takes some 25 ms of the processor and 9 MB. */
export async function loadWasmBackend(
  load: () => Promise<LibsodiumModule> = async () => (await import('libsodium')).default(),
): Promise<Backend | undefined> {
  try {
    return { name: 'wasm', primitives: { blake2b: blake2bOf(await load()) } };
  } catch {
    return undefined;
  }
}

function blake2bOf(sodium: LibsodiumModule): Blake2b {
  const stateBytes = sodium._crypto_generichash_statebytes();
  const sizeBytes = stateBytes + KEY_BYTES + DIGEST_BYTES + PIECE_BYTES;
  const state = sodium._malloc(sizeBytes);
  if (state === 0) throw new MixError('INTERNAL', 'libsodium has no memory');
  const key = state + stateBytes;
  const digest = key + KEY_BYTES;
  const piece = digest + DIGEST_BYTES;

  /** Throws MixError INTERNAL: lengths were checked, so nothing but a defect can be the reason. */
  function expectDone(status: number): void {
    if (status !== 0) throw new MixError('INTERNAL', 'libsodium refused a BLAKE2b hash');
  }

  return {
    blake2bKeyedInto(out32, key64, data) {
      expectLength('BLAKE2b digest', out32, DIGEST_BYTES);
      expectLength('BLAKE2b key', key64, KEY_BYTES);
      const { HEAPU8: memory } = sodium;
      try {
        memory.set(key64, key);
        expectDone(sodium._crypto_generichash_init(state, key, KEY_BYTES, DIGEST_BYTES));
        for (let offset = 0; offset < data.byteLength; offset += PIECE_BYTES) {
          const part = data.subarray(offset, offset + PIECE_BYTES);
          memory.set(part, piece);
          expectDone(sodium._crypto_generichash_update(state, piece, part.byteLength, 0));
        }
        expectDone(sodium._crypto_generichash_final(state, digest, DIGEST_BYTES));
        out32.set(memory.subarray(digest, piece));
      } finally {
        memory.fill(0, state, piece + Math.min(data.byteLength, PIECE_BYTES));
      }
    },
  };
}
