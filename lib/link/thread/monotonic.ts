/**
 * One monotonic time for all threads of the process. `performance.now` counts from the start of its own thread.
 * @module
 */

/** Tries at reading both clocks at one moment: a thread may be preempted between the two. */
const READINGS = 32;

/** Fixed per thread: both clocks are the same source with different origins. */
const ORIGIN_MS = measureOriginMs();

/**
 * The difference of the two clocks from the reading that took least time. An error here never goes away: a clock thread
 * that is 20 ms ahead rings 20 ms early, is sent back to sleep, and rings again at once.
 */
function measureOriginMs(): number {
  let originMs = 0;
  let leastMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < READINGS; i++) {
    const beforeMs = performance.now();
    const sharedNowMs = sharedMs();
    const tookMs = performance.now() - beforeMs;
    if (tookMs >= leastMs) continue;
    leastMs = tookMs;
    originMs = sharedNowMs - (beforeMs + tookMs / 2);
  }
  return originMs;
}

function sharedMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

/** Milliseconds since an origin that all threads share; allocates nothing. */
export function monotonicMs(): number {
  return ORIGIN_MS + performance.now();
}
