/**
 * Waits for a proxy: of a local network, or one that a command has started for itself.
 * @module
 */
import { type Clock, sleep, systemClock } from '../lib/core/clock.ts';
import { MixError } from '../lib/core/errors.ts';
import { fetchStatus } from './status.ts';

const POLL_MS = 100;
/** A consensus needs every node's descriptor, a session a round trip; on a slow machine both take their time. */
const READY_TIMEOUT_MS = 120_000;

/** Resolves when the proxy says that SOCKS requests can succeed; rejects with NO_CONSENSUS after two minutes. */
export async function untilReady(statusUrl: string, clock: Clock = systemClock, fetch = fetchStatus): Promise<void> {
  const deadlineMs = clock.nowMs() + READY_TIMEOUT_MS;
  const waiting = setInterval(() => {}, POLL_MS); // systemClock's timers do not keep the process alive
  try {
    while (clock.nowMs() < deadlineMs) {
      const ready = await fetch(statusUrl).then(
        (status) => status.ready,
        () => false,
      );
      if (ready) return;
      await sleep(clock, POLL_MS);
    }
  } finally {
    clearInterval(waiting);
  }
  throw new MixError('NO_CONSENSUS', 'the network did not get ready in two minutes');
}
