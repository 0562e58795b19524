/**
 * How busy the thread's event loop is.
 * @module
 */
import { performance } from 'node:perf_hooks';

/** A function that says for which share of the time since its last call this thread's event loop worked, from 0 to 1. */
export function busyShareMeter(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
