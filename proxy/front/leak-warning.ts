/**
 * Tells the user, now and then, that a program sends addresses where names are meant: it may have asked a resolver
 * outside the mixnet for them. Says nothing about the destination.
 * @module
 */
import type { Clock } from '../../lib/core/clock.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { Protocol } from './handshake/steps.ts';

/** At most one line in this time; a browser opens hundreds of streams a minute. */
export const LEAK_WARNING_PERIOD_MS = 60_000;

export class LeakWarning {
  #lastMs = Number.NEGATIVE_INFINITY;
  #since = 0;

  constructor(
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  note(listener: string, protocol: Protocol): void {
    this.#since += 1;
    const nowMs = this.clock.nowMs();
    if (nowMs - this.#lastMs < LEAK_WARNING_PERIOD_MS) return;
    this.log.warn(
      { listener, protocol, streams: this.#since },
      'a program sends IP addresses instead of names: if it looks names up itself, others see which; ' +
        'use socks5h:// or socks4a://, or "Proxy DNS" in Firefox (--safe-socks refuses such streams)',
    );
    this.#lastMs = nowMs;
    this.#since = 0;
  }
}
