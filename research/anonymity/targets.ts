/**
 * What the figures of the Loopix paper (USENIX Security 2017) have to show. The paper prints curves without numbers, so
 * the tables hold an independent reproduction of its experiments: figure 4 from equation 5 on M/M/∞ traces (equal to the
 * closed form for pools over 5), figures 5 to 7 from 100 repetitions each with natural logarithms.
 * @module
 */

/** Figure 4: bits by [λ, μ]. */
export const SINGLE_MIX_BITS: readonly { arrivalRate: number; delayRate: number; bits: number }[] = [
  { arrivalRate: 100, delayRate: 200, bits: 0.862 },
  { arrivalRate: 100, delayRate: 20, bits: 3.747 },
  { arrivalRate: 100, delayRate: 2, bits: 7.075 },
  { arrivalRate: 100, delayRate: 0.2, bits: 10.401 },
  { arrivalRate: 100, delayRate: 0.02, bits: 13.728 },
  { arrivalRate: 300, delayRate: 200, bits: 2.01 },
  { arrivalRate: 300, delayRate: 20, bits: 5.34 },
  { arrivalRate: 300, delayRate: 2, bits: 8.662 },
  { arrivalRate: 300, delayRate: 0.2, bits: 11.988 },
  { arrivalRate: 300, delayRate: 0.02, bits: 15.313 },
  { arrivalRate: 500, delayRate: 200, bits: 2.725 },
  { arrivalRate: 500, delayRate: 20, bits: 6.077 },
  { arrivalRate: 500, delayRate: 2, bits: 9.4 },
  { arrivalRate: 500, delayRate: 0.2, bits: 12.724 },
  { arrivalRate: 500, delayRate: 0.02, bits: 16.05 },
];

/** How far a single-mix entropy may be off, in bits. */
export const SINGLE_MIX_TOLERANCE_BITS = 0.05;

export interface EpsilonTarget {
  readonly x: number;
  readonly epsilon: number;
}

/** Repetitions behind each target; the spread of one sample is about its mean. */
export const TARGET_REPETITIONS = 100;

/** Figure 5: by μ. */
export const BY_DELAY_RATE: readonly EpsilonTarget[] = [
  { x: 0.2, epsilon: 0.024 },
  { x: 0.5, epsilon: 0.073 },
  { x: 1, epsilon: 0.159 },
  { x: 1.5, epsilon: 0.325 },
  { x: 2, epsilon: 0.395 },
];

/** Figure 6: by number of layers, μ = 1. */
export const BY_LAYERS: readonly EpsilonTarget[] = [
  { x: 2, epsilon: 0.293 },
  { x: 3, epsilon: 0.159 },
  { x: 4, epsilon: 0.141 },
  { x: 6, epsilon: 0.107 },
];

/** Figure 7: by number of corrupt mixes of 9, μ = 1. */
export const BY_CORRUPT_MIXES: readonly EpsilonTarget[] = [
  { x: 0, epsilon: 0.159 },
  { x: 1, epsilon: 0.199 },
  { x: 2, epsilon: 0.274 },
  { x: 3, epsilon: 0.378 },
  { x: 5, epsilon: 0.652 },
  { x: 7, epsilon: 1.2 },
  { x: 8, epsilon: 1.85 },
];
