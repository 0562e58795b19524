/**
 * `mixsocks status`: the running proxy's status.json as a page of text.
 * @module
 */
import { MixError, systemCode } from '../lib/errors.ts';
import type { Status } from '../proxy/index.ts';
import { formatStatus } from './status-text.ts';

export const DEFAULT_STATUS_URL = 'http://127.0.0.1:1081';
export const TIMEOUT_MS = 5000;

/** Fetches and prints; throws REFUSED, TIMEOUT or MALFORMED. */
export async function printStatus(url: string, asJson: boolean): Promise<void> {
  const status = await fetchStatus(url);
  process.stdout.write(asJson ? `${JSON.stringify(status, null, 2)}\n` : formatStatus(status));
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
