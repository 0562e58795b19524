/**
 * What the design promises of the clients' flows, and whether a recording keeps it.
 * @module
 */
import type { TrafficClass } from '../../lib/core/params.ts';
import type { Condition } from './load.ts';
import { compareSamples, distanceToExponential, lag1Correlation } from './statistics.ts';

export const FLOWS = ['proxy departures', 'proxy arrivals', 'requester departures', 'requester arrivals'] as const;
export type Flow = (typeof FLOWS)[number];

/** The promises. */
export interface Bounds {
  readonly maxDistance: number;
  readonly minP: number;
  readonly maxCorrelation: number;
}

/** Over 10,000 frames and more. */
export const BOUNDS: Bounds = { maxDistance: 0.02, minP: 0.001, maxCorrelation: 0.03 };

/** Of `frames` frames chance alone may ask for wider bounds: with probability 0.001 a flow in order is beyond these. */
export function boundsFor(frames: number): Bounds {
  const root = Math.sqrt(frames);
  return {
    maxDistance: Math.max(BOUNDS.maxDistance, 1.95 / root),
    minP: BOUNDS.minP,
    maxCorrelation: Math.max(BOUNDS.maxCorrelation, 3.3 / root),
  };
}

/** One flow under one condition. */
export interface Row {
  readonly flow: Flow;
  readonly condition: Condition;
  readonly frames: number;
  readonly setRate: number;
  readonly rate: number;
  /**
   * To the law of the clocks, exponential or, for what a gateway delivers, one period: as recorded, and where the recorder can
   * tell.
   */
  readonly rawDistance: number;
  readonly distance: number;
  readonly correlation: number;
  /** Against idle; 1 for idle itself. */
  readonly p: number;
  readonly holds: boolean;
}

export interface Recording {
  readonly flow: Flow;
  readonly condition: Condition;
  readonly setRate: number;
  readonly gapsMs: readonly number[];
  readonly idleGapsMs: readonly number[];
  /** Gaps shorter than this the recorder cannot tell from one another. */
  readonly resolutionMs: number;
}

/** Frames per second that the clocks make of each flow: a loop arrives where it left, and a gateway delivers by its own clock. */
export function ratesOf({ mainRate, replyRate, loopRate, dropRate, deliveryRate }: TrafficClass): Record<Flow, number> {
  return {
    'proxy departures': mainRate + loopRate + dropRate,
    'proxy arrivals': deliveryRate,
    'requester departures': replyRate + loopRate + dropRate,
    'requester arrivals': mainRate + loopRate,
  };
}

export function judge(recording: Recording, bounds = boundsFor(recording.gapsMs.length)): Row {
  const { flow, condition, setRate, gapsMs, idleGapsMs, resolutionMs } = recording;
  if (flow === 'proxy arrivals') return judgePeriod(recording, bounds);
  const rawDistance = distanceToExponential(gapsMs, 1000 / setRate);
  const distance = distanceToExponential(gapsMs, 1000 / setRate, resolutionMs);
  const correlation = lag1Correlation(gapsMs);
  const p = condition === 'idle' ? 1 : compareSamples(idleGapsMs, gapsMs).p;
  const rate = (1000 * gapsMs.length) / gapsMs.reduce((sum, gap) => sum + gap, 0);
  const holds = distance <= bounds.maxDistance && Math.abs(correlation) < bounds.maxCorrelation && p >= bounds.minP;
  return { flow, condition, frames: gapsMs.length, setRate, rate, rawDistance, distance, correlation, p, holds };
}

/**
 * A clock of one period: the share of gaps that are not of one tick, and whether gaps have as many ticks as when idle. Gaps
 * of such a clock depend on each other, since what comes late makes the next gap shorter.
 */
function judgePeriod({ flow, condition, setRate, gapsMs, idleGapsMs }: Recording, bounds: Bounds): Row {
  const ticksOf = (gaps: readonly number[]) => gaps.map((gap) => Math.round((gap * setRate) / 1000));
  const ticks = ticksOf(gapsMs);
  const distance = ticks.filter((count) => count !== 1).length / ticks.length;
  const correlation = lag1Correlation(gapsMs);
  const p = condition === 'idle' ? 1 : compareSamples(ticksOf(idleGapsMs), ticks).p;
  const rate = (1000 * gapsMs.length) / gapsMs.reduce((sum, gap) => sum + gap, 0);
  const holds = distance <= bounds.maxDistance && p >= bounds.minP;
  const frames = gapsMs.length;
  return { flow, condition, frames, setRate, rate, rawDistance: distance, distance, correlation, p, holds };
}
