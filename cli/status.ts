/**
 * `mixsocks status`: the running proxy's status.json as a page of text.
 * @module
 */
import { MixError, systemCode } from '../lib/errors.ts';
import type { Status } from '../proxy/index.ts';

export const DEFAULT_STATUS_URL = 'http://127.0.0.1:1081';
const TIMEOUT_MS = 5000;

/** Fetches and prints; throws REFUSED, TIMEOUT or MALFORMED. */
export async function printStatus(url: string, asJson: boolean): Promise<void> {
  const status = await fetchStatus(url);
  process.stdout.write(asJson ? `${JSON.stringify(status, null, 2)}\n` : formatStatus(status));
}

/** The status of the proxy whose status port is `url`. */
export async function fetchStatus(url: string): Promise<Status> {
  const address = statusAddress(url);
  let reply: Response;
  try {
    reply = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'error' });
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

/** The status as text for a person. */
export function formatStatus(status: Status): string {
  const { network, lateness, streams, surbs } = status;
  const lines = [
    `mixsocks ${status.version}, SOCKS5 on ${status.socks}, ${status.ready ? 'ready' : 'NOT READY'}, up ${duration(status.uptimeSeconds)}`,
    `network ${network.name}, epoch ${status.epoch ?? '-'}, class ${network.trafficClass}, downlink ${network.downlink}` +
      `, ${network.payloadBytes ?? '-'} bytes a packet, ${network.meanDelayMs ?? '-'} ms mean delay a mix`,
    `gateway ${status.gateway === null ? 'none' : `${status.gateway.name}, link ${status.gateway.link}`}`,
    `crypto ${Object.entries(status.crypto)
      .map(([what, by]) => `${what} ${by}`)
      .join(', ')}`,
    '',
    ...table(
      ['clock', 'set/s', 'measured/s'],
      Object.entries(status.rates).map(([name, rate]) => [name, number(rate.set), number(rate.measured)]),
    ),
    lateness === null
      ? ''
      : `departures late by ${number(lateness.p50Ms)} ms (median), ${number(lateness.p99Ms)} ms (p99)`,
    '',
    ...table(
      ['node', 'role', 'layer', 'health', 'loops sent', 'returned'],
      status.nodes.map((node) => [
        node.name,
        node.role,
        String(node.layer ?? '-'),
        `${(node.health * 100).toFixed(0)} %${node.excluded ? ' excluded' : ''}`,
        String(node.loopsSent),
        String(node.loopsReturned),
      ]),
    ),
    '',
    `streams ${Object.entries(streams)
      .map(([what, count]) => `${words(what)} ${count}`)
      .join(', ')}`,
    `reply blocks: stock ${number(surbs.stock)} of ${number(surbs.target)}, in flight ${surbs.inFlight}, created ${surbs.created}, used ${surbs.used}, expired ${surbs.expired}`,
    ...table(
      ['session', 'requester', 'streams', 'round trip', 'loss', 'up', 'down'],
      status.sessions.map((session) => [
        session.state,
        session.requester,
        String(session.streamsOpen),
        `${number(session.roundTripMs)} ms`,
        `${(session.lossRatio * 100).toFixed(1)} %`,
        bytes(session.bytesSent),
        bytes(session.bytesDelivered),
      ]),
    ),
  ];
  return `${lines.join('\n')}\n`;
}

/** Columns as wide as their longest cell; nothing for no rows. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

const words = (key: string): string => key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
const number = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(1));

function bytes(count: number): string {
  if (count < 1e4) return `${count} B`;
  return count < 1e7 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(0)} MB`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
