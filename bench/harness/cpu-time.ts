/**
 * Times short synchronous functions on a machine that also does other things: by the processor time of this process, which
 * does not count what others do meanwhile.
 * @module
 */

export interface Case {
  readonly name: string;
  /** Does the work once; `i` counts up without end. */
  readonly run: (i: number) => void;
}

export interface Effort {
  readonly rounds: number;
  /** Processor time that a round takes at least. */
  readonly roundMs: number;
}

/** Enough for a figure within a few percent. */
export const FULL: Effort = { rounds: 25, roundMs: 8 };
/** Enough for an order of magnitude. */
export const QUICK: Effort = { rounds: 3, roundMs: 1 };

/** What runs longer than a round gets fewer of them: no more time than twice that of all rounds, but so many at least. */
const LEAST_ROUNDS = 3;

/** Windows accounts in steps of 16 ms, too coarse for a round: there, elapsed time has to do. */
function cpuMicroseconds(): number {
  if (process.platform === 'win32') return performance.now() * 1000;
  const { user, system } = process.cpuUsage();
  return user + system;
}

/**
 * Microseconds of processor time per run of each case: the least of many short rounds, taken in turn, so that a cold cache
 * or a busy neighbour falls on all cases alike and mostly on rounds that are thrown away.
 */
export function measure(cases: readonly Case[], effort: Effort): Map<string, number> {
  const timers = cases.map(({ name, run }) => ({
    name,
    run,
    runs: runsPerRound(run, effort),
    next: 0,
    least: Infinity,
    leftMicros: 2000 * effort.rounds * effort.roundMs,
  }));
  for (let round = 0; round < effort.rounds; round++) {
    for (const timer of timers) {
      if (timer.leftMicros < 0 && round >= LEAST_ROUNDS) continue;
      const start = cpuMicroseconds();
      for (let i = 0; i < timer.runs; i++) timer.run(timer.next++);
      const micros = cpuMicroseconds() - start;
      timer.leftMicros -= micros;
      timer.least = Math.min(timer.least, micros / timer.runs);
    }
  }
  return new Map(timers.map(({ name, least }) => [name, least]));
}

/** How many runs fill a round, after enough of them for the compiler to have settled. */
function runsPerRound(run: (i: number) => void, { roundMs }: Effort): number {
  for (let runs = 1; ; runs *= 2) {
    const start = cpuMicroseconds();
    for (let i = 0; i < runs; i++) run(i);
    if (cpuMicroseconds() - start > roundMs * 1000) return runs;
  }
}
