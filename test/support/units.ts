/**
 * Points in time as tests write them: plain numbers of a clock that does not exist.
 * @module
 */
import type { MonotonicMs, UnixMs } from '../../lib/core/units.ts';

export { epochNumber } from '../../lib/core/units.ts';

export function monotonic(ms: number): MonotonicMs {
  return ms as MonotonicMs;
}

export function unix(ms: number): UnixMs {
  return ms as UnixMs;
}
