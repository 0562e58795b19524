/**
 * Which protocol a connection speaks, by its first byte: one, because a whole method selection of SOCKS5 may have three.
 * @module
 */
import { Socks4Handshake } from './socks4.ts';
import { Socks5Handshake } from './socks5.ts';
import type { Handshake, HandshakeOptions } from './steps.ts';

/** The SOCKS reader for a connection that starts with `firstByte`; of others, one that refuses. */
export function handshakeFor(firstByte: number, options: HandshakeOptions = {}): Handshake {
  if (firstByte === 0x05) return new Socks5Handshake(options);
  if (firstByte === 0x04) return new Socks4Handshake();
  return NOTHING_OF_OURS;
}

/** Whether it may be HTTP: methods are letters, and empty lines may come before them (RFC 9112 section 2.2). */
export function startsHttp(firstByte: number): boolean {
  const lower = firstByte | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || firstByte === 0x0d || firstByte === 0x0a;
}

/** TLS, a port scanner, noise: there are no words in which to answer. */
const NOTHING_OF_OURS: Handshake = {
  push: () => [{ kind: 'refuse', bytes: new Uint8Array(0), reason: 'PROTOCOL' }],
  openedReply: () => new Uint8Array(0),
  failureReply: () => new Uint8Array(0),
};
