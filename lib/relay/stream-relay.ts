/**
 * Couples one TCP socket with one session stream, as a TCP connection would be coupled with another: bytes both ways
 * with backpressure, half-close both ways, reset both ways. The proxy uses it towards the application, the requester
 * towards the site.
 *
 * Memory stays bounded because the stream's flow control does: bytes from the stream are credited back only when the
 * socket has taken them, and the socket is not read while the stream refuses more.
 * @module
 */
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../clock.ts';
import type { ErrorCode } from '../errors.ts';
import type { SessionStream, StreamHandlers } from '../session/index.ts';
import { breakOff } from './break-off.ts';

/**
 * How a relay ended: both directions finished, one of the ends broke off, nothing moved for too long, it was open for
 * too long, or we stopped it.
 */
export type RelayOutcome = 'finished' | 'socket-reset' | 'stream-reset' | 'idle' | 'expired' | 'stopped';

export interface RelayLimits {
  /** No byte either way for this long ends the stream. */
  readonly idleMs: number;
  /** The same once one direction is closed: whoever only waits to be told the end is likely gone. */
  readonly halfClosedIdleMs: number;
}

export interface RelayOptions {
  readonly clock: Clock;
  readonly limits: RelayLimits;
  /** Called for bytes that the socket sent (`up`) or took (`down`). */
  readonly onBytes?: (direction: 'up' | 'down', bytes: number) => void;
  /** Called once, when nothing more will move. */
  readonly onEnded: (outcome: RelayOutcome) => void;
}

/** What the other end is told when a socket breaks. TCP's reset carries no reason either. */
const RESET_CODE: ErrorCode = 'RESET';

export class StreamRelay implements Pick<StreamHandlers, 'onData' | 'onFin' | 'onReset' | 'onDrain'> {
  readonly #clock: Clock;
  readonly #options: RelayOptions;
  #stream: SessionStream | undefined;
  #socket: Socket | undefined;
  /** Bytes from the stream that wait for `startWriting`; bounded by the stream's receive window. */
  #backlog: Uint8Array[] = [];
  #writing = false;
  /** Bytes from the stream whose credit was not given back yet. */
  #owedBytes = 0;
  #streamFinished = false;
  #socketFinished = false;
  #ended = false;
  #idleTimer: Timer | undefined;
  #lastActivityMs: number;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#lastActivityMs = options.clock.nowMs();
  }

  /**
   * Joins the two ends and starts the direction socket → stream, beginning with `early`, which was read from the
   * socket before. The other direction waits for `startWriting`.
   */
  join(socket: Socket, stream: SessionStream, early?: Uint8Array): void {
    this.#socket = socket;
    this.#stream = stream;
    socket.on('error', ignoreError); // 'close' follows and tells the same
    socket.on('data', this.#onSocketData);
    socket.on('end', this.#onSocketEnd);
    socket.on('close', this.#onSocketClose);
    socket.pause();
    const room = early === undefined || early.byteLength === 0 || this.#pass(early);
    if (room) socket.resume();
    this.#armIdle();
  }

  /** Starts the direction stream → socket with what has come meanwhile. */
  startWriting(): void {
    this.#writing = true;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const bytes of backlog) this.#writeToSocket(bytes);
    if (this.#streamFinished) this.#socket?.end();
  }

  /** Lets go of the socket without touching it: the caller answers and closes it. Says nothing to the stream. */
  release(): void {
    const socket = this.#socket;
    this.#finish();
    socket?.pause();
  }

  /** Breaks both ends off. */
  stop(code: ErrorCode, outcome: RelayOutcome = 'stopped'): void {
    if (this.#ended) return;
    const socket = this.#socket;
    this.#stream?.reset(code, this.#clock.nowMs());
    this.#end(outcome);
    if (socket !== undefined) breakOff(socket);
  }

  onData(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#owedBytes += bytes.byteLength;
    if (this.#writing) this.#writeToSocket(bytes);
    else this.#backlog.push(bytes);
  }

  onFin(): void {
    if (this.#ended) return;
    this.#streamFinished = true;
    if (this.#writing) this.#socket?.end();
    this.#armIdle();
  }

  onReset(_code: ErrorCode): void {
    if (this.#ended) return;
    const socket = this.#socket;
    this.#end('stream-reset');
    if (socket !== undefined) breakOff(socket);
  }

  onDrain(): void {
    if (!this.#ended) this.#socket?.resume();
  }

  readonly #onSocketData = (bytes: Uint8Array): void => {
    if (!this.#pass(bytes)) this.#socket?.pause();
  };

  readonly #onSocketEnd = (): void => {
    this.#socketFinished = true;
    this.#stream?.end(this.#clock.nowMs());
    this.#armIdle();
  };

  /** After an orderly end both ways the stream knows already; anything else was a break (RST, EPIPE, destroyed). */
  readonly #onSocketClose = (): void => {
    if (this.#ended) return;
    if (this.#socketFinished && this.#socket?.writableFinished === true) {
      this.#end('finished');
      return;
    }
    this.#breakStream();
    this.#end('socket-reset');
  };

  /**
   * The socket had sent everything with a FIN and broke only then (a server that answers early and closes over unread
   * bytes): what it said still arrives, as it would over TCP, and the peer is told that nobody listens. Otherwise both
   * directions are gone.
   */
  #breakStream(): void {
    const nowMs = this.#clock.nowMs();
    if (!this.#socketFinished) {
      this.#stream?.reset(RESET_CODE, nowMs);
      return;
    }
    this.#stream?.stop(RESET_CODE, nowMs);
    this.#stream?.consume(this.#owedBytes, nowMs);
  }

  #pass(bytes: Uint8Array): boolean {
    this.#lastActivityMs = this.#clock.nowMs();
    this.#options.onBytes?.('up', bytes.byteLength);
    return this.#stream?.write(bytes, this.#lastActivityMs) ?? false;
  }

  #writeToSocket(bytes: Uint8Array): void {
    this.#socket?.write(bytes, (error) => {
      if (error || this.#ended) return;
      this.#lastActivityMs = this.#clock.nowMs();
      this.#owedBytes -= bytes.byteLength;
      this.#options.onBytes?.('down', bytes.byteLength);
      this.#stream?.consume(bytes.byteLength, this.#lastActivityMs);
    });
  }

  #armIdle(): void {
    this.#idleTimer?.cancel();
    if (this.#ended) return;
    const dueMs = this.#lastActivityMs + this.#idleLimitMs() - this.#clock.nowMs();
    this.#idleTimer = this.#clock.after(dueMs, () => {
      if (this.#clock.nowMs() - this.#lastActivityMs >= this.#idleLimitMs()) this.stop('TIMEOUT', 'idle');
      else this.#armIdle();
    });
  }

  #idleLimitMs(): number {
    const halfClosed = this.#socketFinished || this.#streamFinished;
    return halfClosed ? this.#options.limits.halfClosedIdleMs : this.#options.limits.idleMs;
  }

  #end(outcome: RelayOutcome): void {
    if (this.#ended) return;
    this.#finish();
    this.#options.onEnded(outcome);
  }

  #finish(): void {
    this.#ended = true;
    this.#idleTimer?.cancel();
    this.#backlog = [];
    this.#socket?.off('data', this.#onSocketData);
    this.#socket?.off('end', this.#onSocketEnd);
    this.#socket?.off('close', this.#onSocketClose);
  }
}

function ignoreError(): void {}
