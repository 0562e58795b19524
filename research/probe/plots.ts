/**
 * The plots of a probe: times between frames under each condition, and the delays of loops, beside their laws.
 * @module
 */
import { type PlotSeries, svgPlot } from '../anonymity/svg-plot.ts';
import type { Flow } from './judge.ts';
import { CONDITIONS, type Condition } from './load.ts';
import { exponentialLaw, gammaLaw, type Law, shareBelow } from './statistics.ts';

/** Points of a curve. */
const POINTS = 24;
const SHARES = [0, 0.2, 0.4, 0.6, 0.8, 1];

const steps = (high: number, count: number) => Array.from({ length: count + 1 }, (_, i) => (high * i) / count);

function cumulative(name: string, sample: readonly number[], high: number): PlotSeries {
  const points = steps(high, POINTS).map((x) => ({ x, y: shareBelow(sample, x) }));
  return { name: `${name} (${sample.length})`, style: 'line', points };
}

function lawPoints(name: string, law: Law, high: number): PlotSeries {
  return { name, style: 'reference', points: steps(high, POINTS).map((x) => ({ x, y: law(x) })) };
}

/** `high` as a number that divides well, and its ticks. */
function axis(high: number): { high: number; ticks: number[] } {
  const unit = 10 ** Math.floor(Math.log10(high));
  const rounded = Math.ceil(high / unit) * unit;
  return { high: rounded, ticks: steps(rounded, 5).map((tick) => Number(tick.toFixed(3))) };
}

function cumulativePlot(title: string, xLabel: string, end: number, series: (high: number) => PlotSeries[]): string {
  const { high, ticks } = axis(end);
  return svgPlot({
    title,
    xLabel,
    yLabel: 'share that is shorter',
    xRange: [0, high],
    yRange: [0, 1],
    xTicks: ticks,
    yTicks: SHARES,
    series: series(high),
  });
}

/** One flow idle, downloading and uploading. */
export function plotGaps(flow: Flow, gaps: (condition: Condition) => readonly number[], setRate: number): string {
  const mean = 1000 / setRate;
  const title = `Times between ${flow}`;
  return cumulativePlot(title, 'milliseconds', 4 * mean, (high) => [
    ...CONDITIONS.map((condition) => cumulative(condition, gaps(condition), high)),
    lawPoints(`exponential, ${setRate}/s`, exponentialLaw(mean), high),
  ]);
}

/** What loops took, without the constant. */
export function plotDelays(delaysMs: readonly number[], shape: number, meanMs: number): string {
  const title = 'Delay through three mixes, without the constant';
  return cumulativePlot(title, 'milliseconds', 3 * shape * meanMs, (high) => [
    cumulative('loops', delaysMs, high),
    lawPoints(`Gamma(${shape}, ${meanMs} ms)`, gammaLaw(shape, meanMs), high),
  ]);
}
