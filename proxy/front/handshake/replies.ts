/**
 * What the front answers in SOCKS. Replies always have their full length: clients read 8 or 10 bytes before they look at the
 * code, and lose the reason otherwise. The code comes from the type of the error (lib/core/errors.ts), never from its text.
 * @module
 */

import { type ErrorCode, factsOf, SOCKS4_FAILURE } from '../../../lib/core/errors.ts';
import { parseAddress } from '../../../lib/net/address-policy.ts';
import { ADDRESS_TYPE, SOCKS5_VERSION } from './socks5-wire.ts';

export interface Bound {
  readonly host: string;
  readonly port: number;
}

const UNSPECIFIED: Bound = { host: '0.0.0.0', port: 0 };

/** Method selection (RFC 1928 section 3); 0xff: none of the offered methods will do. */
export function methodReply(method: 0x00 | 0x02 | 0xff): Uint8Array {
  return Uint8Array.of(SOCKS5_VERSION, method);
}

/** Result of the user name and password step (RFC 1929 section 2), which has a version of its own. */
export function passwordReply(accepted: boolean): Uint8Array {
  return Uint8Array.of(1, accepted ? 0 : 1);
}

/** Success whose bound address is a name: the answer to RESOLVE_PTR. */
export function socks5NameReply(name: string): Uint8Array {
  return Uint8Array.of(SOCKS5_VERSION, 0, 0, ADDRESS_TYPE.name, name.length, ...Buffer.from(name, 'latin1'), 0, 0);
}

/** 10 bytes, or 22 with an IPv6 address; `bound` that is no address is written as 0.0.0.0:0. */
export function socks5Reply(reply: number, bound: Bound = UNSPECIFIED): Uint8Array {
  const address = parseAddress(bound.host);
  if (address === undefined) return socks5Reply(reply);
  const bytes = address.family === 4 ? ipv4Bytes(address.text) : ipv6Bytes(address.text);
  const type = address.family === 4 ? ADDRESS_TYPE.ipv4 : ADDRESS_TYPE.ipv6;
  return Uint8Array.of(SOCKS5_VERSION, reply, 0, type, ...bytes, bound.port >> 8, bound.port & 0xff);
}

/** With `extended`, failures that RFC 1928 has no code for get one of ours. */
export function socks5Failure(code: ErrorCode, extended = false): Uint8Array {
  const { socksReply, extendedReply } = factsOf(code);
  return socks5Reply(extended && extendedReply !== undefined ? extendedReply : socksReply);
}

/** SOCKS4's "rejected or failed": 8 bytes that start with a zero, not with the version. */
export const SOCKS4_REJECTED: Uint8Array = Uint8Array.of(0, SOCKS4_FAILURE, 0, 0, 0, 0, 0, 0);

/** SOCKS4's "granted"; an address that is not IPv4 is written as 0.0.0.0. */
export function socks4Granted(bound: Bound): Uint8Array {
  const address = parseAddress(bound.host);
  const bytes = address?.family === 4 ? ipv4Bytes(address.text) : [0, 0, 0, 0];
  const port = address?.family === 4 ? bound.port : 0;
  return Uint8Array.of(0, 0x5a, port >> 8, port & 0xff, ...bytes);
}

function ipv4Bytes(text: string): number[] {
  return text.split('.').map(Number);
}

function ipv6Bytes(text: string): number[] {
  const [head = '', tail] = text.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = new Array<number>(8 - before.length - after.length).fill(0);
  return [...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]);
}
