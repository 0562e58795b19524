/**
 * The simulator's random numbers: seeded, so that a run can be repeated to the last digit, and drawn as numbers, since
 * filling bytes first (lib/core/rng.ts) would cost more than the simulated event. Never for anything that must be secret.
 * @module
 */

const U32 = 2 ** 32;

/** SplitMix32: turns related seeds (1, 2, 3 …) into unrelated words. */
function splitMix(state: number): { state: number; word: number } {
  const next = (state + 0x9e3779b9) | 0;
  let z = next;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return { state: next, word: z ^ (z >>> 15) };
}

/** xoshiro128** (Blackman and Vigna). */
export class SimulationRandom {
  // A typed array, since words over 2^31 in plain fields would be allocated anew at every draw.
  readonly #state = new Int32Array(4);

  /** Every list of integers gives its own stream: (seed, point, repetition) needs no shared state between runs. */
  constructor(...seeds: readonly number[]) {
    let state = 0x2545f491;
    for (const seed of seeds) state = splitMix(state ^ (seed | 0)).word;
    for (let i = 0; i < 4; i++) {
      const split = splitMix(state);
      state = split.state;
      this.#state[i] = split.word;
    }
    this.#state[0]! |= 1; // the all-zero state would stay zero for ever
  }

  #word(): number {
    const state = this.#state;
    const b = state[1]!;
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const c = state[2]! ^ state[0]!;
    const d = state[3]! ^ b;
    state[1] = b ^ c;
    state[0] = state[0]! ^ d;
    state[2] = c ^ (b << 9);
    state[3] = (d << 11) | (d >>> 21);
    return result;
  }

  /** Uniform in the open interval (0, 1), in steps of 2^-32. */
  uniform(): number {
    return (this.#word() + 0.5) / U32;
  }

  /** Uniform integer from 0 to `bound` - 1. */
  int(bound: number): number {
    return Math.floor(this.uniform() * bound);
  }

  /** A sample of the exponential law with this rate. */
  exponential(rate: number): number {
    return -Math.log(this.uniform()) / rate;
  }

  /** `count` different integers below `bound`, in random order. */
  sample(count: number, bound: number): number[] {
    const all = Array.from({ length: bound }, (_, i) => i);
    for (let i = 0; i < count; i++) {
      const j = i + this.int(bound - i);
      [all[i], all[j]] = [all[j]!, all[i]!];
    }
    return all.slice(0, count);
  }
}
