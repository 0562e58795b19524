/**
 * Runs of one benchmark on one build, or on two in turn: A B A B, so that what else the machine does falls on both alike,
 * and what is said of them is a ratio from one run.
 * @module
 */
import type { Build } from './build.ts';
import { FULL, QUICK } from './cpu-time.ts';
import { type Figure, failure, figure, keyOf, median, type Summary, summarize } from './figure.ts';
import { LIMIT, limitMicroseconds } from './limit.ts';
import { inScope, type Scope } from './scope.ts';

export interface RunTerms {
  /** The least that shows that it works; the figures mean little. */
  readonly quick: boolean;
}

/** One run of a benchmark: a fresh network, a fresh process. */
export type Run = (build: Build, scope: Scope) => Promise<readonly Figure[]>;

/** A figure of the build under measurement, beside that of the other build if there is one. */
export interface Result extends Summary {
  /** The other build's summary. */
  readonly against?: Summary;
  /** Median over the rounds of this build's value by the other's in the same round; null when no round has both. */
  readonly ratio?: number | null;
}

export interface PairedTerms extends RunTerms {
  readonly name: string;
  readonly rounds: number;
  readonly build: Build;
  readonly against?: Build;
  readonly say: (line: string) => void;
}

/** All rounds; the first result is the machine's limit, measured before and after each run. */
export async function runPaired(run: Run, terms: PairedTerms): Promise<Result[]> {
  const { rounds, build, against, say, quick } = terms;
  const builds = against === undefined ? [build] : [build, against];
  const limits: number[] = [];
  const measureLimit = () => limits.push(limitMicroseconds(quick ? QUICK : FULL));
  const found = builds.map((): Figure[][] => []);
  for (let round = 1; round <= rounds; round++) {
    for (const [i, one] of builds.entries()) {
      say(`${terms.name}, run ${round} of ${rounds}, ${one.name}`);
      measureLimit();
      found[i]?.push(await runOnce(run, one, terms.name));
      measureLimit();
    }
  }
  const limit = summarize(limits.map((value) => [figure(LIMIT, 'us', value)]));
  const [ours = [], theirs] = found;
  return [...limit, ...(theirs === undefined ? summarize(ours) : compare(ours, theirs))];
}

async function runOnce(run: Run, build: Build, name: string): Promise<Figure[]> {
  try {
    return [...(await inScope((scope) => run(build, scope)))];
  } catch (error) {
    const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
    return [failure(name, 'run', line)];
  }
}

/** The figures that either build has, with the ratio where both have them. */
export function compare(ours: readonly (readonly Figure[])[], theirs: readonly (readonly Figure[])[]): Result[] {
  const others = new Map(summarize(theirs).map((one) => [keyOf(one), one]));
  const results = summarize(ours).map((one): Result => {
    const key = keyOf(one);
    const against = others.get(key);
    others.delete(key);
    return against === undefined ? one : { ...one, against, ratio: ratioOf(key, ours, theirs) };
  });
  // What only the other build has still is a figure: of a fault, or of something that is gone.
  const lone = [...others.values()].map((against) => ({ ...against, value: null, failed: 0, against, ratio: null }));
  return [...results, ...lone];
}

function ratioOf(key: string, ours: readonly (readonly Figure[])[], theirs: readonly (readonly Figure[])[]) {
  const valueIn = (figures: readonly Figure[] = []) => {
    const found = figures.find((one) => keyOf(one) === key);
    return found !== undefined && 'value' in found ? found.value : Number.NaN;
  };
  const ratios = ours.map((figures, round) => valueIn(figures) / valueIn(theirs[round])).filter(Number.isFinite);
  return ratios.length === 0 ? null : median(ratios);
}
