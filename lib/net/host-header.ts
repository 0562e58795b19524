/**
 * Which `Host` header fields a local page answers to. The check stops DNS rebinding: a web page whose own name is made to
 * resolve to this machine sends that name, and no page can send another.
 * @module
 */
import { z } from 'zod';
import { parseAddress } from './address-policy.ts';

/** Names that may be listed, in one option. */
export const MAX_LISTED_HOSTS = 64;

/** A host name (with the underscore that service names of containers contain) or an address, in one canonical form. */
function canonicalHost(host: string): string | undefined {
  const address = parseAddress(host.replace(/^\[(.*)\]$/, '$1'));
  if (address !== undefined) return address.text;
  const name = host.toLowerCase().replace(/\.$/, '');
  return name.length <= 253 && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(name) ? name : undefined;
}

/** Schema of an option that lists host names and addresses, without ports. */
export const hostList = z
  .array(
    z.string().refine((host) => canonicalHost(host) !== undefined, {
      error: 'expected host names or addresses, without a port and without wildcards',
    }),
  )
  .max(MAX_LISTED_HOSTS)
  .default([]);

/** Whether a Host field names this machine: localhost, 127.0.0.1 or [::1], with any port. */
export function isLoopbackName(host: string | undefined): boolean {
  return host !== undefined && /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i.test(host);
}

/**
 * Whether a Host field, its port aside, is a loopback name, the very address that was connected to, or one of `listed`
 * (names compare without case and final dot, addresses by value).
 */
export function isAcceptedHost(
  host: string | undefined,
  localAddress: string | undefined,
  listed: readonly string[],
): boolean {
  if (isLoopbackName(host)) return true;
  const named = canonicalHost(/^(\[[^\]]*\]|[^:]*)(:\d{1,5})?$/.exec(host ?? '')?.[1] ?? '');
  if (named === undefined) return false;
  return parseAddress(localAddress ?? '')?.text === named || listed.some((one) => canonicalHost(one) === named);
}
