/**
 * The tests the probe applies to times between frames.
 * @module
 */

/** Share of values up to `value` that a law expects. */
export type Law = (value: number) => number;

export const exponentialLaw =
  (mean: number): Law =>
  (value) =>
    value <= 0 ? 0 : 1 - Math.exp(-value / mean);

/** The sum of `shape` exponential times with `mean` each (Erlang). */
export const gammaLaw =
  (shape: number, mean: number): Law =>
  (value) => {
    if (value <= 0) return 0;
    const x = value / mean;
    let [term, sum] = [1, 1];
    for (let k = 1; k < shape; k++) {
      term *= x / k;
      sum += term;
    }
    return 1 - Math.exp(-x) * sum;
  };

/**
 * Distance of a sample to a law (Kolmogorov-Smirnov), over values of at least `from`: how many are shorter counts, how
 * they are spread does not, since a recorder with that resolution cannot tell.
 */
export function distanceToLaw(sample: readonly number[], law: Law, from = Number.NEGATIVE_INFINITY): number {
  const sorted = [...sample].sort((a, b) => a - b);
  const shorter = sorted.findIndex((value) => value >= from);
  const below = shorter < 0 ? sorted.length : shorter;
  let distance = Math.abs(below / sorted.length - law(from));
  for (let i = below; i < sorted.length; i++) {
    const expected = law(sorted[i] as number);
    distance = Math.max(distance, expected - i / sorted.length, (i + 1) / sorted.length - expected);
  }
  return distance;
}

export function distanceToExponential(sample: readonly number[], mean: number, from?: number): number {
  return distanceToLaw(sample, exponentialLaw(mean), from);
}

/** Two-sample Kolmogorov-Smirnov: the distance and the probability of one at least as large by chance. */
export function compareSamples(a: readonly number[], b: readonly number[]): { distance: number; p: number } {
  const left = [...a].sort((x, y) => x - y);
  const right = [...b].sort((x, y) => x - y);
  let [i, j, distance] = [0, 0, 0];
  while (i < left.length && j < right.length) {
    const value = Math.min(left[i] as number, right[j] as number);
    while (i < left.length && (left[i] as number) <= value) i += 1;
    while (j < right.length && (right[j] as number) <= value) j += 1;
    distance = Math.max(distance, Math.abs(i / left.length - j / right.length));
  }
  const effective = Math.sqrt((left.length * right.length) / (left.length + right.length));
  return { distance, p: kolmogorov((effective + 0.12 + 0.11 / effective) * distance) };
}

/** Upper tail of the Kolmogorov distribution (Stephens' correction is in the argument). */
function kolmogorov(lambda: number): number {
  if (lambda < 0.2) return 1;
  let sum = 0;
  for (let k = 1; k <= 100; k++) sum += 2 * (-1) ** (k - 1) * Math.exp(-2 * k * k * lambda * lambda);
  return Math.min(1, Math.max(0, sum));
}

/** Correlation of each value with the one before it. */
export function lag1Correlation(sample: readonly number[]): number {
  const mean = sample.reduce((sum, value) => sum + value, 0) / sample.length;
  let [covariance, variance] = [0, 0];
  sample.forEach((value, i) => {
    variance += (value - mean) ** 2;
    if (i > 0) covariance += (value - mean) * ((sample[i - 1] as number) - mean);
  });
  return covariance / variance;
}

/** Times between events, from their times. */
export function gapsOf(times: readonly number[]): number[] {
  return times.slice(1).map((time, i) => time - (times[i] as number));
}

/** Of a sorted sample. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

export function shareBelow(sample: readonly number[], limit: number): number {
  return sample.filter((value) => value < limit).length / Math.max(1, sample.length);
}
