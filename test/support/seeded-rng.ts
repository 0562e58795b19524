import { type Rng, rngFrom } from '../../lib/core/rng.ts';

/**
 * xoshiro128** seeded by splitmix32: the same seed gives the same run. Never for production. All words are signed: V8 keeps
 * unsigned ones of 32 bits on the heap, and simulations spend their time here.
 */
export function seededRng(seed: number): Rng {
  let mix = seed | 0;
  const split = () => {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return z ^ (z >>> 16);
  };
  let [a, b, c, d] = [split(), split(), split(), split()];
  const rotl = (x: number, k: number) => (x << k) | (x >>> (32 - k));
  const next = () => {
    const result = Math.imul(rotl(Math.imul(b, 5), 7), 9);
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotl(d, 11);
    return result;
  };
  return rngFrom((out) => {
    const whole = out.byteLength & ~3;
    let i = 0;
    for (; i < whole; i += 4) {
      const word = next();
      out[i] = word;
      out[i + 1] = word >>> 8;
      out[i + 2] = word >>> 16;
      out[i + 3] = word >>> 24;
    }
    if (i === out.byteLength) return;
    const word = next();
    for (let j = 0; i + j < out.byteLength; j++) out[i + j] = word >>> (8 * j);
  });
}
