/**
 * Mean and spread of a list of samples.
 * @module
 */

export interface Spread {
  readonly samples: number;
  readonly mean: number;
  /** Standard deviation of one sample. */
  readonly sd: number;
  /** Standard error of the mean. */
  readonly standardError: number;
}

export function spreadOf(samples: readonly number[]): Spread {
  const count = samples.length;
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / count;
  const squares = samples.reduce((sum, sample) => sum + (sample - mean) ** 2, 0);
  const sd = count > 1 ? Math.sqrt(squares / (count - 1)) : 0;
  return { samples: count, mean, sd, standardError: sd / Math.sqrt(count) };
}
