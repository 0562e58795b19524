/**
 * What every long-lived part is given instead of reaching for globals.
 * @module
 */
import type { Clock } from '../core/clock.ts';
import type { MixError } from '../core/errors.ts';
import type { MemoryBudget } from '../core/memory-budget.ts';
import type { Rng } from '../core/rng.ts';
import type { Crypto } from '../crypto/index.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface Components {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly crypto: Crypto;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The address of this machine that links and exchanges with authorities are dialled from; by default the system chooses. */
  readonly outboundAddress?: string | undefined;
  /** What the queues of the process draw on. Without it nothing bounds them together. */
  readonly memory?: MemoryBudget;
  /**
   * Takes an error after which the part that met it cannot go on, such as the end of a thread: whoever made the components ends what
   * runs on them. Without it the part only stops working, and says so in the log.
   */
  readonly onFatal?: (error: MixError) => void;
}

/** A role or part that runs until stopped. `stop` resolves when its sockets, files and threads are closed. */
export interface Running {
  stop(): Promise<void>;
}
