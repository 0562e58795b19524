/**
 * Tells the log whether there is a way through the network, and while there is none, what is missing: a program only
 * hears that its request failed.
 * @module
 */
import { type Clock, every, type Timer } from '../lib/clock.ts';
import type { MixError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';

const LOOK_MS = 1_000;
/** What lasts shorter is usual at the start, and when a gateway is changed. */
const PATIENCE_MS = 5_000;

export interface ReadinessOptions {
  /** What is missing now; undefined while there is a way. */
  readonly obstacle: () => MixError | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** One line when there is a way for the first time or again, one when there is none, one when the reason is another. */
export class Readiness {
  readonly #options: ReadinessOptions;
  readonly #timer: Timer;
  #sinceMs: number;
  #told: string | undefined;

  constructor(options: ReadinessOptions) {
    this.#options = options;
    this.#sinceMs = options.clock.nowMs();
    this.#timer = every(options.clock, LOOK_MS, () => this.#look());
  }

  stop(): void {
    this.#timer.cancel();
  }

  #look(): void {
    const { obstacle, clock, log } = this.#options;
    const missing = obstacle();
    const nowMs = clock.nowMs();
    if (missing === undefined) {
      this.#sinceMs = nowMs;
      if (this.#told !== '') log.info({}, 'ready: there is a way through the network');
      this.#told = '';
    } else if (nowMs - this.#sinceMs >= PATIENCE_MS && this.#told !== missing.code) {
      this.#told = missing.code;
      log.warn({ code: missing.code, reason: missing.message }, 'not ready: requests fail');
    }
  }
}
