/**
 * What the protocols of the front have in common. A handshake is a pure reader: bytes of the client in, steps out. The
 * connection picks one by the first byte (one, because a whole SOCKS5 greeting may have three), carries its steps out,
 * and asks it for the bytes of the final answer.
 * @module
 */
import type { ErrorCode } from '../lib/errors.ts';
import { HttpHandshake } from './http-connect.ts';
import type { Bound } from './replies.ts';
import { Socks4Handshake } from './socks4.ts';
import { Socks5Handshake } from './socks5.ts';

export type Protocol = 'socks4' | 'socks4a' | 'socks5' | 'http';

/** What a client asks for, in terms that no longer depend on its protocol. */
export interface ClientRequest {
  readonly protocol: Protocol;
  readonly kind: 'tcp' | 'udp' | 'resolve' | 'resolve-ptr';
  /** As the client wrote it; not checked yet. */
  readonly host: string;
  readonly port: number;
  /** Credentials that only serve to keep streams apart; the bytes themselves, as latin-1. */
  readonly isolation?: string;
}

export type HandshakeStep =
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'request'; readonly request: ClientRequest; readonly early: Uint8Array }
  /** Answer, close, and count under `reason`. */
  | { readonly kind: 'refuse'; readonly bytes: Uint8Array; readonly reason: RefusalReason };

/** Besides the codes: no method in common, a program that takes the port for another kind of HTTP server, no protocol of ours. */
export type RefusalReason = ErrorCode | 'METHODS' | 'HTTP' | 'PROTOCOL';

export interface Handshake {
  /** Takes what the client sent; after a `request` or `refuse` step it is not called again. */
  push(bytes: Uint8Array): HandshakeStep[];
  openedReply(bound: Bound): Uint8Array;
  failureReply(code: ErrorCode): Uint8Array;
}

export interface HandshakeOptions {
  /** SOCKS5 failures without a code in RFC 1928 get one of ours (0xf0 and above). */
  readonly extendedErrors?: boolean;
}

/** The reader for a connection that starts with `firstByte`. */
export function handshakeFor(firstByte: number, options: HandshakeOptions = {}): Handshake {
  if (firstByte === 0x05) return new Socks5Handshake(options);
  if (firstByte === 0x04) return new Socks4Handshake();
  if (isLetter(firstByte)) return new HttpHandshake();
  return NOTHING_OF_OURS;
}

function isLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

/** TLS, a port scanner, noise: there are no words in which to answer. */
const NOTHING_OF_OURS: Handshake = {
  push: () => [{ kind: 'refuse', bytes: new Uint8Array(0), reason: 'PROTOCOL' }],
  openedReply: () => new Uint8Array(0),
  failureReply: () => new Uint8Array(0),
};
