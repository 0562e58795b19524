/**
 * When things happen around the turn of an epoch, and how long one waits before trying again. Everything scales with
 * the epoch, so that a test network with epochs of seconds behaves like one with epochs of an hour.
 *
 *     start(e+1) - 2Δ   descriptors made from here on count for epoch e+1
 *     start(e+1) - Δ    nodes announce again, spread over Δ/8
 *     start(e+1) - Δ/2  consensus e+1 is signed if every node of the last one has announced again; members fetch it
 *     start(e+1) - Δ/8  consensus e+1 is signed with the nodes there are
 *     start(e+1)        consensus e+1 is in force
 *
 * Several authorities vote instead from start(e+1) - 5Δ/8 on, and count and sign at start(e+1) - 3Δ/16.
 * @module
 */

import { epochAt, epochStartMs, keyGraceMs } from '../core/params.ts';
import type { Rng } from '../core/rng.ts';
import { type EpochNumber, laterEpoch, laterMs, type UnixMs } from '../core/units.ts';

/** A descriptor made before this does not count for `epoch`. */
export function announcedFromMs(epoch: EpochNumber, epochMs: number): UnixMs {
  return laterMs(epochStartMs(epoch, epochMs), -2 * keyGraceMs(epochMs));
}

/** When a node announced at `nowMs` announces next: Δ before the next turn that it has not announced for. */
export function reannounceMs(nowMs: UnixMs, epochMs: number, rng: Rng): UnixMs {
  const graceMs = keyGraceMs(epochMs);
  const epoch = laterEpoch(epochAt(laterMs(nowMs, graceMs), epochMs), 1);
  return laterMs(epochStartMs(epoch, epochMs), (rng.uniform() * graceMs) / 8 - graceMs);
}

/** The epochs a descriptor made at `nowMs` carries keys for: this and the next, from 2Δ before a turn the one after. */
export function descriptorEpochs(nowMs: UnixMs, epochMs: number): EpochNumber[] {
  const epoch = epochAt(nowMs, epochMs);
  const next = laterEpoch(epoch, 1);
  return nowMs >= announcedFromMs(next, epochMs) ? [epoch, next, laterEpoch(epoch, 2)] : [epoch, next];
}

/** From when `epoch`'s consensus is signed; later, to give missing nodes their time, when the set is not `complete`. */
export function signingMs(epoch: EpochNumber, epochMs: number, complete: boolean): UnixMs {
  return laterMs(epochStartMs(epoch, epochMs), -keyGraceMs(epochMs) / (complete ? 2 : 8));
}

/**
 * When a member fetches the consensus of `epoch` ahead of its start: spread, so that authorities see no rush. `isVoted`: by several
 * authorities, whose consensus is there later.
 */
export function prefetchMs(epoch: EpochNumber, epochMs: number, rng: Rng, isVoted = false): UnixMs {
  if (isVoted) return laterMs(epochStartMs(epoch, epochMs), ((rng.uniform() - 1) * keyGraceMs(epochMs)) / 8);
  return laterMs(signingMs(epoch, epochMs, true), (rng.uniform() * keyGraceMs(epochMs)) / 4);
}

/** From when several authorities vote on the consensus of `epoch`. */
export function votingMs(epoch: EpochNumber, epochMs: number): UnixMs {
  return laterMs(epochStartMs(epoch, epochMs), -(5 * keyGraceMs(epochMs)) / 8);
}

/** When they count the votes, and sign. */
export function countingMs(epoch: EpochNumber, epochMs: number): UnixMs {
  return laterMs(epochStartMs(epoch, epochMs), -(3 * keyGraceMs(epochMs)) / 16);
}

/** How far the clocks of a node and an authority may differ. */
export function clockSkewMs(epochMs: number): number {
  return between(5_000, keyGraceMs(epochMs), 600_000);
}

/** How long one HTTP exchange may take. */
export function exchangeTimeoutMs(epochMs: number): number {
  return between(2_000, keyGraceMs(epochMs) / 4, 10_000);
}

/** Waits of a member that lacks a consensus. Slow growth: the wait in vain is a quarter of the time waited at most. */
export function fetchBackoffMs(attempt: number, epochMs: number, rng: Rng): number {
  return backoffMs(attempt, 250, 1.25, between(1_000, epochMs / 40, 30_000), rng);
}

/** Waits of a node whose announcement did not get through. */
export function announceBackoffMs(attempt: number, epochMs: number, rng: Rng): number {
  return backoffMs(attempt, 250, 1.6, between(1_000, keyGraceMs(epochMs) / 8, 20_000), rng);
}

/** How long an announcement that was accepted stands while there is no consensus yet; an authority may lose its memory. */
export function unsettledAnnounceMs(epochMs: number): number {
  return between(1_000, epochMs / 20, 60_000);
}

/** After how long a node that could not be reached is tried again. */
export function retryMs(epochMs: number): number {
  return between(5_000, epochMs / 60, 60_000);
}

/** How long the answer to an announcement waits for the node to be reached: the node waits for `exchangeTimeoutMs`. */
export function confirmWaitMs(epochMs: number): number {
  return (exchangeTimeoutMs(epochMs) * 3) / 4;
}

/** Exponential backoff with jitter over its upper half. */
function backoffMs(attempt: number, firstMs: number, growth: number, capMs: number, rng: Rng): number {
  return Math.min(capMs, firstMs * growth ** Math.min(attempt, 100)) * (0.5 + rng.uniform() / 2);
}

function between(least: number, value: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
