/**
 * What the probe found, as lines of text.
 * @module
 */
import type { DelayLaw } from './delay-law.ts';
import type { Row } from './judge.ts';
import type { PoolSize } from './pools.ts';
import type { Precision } from './precision.ts';

const verdict = (holds: boolean) => (holds ? 'holds' : 'REJECTED');

export const ROW_HEAD = 'flow                  condition     frames  rate/set       KS     KS>r     lag1   p(idle)';

export function rowLine(row: Row): string {
  return [
    row.flow.padEnd(21),
    row.condition.padEnd(12),
    String(row.frames).padStart(7),
    `${row.rate.toFixed(1)}/${row.setRate}`.padStart(10),
    row.rawDistance.toFixed(4).padStart(8),
    row.distance.toFixed(4).padStart(8),
    row.correlation.toFixed(4).padStart(8),
    row.p.toExponential(1).padStart(9),
    ` ${verdict(row.holds)}`,
  ].join(' ');
}

export function precisionLines(precision: Precision): string[] {
  const { frames, lateMs, late99Ms, resolutionMs, mergedShare, distance } = precision;
  return [
    `recorder: ${frames} frames of a synthetic Poisson stream, sent beside the idle network through a relay of their own:`,
    `  half are noted within ${lateMs.toFixed(2)} ms, 99 % within ${late99Ms.toFixed(2)} ms;`,
    `  ${(100 * mergedShare).toFixed(1)} % come in one read with the frame before;`,
    `  99 % of the gaps are right within r = ${resolutionMs.toFixed(2)} ms; KS of recorded gaps to those sent: ${distance.toFixed(4)}.`,
    '  KS is over all gaps, KS>r over those longer than r.',
  ];
}

export function delayLines(law: DelayLaw, meanDelayMs: number): string[] {
  const { loops, constantMs, beyond99Ms, distance, drawnDistance, holds } = law;
  return [
    `delay law: ${loops} loops through three mixes of ${meanDelayMs} ms took the delays in their headers and a constant`,
    `  of ${constantMs.toFixed(2)} ms (median; 99 % at most ${beyond99Ms.toFixed(2)} ms);`,
    `  without it, KS to Gamma(3, ${meanDelayMs} ms) is ${distance.toFixed(4)} (the delays as drawn: ${drawnDistance.toFixed(4)})  ${verdict(holds)}`,
  ];
}

export function poolLines(pools: readonly PoolSize[]): string[] {
  const lines = pools.map(({ name, arrivalsPerSecond, expectedPackets, meanPackets }) =>
    [
      `  ${name.padEnd(12)}`,
      arrivalsPerSecond.toFixed(1).padStart(10),
      expectedPackets.toFixed(2).padStart(24),
      meanPackets.toFixed(2).padStart(10),
    ].join(' '),
  );
  return ['pool of each mix:  arrivals/s   arrivals x mean delay   measured', ...lines];
}
