/**
 * What a program asked to reach: an address or a name, brought into one canonical form, or the reason why it is not
 * carried. The proxy checks before anything leaves the machine; the requester checks again, since it cannot know
 * that the proxy did.
 * @module
 */
import { domainToASCII } from 'node:url';
import ipaddr from 'ipaddr.js';
import type { ErrorCode } from '../core/errors.ts';
import { isPermitted, parseAddress } from './address-policy.ts';

export type Destination =
  | { readonly kind: 'address'; readonly host: string; readonly family: 4 | 6 }
  | { readonly kind: 'name'; readonly host: string };

export type DestinationVerdict =
  | { readonly ok: true; readonly destination: Destination }
  | { readonly ok: false; readonly code: Extract<ErrorCode, 'POLICY' | 'ADDRESS_TYPE'> };

/** RFC 1035 section 2.3.4, without the root's dot. */
const MAX_NAME_CHARS = 253;
const MAX_LABEL_CHARS = 63;

/** Letters, digits, hyphen, and the underscore that real names contain although RFC 952 has none. */
const LABEL = /^[a-z0-9_-]+$/;

/**
 * Last labels of names that mean something on the local network or in another overlay only (RFC 6761, 6762, 7686,
 * 8375, 9476 and common use). Asking the public DNS for them leaks them and cannot work.
 */
const PRIVATE_SUFFIXES: ReadonlySet<string> = new Set(
  'localhost local localdomain internal intranet private corp home lan onion i2p alt'.split(' '),
);

/** Decides on a host as a client wrote it. Names come out in lower case, as ASCII and without a final dot. */
export function checkDestination(host: string, allowPrivate: boolean): DestinationVerdict {
  const destination = parseDestination(host);
  if (destination === undefined) return { ok: false, code: 'ADDRESS_TYPE' };
  const permitted =
    destination.kind === 'name'
      ? allowPrivate || !isPrivateName(destination.host)
      : isPermitted(parseAddress(destination.host)?.scope ?? 'never', allowPrivate);
  return permitted ? { ok: true, destination } : { ok: false, code: 'POLICY' };
}

/** The canonical form of `host`, or undefined when it is neither an address nor a name. */
export function parseDestination(host: string): Destination | undefined {
  const literal = unbracket(host);
  const address = parseAddress(literal);
  if (address !== undefined) return { kind: 'address', host: address.text, family: address.family };
  return literal === host ? parseName(host) : undefined;
}

function unbracket(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

function parseName(text: string): Destination | undefined {
  const name = toAscii(text.endsWith('.') ? text.slice(0, -1) : text);
  if (name.length === 0 || name.length > MAX_NAME_CHARS) return undefined;
  const labels = name.split('.');
  if (!labels.every((label) => label.length <= MAX_LABEL_CHARS && LABEL.test(label))) return undefined;
  return looksNumeric(labels.at(-1) ?? '') ? parseLooseIpv4(name) : { kind: 'name', host: name };
}

/** Programs without IDNA of their own send UTF-8; what cannot be converted becomes the empty string. */
function toAscii(text: string): string {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return domainToASCII(text).toLowerCase();
  }
  return text.toLowerCase();
}

/** No name ends in a number (WHATWG URL, "ends in a number"): such a text is an IPv4 address or nothing. */
function looksNumeric(lastLabel: string): boolean {
  return /^(\d+|0x[0-9a-f]*)$/.test(lastLabel);
}

/** `127.1`, `0x7f000001`, `017700000001`: what inet_aton of a system resolver would take for an address. */
function parseLooseIpv4(text: string): Destination | undefined {
  if (!ipaddr.IPv4.isValid(text)) return undefined;
  return { kind: 'address', host: ipaddr.IPv4.parse(text).toString(), family: 4 };
}

/** Whether `name` (canonical) belongs to a local network. A single label can only be one of those. */
export function isPrivateName(name: string): boolean {
  const labels = name.split('.');
  return (
    labels.length === 1 ||
    PRIVATE_SUFFIXES.has(labels.at(-1) ?? '') ||
    name.endsWith('.home.arpa') ||
    name === 'home.arpa'
  );
}
