/**
 * What the protocols of the front have in common. A handshake is a pure reader: bytes of the client in, steps out. The
 * connection picks one by the first byte, carries its steps out, and asks it for the bytes of the final answer.
 * @module
 */
import type { ErrorCode } from '../lib/errors.ts';
import { type Bound, HTTP_HELP, SOCKS4_REJECTED } from './replies.ts';
import { Socks5Handshake } from './socks5.ts';

/** What a client asks for, in terms that no longer depend on its protocol. */
export interface ClientRequest {
  readonly kind: 'tcp';
  /** As the client wrote it; not checked yet. */
  readonly host: string;
  readonly port: number;
  /** Whether the client had resolved the name itself, as far as the protocol shows. */
  readonly hostIsAddress: boolean;
  /** Credentials that only serve to keep streams apart; the bytes themselves, as latin-1. */
  readonly isolation?: string;
}

export type HandshakeStep =
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'request'; readonly request: ClientRequest; readonly early: Uint8Array }
  /** Answer, close, and count under `reason`. */
  | { readonly kind: 'refuse'; readonly bytes: Uint8Array; readonly reason: RefusalReason };

export type RefusalReason = ErrorCode | 'METHODS' | 'SOCKS4' | 'HTTP' | 'PROTOCOL';

export interface Handshake {
  /** Takes what the client sent; after a `request` or `refuse` step it is not called again. */
  push(bytes: Uint8Array): HandshakeStep[];
  openedReply(bound: Bound): Uint8Array;
  failureReply(code: ErrorCode): Uint8Array;
}

/** The reader for a connection that starts with `firstByte`. */
export function handshakeFor(firstByte: number): Handshake {
  if (firstByte === 0x05) return new Socks5Handshake();
  if (firstByte === 0x04) return refusal('SOCKS4', SOCKS4_REJECTED);
  if (isLetter(firstByte)) return refusal('HTTP', HTTP_HELP);
  return refusal('PROTOCOL', new Uint8Array(0));
}

function isLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

/** A protocol that is known well enough to be turned down in its own words. */
function refusal(reason: RefusalReason, bytes: Uint8Array): Handshake {
  return {
    push: () => [{ kind: 'refuse', bytes, reason }],
    openedReply: () => bytes,
    failureReply: () => bytes,
  };
}
