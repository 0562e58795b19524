/**
 * What a benchmark finds: figures with a name, a unit and the terms under which they hold.
 * @module
 */

/** What tells figures of one name apart: packet size, backend, role, rates. */
export type Terms = Readonly<Record<string, string | number>>;

interface Named {
  readonly name: string;
  readonly unit: string;
  readonly terms: Terms;
}

/** One value of one run, or why there is none. A figure that failed has no value that could be taken for one. */
export type Figure = Named & ({ readonly value: number } | { readonly fault: string });

/** A figure over all runs of a build. */
export interface Summary extends Named {
  /** Median over the runs that had a value; null when none had. */
  readonly value: number | null;
  readonly runs: number;
  /** Runs without a value, and why the first of them had none. */
  readonly failed: number;
  readonly fault?: string;
}

export function figure(name: string, unit: string, value: number, terms: Terms = {}): Figure {
  return Number.isFinite(value) ? { name, unit, value, terms } : { name, unit, fault: 'not a number', terms };
}

export function failure(name: string, unit: string, fault: string, terms: Terms = {}): Figure {
  return { name, unit, fault, terms };
}

/** The middle value, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which a share `q` of the values lies, between two of them by proportion; NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)] ?? NaN, sorted[Math.ceil(at)] ?? NaN];
  return low + (high - low) * (at - Math.floor(at));
}

/** Figures with equal keys measure the same. */
export function keyOf({ name, terms }: Named): string {
  const sorted = Object.entries(terms).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([name, sorted]);
}

/** One summary for each figure of the runs, in the order in which they first came. */
export function summarize(runs: readonly (readonly Figure[])[]): Summary[] {
  const groups = new Map<string, Figure[]>();
  for (const one of runs.flat()) groups.set(keyOf(one), [...(groups.get(keyOf(one)) ?? []), one]);
  return [...groups.values()].map((group) => {
    const [{ name, unit, terms }] = group as [Figure];
    const values = group.flatMap((one) => ('value' in one ? [one.value] : []));
    const [fault] = group.flatMap((one) => ('fault' in one ? [one.fault] : []));
    const value = values.length === 0 ? null : median(values);
    const failed = group.length - values.length;
    return { name, unit, terms, value, runs: group.length, failed, ...(fault === undefined ? {} : { fault }) };
  });
}
