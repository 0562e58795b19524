/**
 * `host:port` as people write it in options and documents.
 * @module
 */
import { isIPv6 } from 'node:net';
import { MixError } from '../core/errors.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Splits `host:port`, `[v6]:port`; undefined when it is neither. Port 0 is allowed. */
export function splitHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535) return undefined;
  if (match?.[1] !== undefined && !isIPv6(host)) return undefined;
  return { host, port };
}

/** Like splitHostPort; throws CONFIG with one clear line. */
export function parseListen(text: string): HostPort {
  const parsed = splitHostPort(text);
  if (parsed === undefined)
    throw new MixError('CONFIG', `'${text}' is not an address: write host:port, as 127.0.0.1:1080`);
  return parsed;
}

export function joinHostPort(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Where a listener on `host` is reached from this machine: one on every address, on loopback. */
export function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}
