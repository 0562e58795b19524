/**
 * What the handshakes of the front have in common. A handshake is a pure reader: bytes of the client in, steps out. The
 * connection carries the steps out, and asks the reader for the bytes of the final answer.
 * @module
 */
import type { ErrorCode } from '../../../lib/core/errors.ts';
import type { Bound } from './replies.ts';

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
  /** The client was asked for the login that it had offered, and has not sent it. */
  readonly awaitsLogin?: boolean;
  /** Takes what the client sent; after a `request` or `refuse` step it is not called again. */
  push(bytes: Uint8Array): HandshakeStep[];
  openedReply(bound: Bound): Uint8Array;
  failureReply(code: ErrorCode): Uint8Array;
}

export interface HandshakeOptions {
  /** SOCKS5 failures without a code in RFC 1928 get one of ours (0xf0 and above). */
  readonly extendedErrors?: boolean;
  /** SOCKS5: choose "no authentication" where it is offered, as Tor's PreferSOCKSNoAuth. */
  readonly preferNoAuth?: boolean;
}
