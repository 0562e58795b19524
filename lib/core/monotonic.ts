/**
 * One monotonic time for all threads of the process.
 * @module
 */
import type { MonotonicMs } from './units.ts';

/**
 * Milliseconds since an origin that all threads share. Not `performance.now`, which counts from the start of its own
 * thread: a difference measured between two clocks is wrong by as long as the thread was preempted meanwhile, and a
 * clock thread that is ahead rings early, is sent back to sleep, and rings again at once.
 */
export function monotonicMs(): MonotonicMs {
  const [seconds, nanoseconds] = process.hrtime();
  return (seconds * 1e3 + nanoseconds / 1e6) as MonotonicMs;
}
