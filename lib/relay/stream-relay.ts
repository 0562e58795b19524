/**
 * Couples one TCP socket with one session stream, as a TCP connection would be coupled with another: bytes both ways
 * with backpressure, half-close both ways, reset both ways, each behind the bytes that came before it. The proxy uses it towards the application, the requester
 * towards the site.
 *
 * Memory stays bounded because the stream's flow control does: bytes from the stream are credited back only when the
 * socket has taken them, and the socket is not read while the stream refuses more.
 * @module
 */

import type { Socket } from 'node:net';
import { afterSilence, type Clock, type Timer } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { MemoryAccount, MemoryBudget } from '../core/memory-budget.ts';
import type { MonotonicMs } from '../core/units.ts';
import type { SessionStream, StreamHandlers } from '../session/index.ts';
import { breakOff, breakOffBehindBytes } from './break-off.ts';
import { SocketReader } from './socket-reader.ts';

/**
 * How a relay ended: both directions finished, one of the ends broke off, nothing moved for too long, it was open for
 * too long, or we stopped it.
 */
export type RelayOutcome = 'finished' | 'socket-reset' | 'stream-reset' | 'idle' | 'expired' | 'stopped';

export interface RelayLimits {
  /** No byte either way for this long ends the stream. */
  readonly idleMs: number;
  /** The same once one direction is closed: whoever only waits for the end is likely gone. */
  readonly halfClosedIdleMs: number;
}

export interface RelayOptions {
  readonly clock: Clock;
  readonly limits: RelayLimits;
  /** What bytes draw on that the socket's peer has not taken, and in whose name. The relay of a slow one is broken off. */
  readonly memory?: MemoryBudget;
  readonly memoryOwner?: unknown;
  /** Called for bytes that the socket sent (`up`) or took (`down`). */
  readonly onBytes?: (direction: 'up' | 'down', bytes: number) => void;
  /** Called once, when nothing more will move; with the code when the stream was reset. */
  readonly onEnded: (outcome: RelayOutcome, code?: ErrorCode) => void;
}

/** The code that the other end gets when a socket breaks. TCP's reset carries no reason either. */
const RESET_CODE: ErrorCode = 'RESET';

export class StreamRelay implements Pick<StreamHandlers, 'onData' | 'onFin' | 'onReset' | 'onDrain'> {
  readonly #clock: Clock;
  #stream: SessionStream | undefined;
  #socket: Socket | undefined;
  #reader: SocketReader | undefined;
  /** Bytes from the stream that wait for `startWriting`; bounded by the stream's receive window. */
  #backlog: Uint8Array[] = [];
  #writing = false;
  #isGathering = false;
  /** Bytes from the stream whose credit was not given back yet. */
  #owedBytes = 0;
  #streamFinished = false;
  /** The stream was reset: the socket is, too, as soon as its peer has the bytes before that. */
  #streamReset = false;
  #resetCode: ErrorCode | undefined;
  /** The socket takes no more bytes; what it had received may still be on its way into the stream. */
  #socketLost = false;
  #ended = false;
  #idleTimer: Timer | undefined;
  /** When bytes last moved, or it was made. */
  lastActivityMs: MonotonicMs;
  readonly #memory: MemoryAccount | undefined;
  /** Bytes that the socket has taken, or lost. */
  #takenBytes = 0;

  constructor(private readonly options: RelayOptions) {
    this.#memory = options.memory?.account('streams', () => this.#shed(), options.memoryOwner);
    this.#clock = options.clock;
    this.lastActivityMs = options.clock.nowMs();
  }

  /**
   * Joins the two ends and starts the direction socket → stream, beginning with `early`, which was read from the
   * socket before. The other direction waits for `startWriting`.
   */
  join(socket: Socket, stream: SessionStream, early?: Uint8Array): void {
    this.#socket = socket;
    this.#stream = stream;
    socket.on('error', ignoreError); // 'close' follows
    socket.on('close', this.#onSocketClose);
    this.#reader = new SocketReader(socket, {
      onBytes: (bytes) => this.#pass(bytes),
      onFin: () => this.#onSocketFin(),
      onReset: () => this.#onSocketReset(),
    });
    this.#reader.start(early);
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

  /** Writes what is no part of the stream: the answer before it. */
  writeAhead(bytes: Uint8Array): void {
    this.#socket?.write(bytes, (error) => {
      if (error) this.#onWriteFailed(error);
    });
  }

  /** Lets go of the socket without touching it: the caller answers and closes it. Says nothing to the stream. */
  release(): void {
    this.#finish();
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
    if (this.#socketLost) {
      this.#stream?.consume(bytes.byteLength, this.#clock.nowMs());
      return;
    }
    this.#owedBytes += bytes.byteLength;
    this.#memory?.add(memoryOf(bytes));
    if (this.#writing) this.#writeToSocket(bytes);
    else this.#backlog.push(bytes);
  }

  onFin(): void {
    if (this.#ended) return;
    this.#streamFinished = true;
    if (this.#writing) this.#socket?.end();
    this.#armIdle();
  }

  onReset(code: ErrorCode): void {
    if (this.#ended) return;
    const socket = this.#socket;
    this.#streamReset = true;
    this.#resetCode = code;
    this.#reader?.stop();
    if (socket === undefined || socket.destroyed || socket.bytesWritten === 0) {
      this.#end('stream-reset');
      if (socket !== undefined) breakOff(socket);
      return;
    }
    // What the socket's peer still sends is of no use, but must not keep it from reading.
    socket.on('data', ignoreBytes);
    socket.resume();
    this.#armIdle();
    breakOffBehindBytes(socket, this.#clock, () => this.#moved());
  }

  onDrain(): void {
    if (!this.#ended && !this.#streamReset) this.#reader?.resume();
  }

  #onSocketFin(): void {
    this.#stream?.end(this.#clock.nowMs());
    if (this.#socketLost) this.#stopStream();
    else this.#armIdle();
  }

  #onSocketReset(): void {
    const socket = this.#socket;
    this.#stream?.endWithReset(RESET_CODE, this.#clock.nowMs());
    this.#end('socket-reset');
    socket?.destroy();
  }

  /** Node destroys the socket next, and with it what was not read. */
  #onWriteFailed(error: Error): void {
    if (!this.#ended && !this.#streamReset) this.#onSocketLost(error);
  }

  /** After an orderly end both ways the stream knows already; anything else was a break (RST, EPIPE, destroyed). */
  readonly #onSocketClose = (): void => {
    if (this.#ended) return;
    if (this.#streamReset) this.#end('stream-reset');
    else if (this.#reader?.finished && this.#socket?.writableFinished) this.#end('finished');
    else this.#onSocketLost();
  };

  #onSocketLost(error?: Error): void {
    if (this.#socketLost) return;
    this.#socketLost = true;
    this.#armIdle();
    this.#stream?.consume(this.#owedBytes, this.#clock.nowMs());
    this.#owedBytes = 0;
    if (this.#reader?.finished) this.#stopStream();
    else this.#reader?.lose(error);
  }

  /**
   * The socket had sent everything with a FIN and broke only then (a server that answers early and closes over unread
   * bytes): what it said still arrives, as it would over TCP, and a STOP tells the peer that nobody reads.
   */
  #stopStream(): void {
    this.#stream?.stop(RESET_CODE, this.#clock.nowMs());
    this.#end('socket-reset');
  }

  #pass(bytes: Uint8Array): boolean {
    this.#moved();
    this.options.onBytes?.('up', bytes.byteLength);
    return this.#stream?.write(bytes, this.lastActivityMs) ?? false;
  }

  #writeToSocket(bytes: Uint8Array): void {
    this.#gather();
    this.#socket?.write(bytes, (error) => {
      this.#onTaken(bytes);
      if (error) this.#onWriteFailed(error);
      if (error || this.#ended || this.#socketLost) return;
      this.#moved();
      this.#owedBytes -= bytes.byteLength;
      this.options.onBytes?.('down', bytes.byteLength);
      this.#stream?.consume(bytes.byteLength, this.lastActivityMs);
    });
  }

  /** What is written in this turn leaves in one call: hundreds of bytes that come one by one would else take as many segments. */
  #gather(): void {
    const socket = this.#socket;
    if (this.#isGathering || socket === undefined) return;
    this.#isGathering = true;
    socket.cork();
    process.nextTick(() => {
      this.#isGathering = false;
      socket.uncork();
    });
  }

  #onTaken(bytes: Uint8Array): void {
    this.#takenBytes += bytes.byteLength;
    this.#memory?.add(-memoryOf(bytes), this.#takenBytes);
  }

  /** What it holds is wanted for others. After its end there is a socket still that has not sent all. */
  #shed(): void {
    this.stop('LIMIT');
    this.#socket?.destroy();
  }

  #moved(): void {
    this.lastActivityMs = this.#clock.nowMs();
  }

  #armIdle(): void {
    this.#idleTimer?.cancel();
    if (this.#ended) return;
    const dueMs = this.lastActivityMs + this.#idleLimitMs() - this.#clock.nowMs();
    this.#idleTimer = afterSilence(this.#clock, dueMs, () => {
      if (this.#clock.nowMs() - this.lastActivityMs >= this.#idleLimitMs()) this.stop('TIMEOUT', 'idle');
      else this.#armIdle();
    });
  }

  #idleLimitMs(): number {
    const halfClosed = this.#reader?.finished || this.#streamFinished || this.#streamReset || this.#socketLost;
    return halfClosed ? this.options.limits.halfClosedIdleMs : this.options.limits.idleMs;
  }

  #end(outcome: RelayOutcome): void {
    if (this.#ended) return;
    this.#finish();
    this.options.onEnded(outcome, this.#resetCode);
  }

  #finish(): void {
    this.#ended = true;
    this.#idleTimer?.cancel();
    for (const bytes of this.#backlog.splice(0)) this.#onTaken(bytes);
    this.#reader?.stop();
    this.#socket?.off('close', this.#onSocketClose);
  }
}

/** A view keeps the packet in memory that it came in. */
const MOST_BEHIND_VIEW_BYTES = 4096;

function memoryOf(bytes: Uint8Array): number {
  return Math.max(bytes.byteLength, Math.min(bytes.buffer.byteLength, MOST_BEHIND_VIEW_BYTES));
}

function ignoreError(): void {}
function ignoreBytes(): void {}
