/**
 * When a member asks for which consensus. Pure: the client sleeps and fetches as it says.
 * @module
 */
import { epochAt, epochStartMs } from '../params.ts';
import type { Rng } from '../rng.ts';
import { fetchBackoffMs, prefetchMs } from './timing.ts';

/** The next thing to do, at `atMs` (wall clock) or at once if that is past. */
export interface Errand {
  readonly atMs: number;
  /** `turn`: a consensus comes into force. `audit`: ask another authority whether it signed the same document. */
  readonly kind: 'fetch' | 'audit' | 'turn';
  readonly epoch: number;
}

interface Retry {
  attempt: number;
  atMs: number;
}

export class PollPlan {
  #epoch = -1;
  #prefetchMs = 0;
  #auditMs = 0;
  #audited = false;
  #retries = new Map<number, Retry>();

  constructor(
    readonly epochMs: number,
    readonly rng: Rng,
    /** Whether there is more than one authority to compare. */
    readonly audits: boolean,
  ) {}

  next(nowMs: number, has: (epoch: number) => boolean): Errand {
    const epoch = epochAt(nowMs, this.epochMs);
    if (epoch !== this.#epoch) this.#turn(epoch);
    const errands: Errand[] = [{ atMs: epochStartMs(epoch + 1, this.epochMs), kind: 'turn', epoch: epoch + 1 }];
    if (!has(epoch)) errands.push({ atMs: this.#retries.get(epoch)?.atMs ?? nowMs, kind: 'fetch', epoch });
    else if (this.audits && !this.#audited) errands.push({ atMs: this.#auditMs, kind: 'audit', epoch });
    if (!has(epoch + 1)) {
      const atMs = Math.max(this.#prefetchMs, this.#retries.get(epoch + 1)?.atMs ?? 0);
      errands.push({ atMs, kind: 'fetch', epoch: epoch + 1 });
    }
    return errands.reduce((first, other) => (other.atMs < first.atMs ? other : first));
  }

  /** Notes how an errand went; what failed is tried again later and later. */
  done({ kind, epoch }: Errand, ok: boolean, nowMs: number): void {
    if (kind === 'audit') this.#audited = true;
    if (kind !== 'fetch') return;
    if (ok) {
      this.#retries.delete(epoch);
      return;
    }
    const attempt = (this.#retries.get(epoch)?.attempt ?? -1) + 1;
    this.#retries.set(epoch, { attempt, atMs: nowMs + fetchBackoffMs(attempt, this.epochMs, this.rng) });
  }

  #turn(epoch: number): void {
    this.#epoch = epoch;
    this.#prefetchMs = prefetchMs(epoch + 1, this.epochMs, this.rng);
    this.#auditMs = epochStartMs(epoch, this.epochMs) + (this.rng.uniform() * this.epochMs) / 2;
    this.#audited = false;
    for (const known of this.#retries.keys()) if (known < epoch || known > epoch + 1) this.#retries.delete(known);
  }
}
