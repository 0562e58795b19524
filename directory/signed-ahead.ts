/**
 * Whether an authority has signed for epochs that are still to come, since its clock was ahead. It signs nothing for these again nor for
 * any before them, so that it is silent until then: its operator must learn why.
 * @module
 */
import { dateText } from '../lib/core/clock.ts';
import { epochAt, epochStartMs } from '../lib/core/params.ts';
import { type EpochNumber, epochNumber, type UnixMs } from '../lib/core/units.ts';
import type { Log } from '../lib/telemetry/log.ts';

export class SignedAhead {
  /** The last epoch for which nothing is signed any more; undefined where that is none to come. */
  #until: EpochNumber | undefined;

  constructor(
    readonly epochMs: number,
    readonly log: Log,
  ) {}

  get until(): EpochNumber | undefined {
    return this.#until;
  }

  /** Epochs that must pass until it signs again; 0 of an authority that does. */
  epochsLeft(nowMs: UnixMs): number {
    return this.#until === undefined ? 0 : Math.max(0, this.#until - epochAt(nowMs, this.epochMs));
  }

  /** `newest`: the last epoch that was signed for, -1 without. The epoch that follows the present one may be signed in time. */
  look(newest: number, nowMs: UnixMs): void {
    const until = newest > epochAt(nowMs, this.epochMs) + 1 ? epochNumber(newest) : undefined;
    if (until === this.#until) return;
    this.#until = until;
    if (until === undefined)
      this.log.info({}, 'the epochs that were signed ahead have passed: this authority signs again');
    else
      this.log.error(
        { epoch: until, until: endText(until, this.epochMs) },
        'this authority signs nothing: it has signed for epochs to come, when its clock was ahead',
      );
  }
}

/** When the epoch after `until` is signed for, at the latest. */
export function endText(until: EpochNumber, epochMs: number): string {
  return dateText(epochStartMs(until, epochMs));
}
