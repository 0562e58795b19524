/**
 * What every long-lived part is given instead of reaching for globals.
 * @module
 */
import type { Clock } from './clock.ts';
import type { Crypto } from './crypto/index.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Rng } from './rng.ts';

export interface Components {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly crypto: Crypto;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** A role or part that runs until stopped. `stop` resolves when its sockets, files and threads are closed. */
export interface Running {
  stop(): Promise<void>;
}
