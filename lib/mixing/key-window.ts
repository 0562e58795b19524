/**
 * When the Sphinx key of an epoch is accepted: from Δ before the epoch to Δ after it.
 * @module
 */
import { epochAt, epochStartMs, keyGraceMs } from '../core/params.ts';
import { type EpochNumber, laterEpoch, laterMs, type UnixMs } from '../core/units.ts';

/** The key of `epoch` is accepted from `fromMs` until before `untilMs`. */
export function keyWindow(epoch: EpochNumber, epochMs: number): { fromMs: UnixMs; untilMs: UnixMs } {
  const graceMs = keyGraceMs(epochMs);
  return {
    fromMs: laterMs(epochStartMs(epoch, epochMs), -graceMs),
    untilMs: laterMs(epochStartMs(laterEpoch(epoch, 1), epochMs), graceMs),
  };
}

/** For how long a key is accepted. */
export function keyLifeMs(epochMs: number): number {
  return epochMs + 2 * keyGraceMs(epochMs);
}

/** When the set of accepted keys, or the current one, changes next. */
export function nextTurnMs(wallMs: UnixMs, epochMs: number): UnixMs {
  const startMs = epochStartMs(epochAt(wallMs, epochMs), epochMs);
  const graceMs = keyGraceMs(epochMs);
  const turns = [graceMs, epochMs - graceMs, epochMs].map((afterMs) => laterMs(startMs, afterMs));
  return turns.find((turnMs) => turnMs > wallMs) ?? laterMs(startMs, epochMs);
}
