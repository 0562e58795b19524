/**
 * Automatic proxy configuration: sends everything through the SOCKS port and lets nothing go past it.
 * @module
 */
import { joinHostPort, splitHostPort } from '../../../lib/net/address.ts';

export const PAC_TYPE = 'application/x-ns-proxy-autoconfig';

/**
 * The script for a front bound to `socks` (`host:port`). Only `SOCKS5` is offered: a bare `SOCKS` is version 4 to
 * Chromium, which would resolve names on this machine, and `DIRECT` would go past the mixnet when the proxy is down.
 * This machine itself is not reached through a mixnet. Undefined for a front that no browser can reach by address.
 */
export function pacScript(socks: string): string | undefined {
  const address = reachable(socks);
  if (address === undefined) return undefined;
  return `function FindProxyForURL(url, host) {
  if (host === "localhost" || host === "::1" || host === "[::1]" || /^127(\\.\\d{1,3}){3}$/.test(host)) {
    return "DIRECT";
  }
  return ${JSON.stringify(`SOCKS5 ${address}`)};
}
`;
}

/** A front on all addresses is reached on loopback. */
function reachable(socks: string): string | undefined {
  const address = splitHostPort(socks);
  if (address === undefined) return undefined;
  const { host, port } = address;
  if (host === '0.0.0.0') return joinHostPort('127.0.0.1', port);
  return host === '::' ? joinHostPort('::1', port) : socks;
}
