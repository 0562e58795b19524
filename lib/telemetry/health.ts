/**
 * Whether a role lives, and whether it can do its work: what `/livez` and `/readyz` answer. What is wrong is one line for each
 * condition, and names no client and no destination.
 * @module
 */
import type { Clock } from '../core/clock.ts';
import type { MonotonicMs } from '../core/units.ts';

/** Lines about what does not hold; none when all is well. */
export interface Health {
  /** What only a restart can mend. */
  live(): readonly string[];
  /** What is missing for the role to do its work; it may come by itself. */
  ready(): readonly string[];
}

/** Work that is done every few seconds, and has not been for so long, will not be any more. */
export const STANDSTILL_MS = 60_000;

/** The health of one role. It notices a role that stands still though its process answers: a timer that is lost, a disk that hangs. */
export class RoleHealth implements Health {
  #workedMs: MonotonicMs;
  #stopping = false;

  /** `work`: what the role does every few seconds, as the line names it. `faults`: what keeps it from its work now. */
  constructor(
    readonly clock: Pick<Clock, 'nowMs'>,
    readonly work: string,
    readonly faults: () => readonly string[],
  ) {
    this.#workedMs = clock.nowMs();
  }

  /** The work has been done. */
  worked(): void {
    this.#workedMs = this.clock.nowMs();
  }

  /** From now on the role is not ready. */
  stop(): void {
    this.#stopping = true;
  }

  live(): readonly string[] {
    const stillMs = this.clock.nowMs() - this.#workedMs;
    if (this.#stopping || stillMs < STANDSTILL_MS) return [];
    return [`${this.work} has stood still for ${Math.floor(stillMs / 1000)} s`];
  }

  ready(): readonly string[] {
    return this.#stopping ? ['stopping'] : this.faults();
  }
}
