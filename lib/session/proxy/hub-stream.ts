/**
 * A stream as the front sees it. It is opened on the hub's current session; when that session turns out to be forgotten by its
 * requester (a restart), or the requester to be gone or about to stop, before anything came of the stream, it is opened again on the next one, and the application
 * notices nothing but the time. Once it is open, or bytes were written, it ends with its session: to say them again could
 * have them said twice. A requester that refuses it because it is about to stop has not said them: they are said at the next.
 * @module
 */

import type { ErrorCode } from '../../core/errors.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { BoundAddress, SessionStream, StreamHandlers, StreamTarget } from '../../transport/types.ts';
import type { ProxySession } from './proxy-session.ts';

/** Bytes written before the answer that are kept for another requester; who writes more is refused with this one. */
export const MAX_KEPT_BYTES = 16_384;
/** Sessions that a stream is tried on at most. */
export const MAX_OPEN_ATTEMPTS = 3;
/** The session has ended, or the requester is about to stop. Refusals with other codes are its word on the stream. */
const SESSION_LOST: ErrorCode = 'SESSION_CLOSED';
/** Only the hub says this of a stream: there is no number for it in REFUSED. */
const EXIT_GONE: ErrorCode = 'NO_REQUESTER';

/** The part of a session that opens streams. */
export type OpeningSession = Pick<ProxySession, 'open' | 'state'>;

/** The stream needs another session; `isStopping`: since the requester of this one is about to stop. */
export type OpenAgain = (stream: HubStream, isStopping: boolean) => void;

/** The requester has opened a stream of `session`, or refused it with `code`. */
export type Answered = (session: OpeningSession | undefined, code?: ErrorCode) => void;

export class HubStream implements SessionStream, StreamHandlers {
  #session: OpeningSession | undefined;
  #inner: SessionStream | undefined;
  #attempts = 0;
  #waitingSinceMs: MonotonicMs | undefined;
  /** How long it waited until it had a session. */
  waitedMs = 0;
  /** It waits, or waited, because all identities were in use. */
  waitedForIdentity = false;
  #settled = false;
  #ended = false;
  /** What was written since it was opened, and whether its end; undefined when it is open, or too much. */
  #kept: { bytes: number; pieces: Uint8Array[]; end: boolean } | undefined;
  /** Bytes and the end that came before there was a session. */
  #early: Uint8Array[] = [];
  #earlyEnd = false;
  /** The application broke off before there was a session: the bytes before that are still owed. */
  #earlyReset: ErrorCode | undefined;

  constructor(
    private readonly target: StreamTarget,
    private readonly handlers: StreamHandlers,
    private readonly openAgain: OpenAgain,
    private readonly answered: Answered = () => {},
  ) {}

  get id(): number {
    return this.#inner?.id ?? -1;
  }

  /** The session that it was opened on last. */
  get session(): OpeningSession | undefined {
    return this.#session;
  }

  /** Given up by the application or by `fail`: nobody waits for it. */
  get ended(): boolean {
    return this.#ended;
  }

  /** It waits for a session, since `sinceMs`. */
  waits(forIdentity: boolean, sinceMs: MonotonicMs): void {
    this.#waitingSinceMs = sinceMs;
    this.waitedForIdentity = forIdentity;
  }

  /** Opens it on `session`. Throws MixError as `ProxySession.open` does. */
  openOn(session: OpeningSession, nowMs: MonotonicMs): void {
    this.#session = session;
    this.#attempts += 1;
    this.waitedMs = nowMs - (this.#waitingSinceMs ?? nowMs);
    this.#inner = session.open(this.target, this, nowMs);
    this.#kept = { bytes: 0, pieces: [], end: false };
    const early = this.#early;
    this.#early = [];
    let room = true;
    for (const bytes of early) room = this.write(bytes, nowMs);
    if (this.#earlyReset !== undefined) this.endWithReset(this.#earlyReset, nowMs);
    else if (this.#earlyEnd) this.end(nowMs);
    else if (early.length > 0 && room) this.handlers.onDrain();
  }

  /** No session could be had. */
  fail(code: ErrorCode): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#earlyReset === undefined) this.handlers.onRefused(code);
  }

  write(bytes: Uint8Array, nowMs: MonotonicMs): boolean {
    if (this.#ended) return true;
    if (this.#inner === undefined) {
      this.#early.push(new Uint8Array(bytes));
      return false;
    }
    this.#settled = true;
    this.#keep(bytes);
    return this.#inner.write(bytes, nowMs);
  }

  /** There is nobody to send it to before the stream is open. */
  sendDatagram(host: string, port: number, bytes: Uint8Array, nowMs: MonotonicMs): boolean {
    return this.#inner?.sendDatagram(host, port, bytes, nowMs) ?? true;
  }

  end(nowMs: MonotonicMs): void {
    if (this.#inner === undefined) {
      this.#earlyEnd = true;
      return;
    }
    this.#settled = true;
    if (this.#kept !== undefined) this.#kept.end = true;
    this.#inner.end(nowMs);
  }

  reset(code: ErrorCode, nowMs: MonotonicMs): void {
    this.#ended = true;
    this.#early = [];
    this.#inner?.reset(code, nowMs);
  }

  /** Bytes that wait for a session are still sent when there is one; without any, nothing is owed to anybody. */
  endWithReset(code: ErrorCode, nowMs: MonotonicMs): void {
    if (this.#inner !== undefined) {
      this.#ended = true;
      this.#inner.endWithReset(code, nowMs);
    } else if (this.#early.length > 0 && !this.#ended) {
      this.#earlyReset ??= code;
    } else {
      this.reset(code, nowMs);
    }
  }

  stop(code: ErrorCode, nowMs: MonotonicMs): void {
    if (this.#inner === undefined) this.reset(code, nowMs);
    else this.#inner.stop(code, nowMs);
  }

  consume(bytes: number, nowMs: MonotonicMs): void {
    this.#inner?.consume(bytes, nowMs);
  }

  onOpened(bound: BoundAddress): void {
    this.#settled = true;
    this.#kept = undefined;
    this.answered(this.#session);
    this.handlers.onOpened(bound);
  }

  onRefused(code: ErrorCode): void {
    if (this.#triesAgain(code)) return;
    this.#ended = true;
    this.answered(this.#session, code);
    this.handlers.onRefused(code);
  }

  onReset(code: ErrorCode): void {
    if (this.#triesAgain(code)) return;
    this.#ended = true;
    this.handlers.onReset(code);
  }

  onData(bytes: Uint8Array): void {
    this.handlers.onData(bytes);
  }

  onFin(): void {
    this.handlers.onFin();
  }

  onDrain(): void {
    this.handlers.onDrain();
  }

  onDatagram(host: string, port: number, bytes: Uint8Array): void {
    this.handlers.onDatagram?.(host, port, bytes);
  }

  #keep(bytes: Uint8Array): void {
    if (this.#kept === undefined) return;
    this.#kept.bytes += bytes.byteLength;
    if (this.#kept.bytes > MAX_KEPT_BYTES) this.#kept = undefined;
    else this.#kept.pieces.push(new Uint8Array(bytes));
  }

  #triesAgain(code: ErrorCode): boolean {
    const lost = code === EXIT_GONE || code === SESSION_LOST;
    if (this.#ended || !lost || this.#attempts >= MAX_OPEN_ATTEMPTS) return false;
    const isStopping = code === SESSION_LOST && this.#session?.state !== 'closed';
    const kept = isStopping ? this.#kept : undefined;
    if (this.#settled && kept === undefined) return false;
    this.#inner = undefined;
    this.#settled = false;
    this.#early = kept?.pieces ?? [];
    this.#earlyEnd = kept?.end ?? false;
    this.openAgain(this, isStopping);
    return true;
  }
}
