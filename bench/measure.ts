/**
 * Times short synchronous functions on a machine that also does other things.
 * @module
 */

const ROUNDS = 25;
const ROUND_MS = 8;

export interface Case {
  readonly name: string;
  /** Does the work once; `i` counts up without end. */
  readonly run: (i: number) => void;
}

/**
 * Microseconds per run of each case: the least of many short rounds, taken in turn, so that what else the machine does
 * falls on all cases alike and mostly on rounds that are thrown away.
 */
export function measure(cases: readonly Case[]): Map<string, number> {
  const timers = cases.map(({ name, run }) => ({ name, run, runs: runsPerRound(run), next: 0, leastUs: Infinity }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const timer of timers) {
      const startNs = process.hrtime.bigint();
      for (let i = 0; i < timer.runs; i++) timer.run(timer.next++);
      const us = Number(process.hrtime.bigint() - startNs) / 1000 / timer.runs;
      timer.leastUs = Math.min(timer.leastUs, us);
    }
  }
  return new Map(timers.map(({ name, leastUs }) => [name, leastUs]));
}

/** How many runs fill a round, after enough of them for the compiler to have settled. */
function runsPerRound(run: (i: number) => void): number {
  let runs = 1;
  for (;;) {
    const startNs = process.hrtime.bigint();
    for (let i = 0; i < runs; i++) run(i);
    if (Number(process.hrtime.bigint() - startNs) > ROUND_MS * 1e6) return runs;
    runs *= 2;
  }
}
