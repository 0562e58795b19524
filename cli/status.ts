/**
 * The running proxy's status.json: as a page of text, `mixsocks status`, and to wait for a proxy.
 * @module
 */
import { type Clock, sleep, systemClock } from '../lib/core/clock.ts';
import { MixError, systemCode } from '../lib/core/errors.ts';
import type { Status } from '../proxy/index.ts';
import { formatStatus } from './status-text.ts';
import { DEFAULT_INTERVAL_S, intervalMsOf, watchStatus } from './status-watch.ts';
import { stopRequested } from './stop-signal.ts';

export const DEFAULT_STATUS_URL = 'http://127.0.0.1:1081';
export const TIMEOUT_MS = 5000;

export interface StatusOptions {
  readonly url: string;
  readonly json?: boolean;
  readonly watch?: boolean;
  /** Seconds. */
  readonly interval?: string;
}

/** Fetches and prints, once or until it is stopped; throws REFUSED, TIMEOUT, MALFORMED or USAGE. */
export async function printStatus({ url, json = false, watch = false, interval }: StatusOptions): Promise<void> {
  if (watch) return watchUrl(url, json, intervalMsOf(interval ?? String(DEFAULT_INTERVAL_S)));
  if (interval !== undefined) throw new MixError('USAGE', '--interval is for --watch');
  const status = await fetchStatus(url);
  process.stdout.write(json ? `${JSON.stringify(status, null, 2)}\n` : formatStatus(status));
}

async function watchUrl(url: string, asJson: boolean, intervalMs: number): Promise<void> {
  const stop = new AbortController();
  void stopRequested(['SIGHUP']).then(() => stop.abort());
  await watchStatus({
    fetch: () => fetchStatus(url),
    format: asJson ? (status) => `${JSON.stringify(status)}\n` : formatStatus,
    asJson,
    intervalMs,
    output: process.stdout,
    input: process.stdin,
    complain: (line) => process.stderr.write(`${line}\n`),
    stop,
  });
}

/** The status of the proxy whose status port is `url`. */
export async function fetchStatus(url: string, timeoutMs = TIMEOUT_MS): Promise<Status> {
  const address = statusAddress(url);
  let reply: Response;
  try {
    reply = await fetch(address, { signal: AbortSignal.timeout(timeoutMs), redirect: 'error' });
  } catch (error) {
    if (error instanceof Error && error.name === 'TimeoutError') {
      throw new MixError('TIMEOUT', `${address} does not answer`, error);
    }
    const reason = systemCode(error instanceof Error ? error.cause : undefined) ?? 'no connection';
    throw new MixError('REFUSED', `no proxy at ${address}: ${reason}`, error);
  }
  const status: unknown = reply.ok ? await reply.json().catch(() => undefined) : undefined;
  if (!isStatus(status)) throw new MixError('MALFORMED', `${address} is not the status port of a proxy`);
  return status;
}

function statusAddress(url: string): string {
  try {
    return new URL('/status.json', /^https?:\/\//.test(url) ? url : `http://${url}`).href;
  } catch {
    throw new MixError('USAGE', `'${url}' is not a URL`);
  }
}

function isStatus(value: unknown): value is Status {
  return typeof value === 'object' && value !== null && 'ready' in value && 'nodes' in value && 'rates' in value;
}

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
