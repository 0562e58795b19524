/**
 * Automatic proxy configuration: sends everything through the SOCKS port and lets nothing go past it.
 * @module
 */
import { joinHostPort, reachableHost, splitHostPort } from '../../../lib/net/address.ts';

export const PAC_TYPE = 'application/x-ns-proxy-autoconfig';

/**
 * The script for a front bound to `socks` (`host:port`). Only `SOCKS5` is offered: a bare `SOCKS` is version 4 to
 * Chromium, which would resolve names on this machine, and `DIRECT` would go past the mixnet when the proxy is down.
 * This machine itself is not reached through a mixnet. Undefined for a front that no browser can reach by address.
 */
export function pacScript(socks: string): string | undefined {
  const front = splitHostPort(socks);
  if (front === undefined) return undefined;
  const address = joinHostPort(reachableHost(front.host), front.port);
  return `function FindProxyForURL(url, host) {
  if (host === "localhost" || host === "::1" || host === "[::1]" || /^127(\\.\\d{1,3}){3}$/.test(host)) {
    return "DIRECT";
  }
  return ${JSON.stringify(`SOCKS5 ${address}`)};
}
`;
}
