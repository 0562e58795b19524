/**
 * Points in time and numbers of epochs as types of their own: a monotonic time cannot be taken for a time of day, nor
 * either for a span. They come from the clock or from a parser; spans stay plain numbers with their unit in the name.
 * @module
 */
import type { Branded } from './bytes.ts';

/** A point in time of a monotonic clock with an arbitrary start, in milliseconds. */
export type MonotonicMs = Branded<number, 'MonotonicMs'>;

/** A point in time in milliseconds since 1970-01-01T00:00:00Z. */
export type UnixMs = Branded<number, 'UnixMs'>;

/** The number of an epoch: Unix time divided by the epoch's length, rounded down. */
export type EpochNumber = Branded<number, 'EpochNumber'>;

/** A point in time that never comes. */
export const NEVER_MS = Number.POSITIVE_INFINITY as MonotonicMs;

/** The later of two points in time of the same clock. */
export function latestMs<Point extends MonotonicMs | UnixMs>(first: Point, second: Point): Point {
  return first > second ? first : second;
}

/** `spanMs` after (or, negative, before) a point in time, of the same clock. */
export function laterMs<Point extends MonotonicMs | UnixMs>(point: Point, spanMs: number): Point {
  return (point + spanMs) as Point;
}

/** The number of an epoch out of a document, a file name or a request that has been checked to hold digits only. */
export function epochNumber(value: number): EpochNumber {
  return value as EpochNumber;
}

/** The epoch `count` after (or, negative, before) another. */
export function laterEpoch(epoch: EpochNumber, count: number): EpochNumber {
  return (epoch + count) as EpochNumber;
}
