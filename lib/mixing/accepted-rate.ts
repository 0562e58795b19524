/**
 * How many packets per second a node accepts: what the machine can unwrap, or what the memory of its replay filters holds for the life
 * of a key, whichever is less.
 * @module
 */
import type { MonotonicMs } from '../core/units.ts';
import { type SphinxCostOptions, unwrapTimer } from '../sphinx/index.ts';
import { keyLifeMs } from './key-window.ts';

/** Memory of a replay filter per tag at most: slots of 4 bytes, 3/8 of them used after the table has grown last. */
export const FILTER_BYTES_PER_TAG = 11;
/** Of the time of a busy mix, so much is for unwrapping: 0.7 by `npm run bench -- mix`, less a margin for own loops and pauses. */
const UNWRAP_SHARE = 0.6;
/** The first measurement lasts so long at most, and each later one: short enough to delay no packet noticeably. */
const FIRST_MS = 100;
const LATER_MS = 2;
/** From one measurement to the next; so many of the last ones count: those of ten minutes. */
const MEASURE_PERIOD_MS = 10_000;
export const MEASUREMENTS = 60;

export interface AcceptedRateTerms {
  /** The operator's bound; none by default. */
  readonly maxPacketsPerSecond?: number;
  /** Memory for the replay filters of all keys. */
  readonly replayMemoryMiB: number;
  readonly epochMs: number;
}

/**
 * Packets per second. However they fall on the keys of two epochs, no more tags are held than came within the life of one key: the
 * older key ends before the younger one is a life old.
 */
export function acceptedRate(
  measured: number,
  { maxPacketsPerSecond = Number.POSITIVE_INFINITY, replayMemoryMiB, epochMs }: AcceptedRateTerms,
): number {
  const held = (1000 * replayMemoryMiB * 2 ** 20) / (FILTER_BYTES_PER_TAG * keyLifeMs(epochMs));
  return Math.max(1, Math.min(measured, maxPacketsPerSecond, held));
}

/** Measures for `mostMs` at most how many packets per second this process could take; Infinity on a clock that stands still. */
export type MeasureRate = (mostMs: number) => number;

/** By the time that it takes to unwrap. */
export function rateMeter(options: SphinxCostOptions): MeasureRate {
  const timer = unwrapTimer('forward', options);
  return (mostMs) => (1000 * UNWRAP_SHARE) / timer(mostMs);
}

/**
 * What the machine could take: the best of the measurements of ten minutes, since whatever disturbs one makes it worse. So a start
 * that was disturbed is corrected by the next quiet moment, a moment's noise lowers nothing, and a machine that is slower for ten minutes
 * is slower.
 */
export class MeasuredRate {
  #recent: readonly number[];
  #dueMs: number;

  constructor(
    private readonly measure: MeasureRate,
    nowMs: MonotonicMs,
  ) {
    this.#recent = [measure(FIRST_MS)];
    this.#dueMs = nowMs + MEASURE_PERIOD_MS;
  }

  /** Packets per second. */
  get perSecond(): number {
    return Math.max(...this.#recent);
  }

  /** Measures again when it is time. To be called about once a second. */
  look(nowMs: MonotonicMs): void {
    // A clock that stands still would show nothing the next time either.
    if (nowMs < this.#dueMs || this.perSecond === Number.POSITIVE_INFINITY) return;
    this.#dueMs = nowMs + MEASURE_PERIOD_MS;
    this.#recent = [...this.#recent, this.measure(LATER_MS)].slice(-MEASUREMENTS);
  }
}
