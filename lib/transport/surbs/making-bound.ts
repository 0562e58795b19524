/**
 * How many reply blocks a session may make, whatever its requester claims: a token bucket that holds one target stock and
 * fills a little faster than an honest requester uses blocks. Loss is that of the client's own loops; a requester could
 * claim any.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';

/** More than a requester needs by this factor: measured loss varies, and stocks that sank are refilled. */
const HEADROOM = 1.25;
/** Loss of own loops counts at most so much. */
export const MAX_COUNTED_LOSS = 0.5;
/** Blocks per second beside that: what an idle session lets expire. */
const IDLE_PER_SECOND = 1;

export class MakingBound {
  #tokens = 0;
  #target = 0;
  #atMs: MonotonicMs;

  constructor(nowMs: MonotonicMs) {
    this.#atMs = nowMs;
  }

  /** Blocks that may be made now; below 1 none. */
  get allowance(): number {
    return this.#tokens;
  }

  /** The bucket holds `target` from now on. What it lacks to be full does not change, so that changes to and fro gain nothing. */
  setTarget(target: number): void {
    this.#tokens += target - this.#target;
    this.#target = target;
  }

  /** Fills for the time since the last call: for `ratePerSecond` replies when `lossShare` of own loops are lost. */
  fill(ratePerSecond: number, lossShare: number, usableShare: number, nowMs: MonotonicMs): void {
    const arriving = (1 - Math.min(lossShare, MAX_COUNTED_LOSS)) * usableShare;
    const perSecond = (ratePerSecond * HEADROOM) / arriving + IDLE_PER_SECOND;
    this.#tokens = Math.min(this.#target, this.#tokens + (perSecond * (nowMs - this.#atMs)) / 1000);
    this.#atMs = nowMs;
  }

  spend(blocks: number): void {
    this.#tokens -= blocks;
  }
}
