/**
 * One monotonic time for all threads of the process. `performance.now` counts from the start of its own thread.
 * @module
 */

/** Fixed per thread: both clocks are the same source with different origins. */
const ORIGIN_MS = sharedMs() - performance.now();

function sharedMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

/** Milliseconds since an origin that all threads share; allocates nothing. */
export function monotonicMs(): number {
  return ORIGIN_MS + performance.now();
}
