/**
 * Writes to the log whether there is a way through the network, and while there is none, what is missing: a program only
 * sees that its request failed.
 * @module
 */

import { type Clock, every, type Timer } from '../lib/core/clock.ts';
import type { MixError } from '../lib/core/errors.ts';
import type { MonotonicMs } from '../lib/core/units.ts';
import { RoleHealth } from '../lib/telemetry/health.ts';
import type { Log } from '../lib/telemetry/log.ts';

const CHECK_PERIOD_MS = 1_000;
/** What lasts shorter is usual at the start, and when a gateway is changed. */
const WARN_AFTER_MS = 5_000;

export interface ReadinessOptions {
  /** What is missing now; undefined while there is a way. */
  readonly obstacle: () => MixError | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** One line when there is a way for the first time or again, one when there is none, one when the reason is another. */
export class Readiness {
  #timer: Timer | undefined;
  #sinceMs: MonotonicMs;
  #logged: string | undefined;
  readonly health: RoleHealth;

  constructor(private readonly options: ReadinessOptions) {
    this.#sinceMs = options.clock.nowMs();
    this.health = new RoleHealth(options.clock, 'the look for a way through the network', () => this.#faults());
  }

  start(): void {
    const { clock } = this.options;
    this.#sinceMs = clock.nowMs();
    this.#timer = every(clock, CHECK_PERIOD_MS, () => this.#check());
  }

  stop(): void {
    this.health.stop();
    this.#timer?.cancel();
  }

  #faults(): string[] {
    const missing = this.options.obstacle();
    return missing === undefined ? [] : [missing.message];
  }

  #check(): void {
    const { obstacle, clock, log } = this.options;
    const missing = obstacle();
    const nowMs = clock.nowMs();
    this.health.worked();
    if (missing === undefined) {
      this.#sinceMs = nowMs;
      if (this.#logged !== '') log.info({}, 'ready: there is a way through the network');
      this.#logged = '';
    } else if (nowMs - this.#sinceMs >= WARN_AFTER_MS && this.#logged !== missing.code) {
      this.#logged = missing.code;
      log.warn({ code: missing.code, reason: missing.message }, 'not ready: requests fail');
    }
  }
}
