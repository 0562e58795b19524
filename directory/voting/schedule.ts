/**
 * When authorities vote (docs/PROTOCOL.md section 4.9). Pure.
 *
 * For the next epoch once, before the turn (lib/directory/timing.ts): attempt 0. While there is no consensus of the epoch that has begun,
 * again and again, in slots of a fixed length from its start on: attempts 1, 2, ….
 * @module
 */
import { epochAt, epochStartMs, keyGraceMs } from '../../lib/core/params.ts';
import { type EpochNumber, laterEpoch, laterMs, type UnixMs } from '../../lib/core/units.ts';
import { timing } from '../../lib/directory/index.ts';

/** One voting: `rounds` of `roundMs` from `startMs` on, then signatures. */
export interface Slot {
  readonly epoch: EpochNumber;
  readonly attempt: number;
  readonly startMs: UnixMs;
  readonly roundMs: number;
  readonly rounds: number;
}

/** Longest round of an attempt for an epoch that has begun: who waits for a first consensus waits for a few of these. */
const MAX_LATE_ROUND_MS = 5_000;
/** Polls of each other authority in a round. */
const POLLS_PER_ROUND = 8;
const MIN_POLL_MS = 40;
/** Longest wait between two polls while there is something to come. */
const MAX_POLL_MS = 10_000;

/** The voting that is on at `nowMs`; undefined when there is none. `isSettled`: there is a consensus of the current epoch. */
export function slotAt(nowMs: UnixMs, epochMs: number, rounds: number, isSettled: boolean): Slot | undefined {
  const epoch = epochAt(nowMs, epochMs);
  const next = laterEpoch(epoch, 1);
  const voteMs = timing.votingMs(next, epochMs);
  if (nowMs >= voteMs) {
    const roundMs = (timing.countingMs(next, epochMs) - voteMs) / rounds;
    return { epoch: next, attempt: 0, startMs: voteMs, roundMs, rounds };
  }
  if (isSettled) return undefined;
  const roundMs = Math.min(MAX_LATE_ROUND_MS, keyGraceMs(epochMs) / 4);
  const lengthMs = (rounds + 1) * roundMs;
  const index = Math.floor((nowMs - epochStartMs(epoch, epochMs)) / lengthMs);
  const startMs = laterMs(epochStartMs(epoch, epochMs), index * lengthMs);
  return startMs + lengthMs > voteMs ? undefined : { epoch, attempt: index + 1, startMs, roundMs, rounds };
}

/** The round at `nowMs`, from 1 on; a time before the first counts as that. */
export function roundAt({ startMs, roundMs }: Slot, nowMs: UnixMs): number {
  return Math.max(1, Math.floor((nowMs - startMs) / roundMs) + 1);
}

/** When the votes are counted. */
export function endOfRoundsMs({ startMs, roundMs, rounds }: Slot): UnixMs {
  return laterMs(startMs, roundMs * rounds);
}

/** How long to wait between two polls of one authority; `slot`: a voting without a result yet. */
export function pollMs(slot: Slot | undefined, epochMs: number): number {
  const idleMs = keyGraceMs(epochMs) / 8;
  const wanted = slot === undefined ? idleMs : slot.roundMs / POLLS_PER_ROUND;
  return Math.max(MIN_POLL_MS, Math.min(MAX_POLL_MS, wanted));
}
