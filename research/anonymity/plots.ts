/**
 * The plots of figures 4 to 7 and of a mixsocks network by size.
 * @module
 */
import { type EntropyPoint, type EpsilonFigure, type EpsilonPoint, FIGURE_4_DELAY_RATES } from './figures.ts';
import type { OwnNetwork, OwnNetworkResult } from './own-network.ts';
import { type PlotSeries, svgPlot } from './svg-plot.ts';

/** `count` + 1 ticks from 0 to `high`. */
function ticks(high: number, count: number): number[] {
  return Array.from({ length: count + 1 }, (_, i) => Number(((high * i) / count).toFixed(6)));
}

/** Figure 4, with the axes of the paper. */
export function plotFigure4(points: readonly EntropyPoint[]): string {
  const curves = FIGURE_4_DELAY_RATES.map((delayRate): PlotSeries => {
    const own = points.filter((point) => point.delayRate === delayRate);
    const line = own.map(({ arrivalRate, bits }) => ({ x: arrivalRate, y: bits.mean, error: bits.sd }));
    return { name: `μ = ${delayRate}`, style: 'line', points: line };
  });
  const known = points.flatMap(({ arrivalRate, target }) =>
    target === undefined ? [] : [{ x: arrivalRate, y: target }],
  );
  return svgPlot({
    title: 'Entropy of a single mix (figure 4)',
    xLabel: 'incoming messages λ per time unit',
    yLabel: 'entropy in bits',
    xRange: [100, 500],
    yRange: [0, 17],
    xTicks: [100, 200, 300, 400, 500],
    yTicks: [0, 2, 4, 6, 8, 10, 12, 14, 16],
    series: [...curves, { name: 'target', style: 'reference', points: known }],
  });
}

/** The upper end of the y axis: figures 5 and 6 as printed, figure 7 by what corrupt mixes lead to. */
const EPSILON_AXIS = { 5: 1, 6: 1, 7: 5 } as const;

/** Figures 5 to 7; error bars are standard deviations, as in the paper. */
export function plotEpsilonFigure(figure: EpsilonFigure, points: readonly EpsilonPoint[]): string {
  const top = EPSILON_AXIS[figure.number];
  const line = points.map(({ x, result }) => ({ x, y: result.mean, error: result.sd }));
  const known = figure.targets.map(({ x, epsilon }) => ({ x, y: epsilon }));
  return svgPlot({
    title: figure.title,
    xLabel: figure.xLabel,
    yLabel: 'likelihood difference ε',
    xRange: [figure.number === 5 ? 0 : figure.xs[0]!, figure.xs[figure.xs.length - 1]!],
    yRange: [0, top],
    xTicks: figure.number === 5 ? ticks(2, 10) : figure.xs,
    yTicks: ticks(top, 5),
    series: [
      { name: 'simulated ± sd', style: 'line', points: line },
      { name: 'target', style: 'reference', points: known },
    ],
  });
}

export type MeasuredNetwork = readonly [OwnNetwork, OwnNetworkResult];

/** End-to-end entropy of a mixsocks network by its number of proxies, a curve per mean delay. */
export function plotOwnNetworks(measured: readonly MeasuredNetwork[]): string {
  const delays = [...new Set(measured.map(([network]) => network.meanDelayMs))];
  const proxies = [...new Set(measured.map(([network]) => network.proxies))].sort((a, b) => a - b);
  const curves = delays.map((delayMs): PlotSeries => {
    const own = measured.filter(([network]) => network.meanDelayMs === delayMs);
    const points = own.map(([network, { packet }]) => ({ x: network.proxies, y: packet.sameKind.mean }));
    return { name: `${delayMs} ms per mix`, style: 'line', points };
  });
  const most = Math.ceil(Math.max(...curves.flatMap(({ points }) => points.map(({ y }) => y))) / 2) * 2;
  return svgPlot({
    title: 'Which packet to a requester is it?',
    xLabel: 'proxies',
    yLabel: 'end-to-end entropy in bits',
    logX: true,
    xRange: [proxies[0]!, proxies[proxies.length - 1]!],
    yRange: [0, most],
    xTicks: proxies,
    yTicks: ticks(most, most / 2),
    series: curves,
  });
}
