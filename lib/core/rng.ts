/**
 * Randomness, injected everywhere. The system's generator in production; tests use a seeded one
 * (test/support/seeded-rng.ts).
 * @module
 */
import { randomFillSync } from 'node:crypto';

export interface Rng {
  /** Fills `out` with random bytes and returns it. */
  fill<T extends Uint8Array>(out: T): T;
  /** `length` fresh random bytes. */
  bytes(length: number): Uint8Array;
  /** Uniform in the open interval (0, 1): safe to take the logarithm of. */
  uniform(): number;
  /** Uniform integer from 0 to `bound` - 1, without modulo bias beyond 2^-21 for bounds under 2^32. */
  int(bound: number): number;
}

/** Builds an Rng on one source of random bytes. */
export function rngFrom(fill: (out: Uint8Array) => void): Rng {
  const word = new Uint8Array(8);
  const view = new DataView(word.buffer);
  const uniform = (): number => {
    fill(word);
    // 53 bits, shifted by half a step so that neither 0 nor 1 can come out.
    return (view.getUint32(0) * 2 ** 21 + (view.getUint32(4) >>> 11) + 0.5) / 2 ** 53;
  };
  return {
    fill(out) {
      fill(out);
      return out;
    },
    bytes(length) {
      const out = new Uint8Array(length);
      fill(out);
      return out;
    },
    uniform,
    int: (bound) => Math.floor(uniform() * bound),
  };
}

/** How many bytes are drawn from the system at once: a call per packet field costs more than the bytes. */
const POOL_BYTES = 4096;

function pooledSystemFill(): (out: Uint8Array) => void {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return (out) => {
    if (out.byteLength > POOL_BYTES / 4) {
      randomFillSync(out);
      return;
    }
    if (used + out.byteLength > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    out.set(pool.subarray(used, used + out.byteLength));
    pool.fill(0, used, used + out.byteLength); // handed out once, then gone from memory
    used += out.byteLength;
  };
}

export const systemRng: Rng = rngFrom(pooledSystemFill());

/** A sample of the exponential law with the given mean (same unit as the mean); 0 for mean 0. */
export function exponential(rng: Rng, mean: number): number {
  return mean === 0 ? 0 : -Math.log(rng.uniform()) * mean;
}

/** A uniformly chosen element; undefined of an empty list. */
export function pick<T>(rng: Rng, list: readonly T[]): T | undefined {
  return list[rng.int(list.length)];
}
