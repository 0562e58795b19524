/**
 * How many packets per second a node accepts: what the machine can unwrap, or what the memory of its replay filters holds for the life
 * of a key, whichever is less.
 * @module
 */
import { type SphinxCostOptions, unwrapMs } from '../sphinx/index.ts';
import { keyLifeMs } from './key-window.ts';

/** Memory of a replay filter per tag at most: slots of 4 bytes, 3/8 of them used after the table has grown last. */
export const FILTER_BYTES_PER_TAG = 11;
/** Of the time of a busy mix, so much is for unwrapping: 0.7 by `npm run bench -- mix`, less a margin for own loops and pauses. */
const UNWRAP_SHARE = 0.6;

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

/** Packets per second that this process could take, by the time that it takes to unwrap. Infinity on a clock that stands still. */
export function measureRate(options: SphinxCostOptions): number {
  return (1000 * UNWRAP_SHARE) / unwrapMs('forward', options);
}
