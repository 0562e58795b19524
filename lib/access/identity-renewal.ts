/**
 * A proxy's identity at its gateway: it lives in memory only, and for a day.
 * @module
 */
import type { Clock, Timer } from '../core/clock.ts';
import { asMixError } from '../core/errors.ts';
import type { NodeIdentity } from '../link/index.ts';
import type { Log } from '../telemetry/log.ts';

export const IDENTITY_LIFE_MS = 24 * 3_600_000;
/** After a failed attempt to make an identity, the next follows in this time; the old one is used meanwhile. */
export const RENEWAL_RETRY_MS = 60_000;

export interface IdentityRenewalOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly makeIdentity: () => Promise<NodeIdentity>;
  /** Takes the fresh identity into use. */
  readonly renew: (fresh: NodeIdentity) => void;
}

export class IdentityRenewal {
  #timer: Timer | undefined;
  #stopped = false;

  constructor(private readonly options: IdentityRenewalOptions) {}

  /** The identity in use is fresh now. */
  start(): void {
    this.#schedule(IDENTITY_LIFE_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #schedule(delayMs: number): void {
    this.#timer = this.options.clock.after(delayMs, () => void this.#attempt());
  }

  /** Never rejects. */
  async #attempt(): Promise<void> {
    const { log, makeIdentity, renew } = this.options;
    let nextMs = IDENTITY_LIFE_MS;
    try {
      const fresh = await makeIdentity();
      if (!this.#stopped) renew(fresh);
    } catch (error) {
      nextMs = RENEWAL_RETRY_MS;
      log.warn({ reason: asMixError(error).message }, 'the identity at the gateway could not be renewed; trying again');
    }
    if (!this.#stopped) this.#schedule(nextMs);
  }
}
