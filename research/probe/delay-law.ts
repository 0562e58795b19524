/**
 * The delay law: three mixes that hold a packet for exponential times make Gamma(3, μ), plus what links and processors
 * take.
 * @module
 */
import type { TimedLoop } from './loops.ts';
import { distanceToLaw, gammaLaw, quantile } from './statistics.ts';

export const DELAYED_HOPS = 3;
/** As for flows: of many loops; few are given the room of chance. */
const MAX_DISTANCE = 0.02;

export interface DelayLaw {
  readonly loops: number;
  /** What a loop takes beyond the delays in its header. */
  readonly constantMs: number;
  readonly beyond99Ms: number;
  /** Of what they took without the constant, to Gamma(3, μ). */
  readonly distance: number;
  /** Of the delays in the headers alone: what the draw itself is off by. */
  readonly drawnDistance: number;
  readonly holds: boolean;
}

export function delayLaw(loops: readonly TimedLoop[], meanDelayMs: number): DelayLaw {
  const beyond = loops.map(({ tookMs, drawnMs }) => tookMs - drawnMs).sort((a, b) => a - b);
  const constantMs = quantile(beyond, 0.5);
  const law = gammaLaw(DELAYED_HOPS, meanDelayMs);
  const distance = distanceToLaw(
    loops.map(({ tookMs }) => tookMs - constantMs),
    law,
  );
  const drawnDistance = distanceToLaw(
    loops.map(({ drawnMs }) => drawnMs),
    law,
  );
  const holds = distance <= Math.max(MAX_DISTANCE, 1.95 / Math.sqrt(loops.length));
  return { loops: loops.length, constantMs, beyond99Ms: quantile(beyond, 0.99), distance, drawnDistance, holds };
}
