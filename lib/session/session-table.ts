/**
 * All sessions of a requester: finds the session of a packet, admits new ones, answers for unknown ones.
 * @module
 */
import type { RequesterSession } from './requester-session.ts';
import type { CloseReason, Reply, SessionTableOptions } from './types.ts';

export declare class SessionTable {
  constructor(options: SessionTableOptions);
  get size(): number;
  sessions(): IterableIterator<RequesterSession>;
  /** Takes the plaintext of a packet from any proxy. Never throws. */
  receive(plaintext: Uint8Array, nowMs: number): void;
  /** A CLOSE to send for a session that is unknown, refused or over; call until undefined after `receive` and `tick`. */
  nextAnswer(nowMs: number): Reply | undefined;
  /** The earliest deadline of the table and all its sessions. */
  nextDeadlineMs(): number;
  /** Ticks the table and all its sessions. */
  tick(nowMs: number): void;
  onSession(callback: (session: RequesterSession) => void): void;
  closeAll(reason: CloseReason, nowMs: number): void;
  stats(): { readonly sessions: number; readonly held: number; readonly dropped: Readonly<Record<string, number>> };
}
