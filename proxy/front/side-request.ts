/**
 * Requests other than a connection to somewhere: name look-ups and UDP associations. Each is one object that lives no
 * longer than the client's connection; the connection (connection.ts) carries out what it says.
 * @module
 */
import type { ErrorCode } from '../../lib/core/errors.ts';
import type { SessionStream } from '../../lib/session/index.ts';
import type { Bound } from './handshake/replies.ts';

/** What the client's connection does for such a request; after `finish`, `fail` or `close` nothing more is said. */
export interface SideEvents {
  /** Tells the client of success and keeps the connection. */
  open(bound: Bound): void;
  /** Tells the client of success, which is all it wanted. */
  finish(bound: Bound): void;
  /** Tells the client why it cannot be. */
  fail(code: ErrorCode): void;
  /** What was open has ended. */
  close(): void;
}

export interface SideRequest {
  /** What was asked for through the mixnet, as far as it was. */
  readonly stream: SessionStream | undefined;
  start(): void;
  /** The client has sent its FIN; it may still be reading. */
  clientEnded(): void;
  /** The client is gone, or time is up. Nothing is said any more. */
  stop(code: ErrorCode): void;
}
