/**
 * Whether an authority gives its network a consensus, and whether it has signed for epochs that are still to come, since its clock was ahead. It signs nothing for these again nor for
 * any before them, so that it is silent until then: its operator must learn why.
 * @module
 */
import { dateText } from '../lib/core/clock.ts';
import { epochAt, epochStartMs } from '../lib/core/params.ts';
import { type EpochNumber, epochNumber, type UnixMs } from '../lib/core/units.ts';
import { staleness } from '../lib/directory/index.ts';
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
function endText(until: EpochNumber, epochMs: number): string {
  return dateText(epochStartMs(until, epochMs));
}

export interface AuthorityCondition {
  /** Of the newest consensus whose epoch has begun; undefined before the first. */
  readonly epoch: EpochNumber | undefined;
  readonly epochMs: number;
  readonly wallMs: UnixMs;
  /** The last epoch that it signs nothing for, as its clock was ahead. */
  readonly signedAhead?: EpochNumber | undefined;
}

/** What is missing, a line each: a consensus of the present epoch. */
export function authorityFaults({ epoch, epochMs, wallMs, signedAhead }: AuthorityCondition): string[] {
  const ahead =
    signedAhead === undefined
      ? []
      : [
          `signs nothing until ${endText(signedAhead, epochMs)}: its clock was ahead, and it has signed for epochs to come`,
        ];
  if (epoch === undefined && ahead.length > 0) return ahead;
  if (epoch === undefined) return ['no consensus yet: not enough nodes have announced themselves'];
  const old = staleness(epoch, epochMs, wallMs);
  return [...ahead, ...(old === undefined ? [] : [old])];
}
