/**
 * Figures 4 to 7 of the Loopix paper: which points, how measured, and how far from the targets.
 * @module
 */
import { SimulationRandom } from './random.ts';
import { simulateSingleMix } from './single-mix.ts';
import { type Spread, spreadOf } from './statistics.ts';
import {
  BY_CORRUPT_MIXES,
  BY_DELAY_RATE,
  BY_LAYERS,
  type EpsilonTarget,
  SINGLE_MIX_BITS,
  SINGLE_MIX_TOLERANCE_BITS,
  TARGET_REPETITIONS,
} from './targets.ts';
import {
  type EpsilonResult,
  measureEpsilon,
  PAPER_SETTING,
  settledAfter,
  type UnlinkabilityOptions,
} from './unlinkability.ts';

export interface FigureEffort {
  readonly seed: number;
  readonly repetitions: number;
  /** Fixed burn-in; without it as long as the network needs to settle. */
  readonly burnIn?: number;
}

export interface EntropyPoint {
  readonly arrivalRate: number;
  readonly delayRate: number;
  readonly bits: Spread;
  readonly poolMean: number;
  /** Messages simulated. */
  readonly arrivals: number;
  readonly target: number | undefined;
  readonly withinTarget: boolean | undefined;
}

export const FIGURE_4_DELAY_RATES: readonly number[] = [200, 20, 2, 0.2, 0.02];
export const FIGURE_4_ARRIVAL_RATES: readonly number[] = [100, 200, 300, 400, 500];
/** Departures measured per trace, so that small pools, which fluctuate most, are averaged over many fillings. */
const DEPARTURES = 5_000;

/** Figure 4: entropy of one mix by λ for five μ. */
export function* figure4({ seed, repetitions }: FigureEffort): Generator<EntropyPoint> {
  for (const delayRate of FIGURE_4_DELAY_RATES) {
    for (const arrivalRate of FIGURE_4_ARRIVAL_RATES) {
      const options = { arrivalRate, delayRate, departures: DEPARTURES };
      const runs = Array.from({ length: repetitions }, (_, i) =>
        simulateSingleMix(options, new SimulationRandom(seed, 4, arrivalRate, Math.round(delayRate * 100), i)),
      );
      const bits = spreadOf(runs.map((run) => run.entropyBits));
      const poolMean = spreadOf(runs.map((run) => run.poolMean)).mean;
      const arrivals = runs.reduce((sum, run) => sum + run.arrivals, 0);
      const target = SINGLE_MIX_BITS.find((t) => t.arrivalRate === arrivalRate && t.delayRate === delayRate)?.bits;
      const withinTarget = target === undefined ? undefined : Math.abs(bits.mean - target) <= SINGLE_MIX_TOLERANCE_BITS;
      yield { arrivalRate, delayRate, bits, poolMean, arrivals, target, withinTarget };
    }
  }
}

/** One of figures 5 to 7. */
export interface EpsilonFigure {
  readonly number: 5 | 6 | 7;
  readonly title: string;
  readonly xLabel: string;
  readonly xs: readonly number[];
  readonly targets: readonly EpsilonTarget[];
  setting(x: number): Partial<UnlinkabilityOptions>;
}

function range(from: number, to: number, step = 1): number[] {
  return Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => Number((from + i * step).toFixed(6)));
}

export const EPSILON_FIGURES: readonly EpsilonFigure[] = [
  {
    number: 5,
    title: 'Unlinkability by delay (figure 5)',
    xLabel: 'rate of the delay μ per time unit',
    xs: [0.2, 0.4, 0.5, 0.6, 0.8, 1, 1.2, 1.4, 1.5, 1.6, 1.8, 2],
    targets: BY_DELAY_RATE,
    setting: (x) => ({ delayRate: x }),
  },
  {
    number: 6,
    title: 'Unlinkability by layers (figure 6)',
    xLabel: 'layers, 3 mixes each',
    xs: range(2, 19),
    targets: BY_LAYERS,
    setting: (x) => ({ layers: x }),
  },
  {
    number: 7,
    title: 'Unlinkability by corrupt mixes (figure 7)',
    xLabel: 'corrupt mixes of 9',
    xs: range(0, 9),
    targets: BY_CORRUPT_MIXES,
    setting: (x) => ({ corruptMixes: x }),
  },
];

export interface EpsilonPoint {
  readonly x: number;
  readonly result: EpsilonResult;
  readonly target: number | undefined;
  /** Distance to the target in standard errors of the difference. */
  readonly deviation: number | undefined;
  /** A deviation of at most 3: what chance explains. */
  readonly withinTarget: boolean | undefined;
}

const MOST_DEVIATION = 3;

/** The target is a mean of 100 samples itself, each with a spread of about the mean. */
function deviationFrom(target: number, result: Spread): number {
  const targetError = target / Math.sqrt(TARGET_REPETITIONS);
  return Math.abs(result.mean - target) / Math.hypot(targetError, result.standardError);
}

export function* epsilonFigure(figure: EpsilonFigure, effort: FigureEffort): Generator<EpsilonPoint> {
  for (const x of figure.xs) {
    const setting = { ...PAPER_SETTING, ...figure.setting(x) };
    const burnIn = effort.burnIn ?? settledAfter(setting.layers, setting.delayRate);
    const seeds = [effort.seed, figure.number, Math.round(x * 100)];
    const result = measureEpsilon({ ...setting, burnIn }, effort.repetitions, seeds);
    const target = figure.targets.find((candidate) => candidate.x === x)?.epsilon;
    const deviation = target === undefined ? undefined : deviationFrom(target, result);
    const withinTarget = deviation === undefined ? undefined : deviation <= MOST_DEVIATION;
    yield { x, result, target, deviation, withinTarget };
  }
}
