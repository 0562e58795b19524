/**
 * When a member asks for which consensus. Pure: the client sleeps and fetches as it says.
 * @module
 */

import { epochAt, epochStartMs } from '../../core/params.ts';
import type { Rng } from '../../core/rng.ts';
import { type EpochNumber, laterEpoch, laterMs, latestMs, type UnixMs } from '../../core/units.ts';
import { fetchBackoffMs, prefetchMs } from '../timing.ts';

/** The next thing to do, at `atMs` (wall clock) or at once if that is past. */
export interface PollAction {
  readonly atMs: UnixMs;
  /** `turn`: a consensus comes into force. `audit`: ask another authority whether it signed the same document. */
  readonly kind: 'fetch' | 'audit' | 'turn';
  readonly epoch: EpochNumber;
}

interface Retry {
  attempt: number;
  atMs: UnixMs;
}

export class PollPlan {
  #epoch = -1;
  #prefetchMs = 0 as UnixMs;
  #auditMs = 0 as UnixMs;
  #audited = false;
  #retries = new Map<number, Retry>();

  constructor(
    readonly epochMs: number,
    readonly rng: Rng,
    /** Whether there are several authorities: their consensuses are compared, and come later. */
    readonly areSeveral: boolean,
  ) {}

  next(nowMs: UnixMs, has: (epoch: EpochNumber) => boolean): PollAction {
    const epoch = epochAt(nowMs, this.epochMs);
    if (epoch !== this.#epoch) this.#turn(epoch);
    const actions: PollAction[] = [
      { atMs: epochStartMs(laterEpoch(epoch, 1), this.epochMs), kind: 'turn', epoch: laterEpoch(epoch, 1) },
    ];
    if (!has(epoch)) actions.push({ atMs: this.#retries.get(epoch)?.atMs ?? nowMs, kind: 'fetch', epoch });
    else if (this.areSeveral && !this.#audited) actions.push({ atMs: this.#auditMs, kind: 'audit', epoch });
    if (!has(laterEpoch(epoch, 1))) {
      const atMs = latestMs(this.#prefetchMs, this.#retries.get(epoch + 1)?.atMs ?? this.#prefetchMs);
      actions.push({ atMs, kind: 'fetch', epoch: laterEpoch(epoch, 1) });
    }
    return actions.reduce((first, other) => (other.atMs < first.atMs ? other : first));
  }

  /** Records how an action went; what failed is tried again after longer and longer times. */
  done({ kind, epoch }: PollAction, ok: boolean, nowMs: UnixMs): void {
    if (kind === 'audit') this.#audited = true;
    if (kind !== 'fetch') return;
    if (ok) {
      this.#retries.delete(epoch);
      return;
    }
    const attempt = (this.#retries.get(epoch)?.attempt ?? -1) + 1;
    this.#retries.set(epoch, { attempt, atMs: laterMs(nowMs, fetchBackoffMs(attempt, this.epochMs, this.rng)) });
  }

  #turn(epoch: EpochNumber): void {
    this.#epoch = epoch;
    this.#prefetchMs = prefetchMs(laterEpoch(epoch, 1), this.epochMs, this.rng, this.areSeveral);
    this.#auditMs = laterMs(epochStartMs(epoch, this.epochMs), (this.rng.uniform() * this.epochMs) / 2);
    this.#audited = false;
    for (const known of this.#retries.keys()) if (known < epoch || known > epoch + 1) this.#retries.delete(known);
  }
}
