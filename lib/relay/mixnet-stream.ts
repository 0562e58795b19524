/**
 * A session stream as a Node stream, so that everything that takes a socket can take it: pipelines, TLS, HTTP.
 *
 * Memory is bounded on both ways: bytes from the mixnet are credited back only when they go into Node's read
 * buffer, which takes them up to its high-water mark; and a write is not called back while the session has enough.
 * @module
 */

import { Duplex, type DuplexOptions } from 'node:stream';
import { afterSilence, type Clock, type Timer } from '../core/clock.ts';
import { asMixError, type ErrorCode, factsOf, MixError } from '../core/errors.ts';
import type { MonotonicMs } from '../core/units.ts';
import type { BoundAddress, SessionStream, StreamHandlers } from '../session/index.ts';
import type { StreamObserver } from './stream-observer.ts';

export interface MixnetStreamOptions {
  readonly clock: Clock;
  /** Asks the session for a stream; throws a MixError when it is clear at once that it cannot be done. */
  readonly open: (handlers: StreamHandlers) => SessionStream;
  /** What it leads to, for error messages. */
  readonly target: string;
  readonly connectTimeoutMs: number;
  readonly observer?: StreamObserver;
}

type Callback = (error?: Error | null) => void;

const HIGH_WATER_BYTES = 65_536;
/** How long a stream that the program has closed waits for the other end to close too. */
export const LINGER_MS = 10_000;

/**
 * A stream through the mixnet. What is written before `connect` travels with the request to open. Both halves close
 * on their own, as those of a TCP socket that allows half-open; errors are `MixError`s.
 *
 * Events besides those of a Duplex: `connect` when the exit has connected, `timeout` as set by `setTimeout`.
 */
export class MixnetStream extends Duplex {
  /** True until the exit has connected. */
  connecting = true;
  bytesRead = 0;
  bytesWritten = 0;
  /** The address that the exit connects from; undefined before `connect`. */
  bound: BoundAddress | undefined;
  readonly #options: MixnetStreamOptions;
  #stream: SessionStream | undefined;
  /** From the session, not yet asked for by the reader; bounded by the stream's receive window. */
  #incoming: Uint8Array[] = [];
  #wanted = false;
  #pumping = false;
  #finReceived = false;
  /** The session's reset, while bytes that came before it are still unread. */
  #broken: MixError | undefined;
  /** The session has ended the stream: it takes nothing more. */
  #over = false;
  #lingering = false;
  #onRoom: Callback | undefined;
  #timer: Timer | undefined;
  #idleMs = 0;
  #idleTimer: Timer | undefined;

  constructor(options: MixnetStreamOptions) {
    const duplex: DuplexOptions = { allowHalfOpen: true, highWaterMark: HIGH_WATER_BYTES };
    super(duplex);
    this.#options = options;
  }

  /** Asks for the stream. To be called once, before anything is written. */
  start(): this {
    const options = this.#options;
    try {
      this.#stream = options.open(this.#handlers());
      this.#timer = afterSilence(options.clock, options.connectTimeoutMs, () => this.destroy(this.#failure('TIMEOUT')));
    } catch (error) {
      this.#over = true;
      this.destroy(asMixError(error));
    }
    return this;
  }

  /** `open` while bytes may pass, as of a socket. */
  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.destroyed) return 'closed';
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  /** Emits `timeout` after `idleMs` without a byte either way; 0 turns that off. Closes nothing, as of a socket. */
  setTimeout(idleMs: number, onTimeout?: () => void): this {
    this.#idleMs = idleMs;
    if (onTimeout !== undefined) {
      if (idleMs > 0) this.once('timeout', onTimeout);
      else this.off('timeout', onTimeout);
    }
    this.#restartIdle();
    return this;
  }

  // For code that expects a socket: packets leave by their clock, the session notices a dead peer, and the client keeps the
  // process alive until it is closed.
  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#pass([chunk], callback);
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], callback: Callback): void {
    this.#pass(
      chunks.map(({ chunk }) => chunk),
      callback,
    );
  }

  override _final(callback: Callback): void {
    this.#stream?.end(this.#nowMs());
    callback();
  }

  override _read(): void {
    this.#wanted = true;
    this.#pump();
  }

  /** A reset ends the stream once all bytes that came before it have been read. */
  override read(size?: number): ReturnType<Duplex['read']> {
    const chunk: unknown = super.read(size);
    this.#breakWhenRead();
    return chunk;
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#timer?.cancel();
    this.#idleTimer?.cancel();
    this.#report(error);
    this.#release(error);
    const waiting = this.#onRoom;
    this.#onRoom = undefined;
    waiting?.(error);
    callback(error);
  }

  #nowMs(): MonotonicMs {
    return this.#options.clock.nowMs();
  }

  #handlers(): StreamHandlers {
    return {
      onOpened: (bound) => this.#onOpened(bound),
      onRefused: (code) => this.#onOver(code),
      onData: (bytes) => this.#onData(bytes),
      onFin: () => this.#onFin(),
      onReset: (code) => this.#onOver(code),
      onDrain: () => this.#onDrain(),
    };
  }

  #onOpened(bound: BoundAddress): void {
    if (this.destroyed) return;
    this.#timer?.cancel();
    this.connecting = false;
    this.bound = bound;
    this.#options.observer?.opened(this.#stream);
    this.emit('connect');
    this.emit('ready');
  }

  #onData(bytes: Uint8Array): void {
    if (this.#lingering) {
      // Nobody will read this: the other end gets a reset, as with TCP.
      this.#stream?.consume(bytes.byteLength, this.#nowMs());
      this.#stream?.stop('RESET', this.#nowMs());
    } else {
      this.#incoming.push(bytes);
      this.#pump();
    }
  }

  #onFin(): void {
    this.#finReceived = true;
    if (this.#lingering) this.#endLinger();
    else this.#pump();
  }

  #onOver(code: ErrorCode): void {
    this.#over = true;
    this.#endLinger();
    this.#broken = this.#failure(code);
    this.#breakWhenRead();
    if (!this.destroyed) this.#onDrain(); // until then, what is written is discarded
  }

  #breakWhenRead(): void {
    if (this.#broken === undefined || this.destroyed) return;
    if (this.connecting || (this.#incoming.length === 0 && this.readableLength === 0)) this.destroy(this.#broken);
  }

  #onDrain(): void {
    const callback = this.#onRoom;
    this.#onRoom = undefined;
    callback?.();
  }

  #failure(code: ErrorCode): MixError {
    const what = this.connecting ? `no connection to ${this.#options.target}` : `${this.#options.target} broke off`;
    return new MixError(code, `${what}: ${factsOf(code).meaning}`);
  }

  /** The session takes all it is given; false asks to wait before the next. */
  #pass(chunks: readonly Buffer[], callback: Callback): void {
    let room = true;
    for (const chunk of chunks) {
      if (chunk.byteLength === 0) continue; // Node's HTTP writes such
      this.bytesWritten += chunk.byteLength;
      room = this.#stream?.write(chunk, this.#nowMs()) ?? true;
    }
    this.#restartIdle();
    if (room) callback();
    else this.#onRoom = callback;
  }

  /** Hands on what has come while the reader wants more, and gives the credit back. */
  #pump(): void {
    if (this.#pumping) return; // reading and giving credit both call back into here
    this.#pumping = true;
    while (this.#wanted && !this.destroyed) {
      const bytes = this.#incoming.shift();
      if (bytes === undefined) break;
      this.bytesRead += bytes.byteLength;
      this.#restartIdle();
      this.#wanted = this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      this.#stream?.consume(bytes.byteLength, this.#nowMs());
    }
    this.#pumping = false;
    if (this.#finReceived && this.#incoming.length === 0 && !this.destroyed && !this.readableEnded) {
      this.#finReceived = false;
      this.push(null);
    }
  }

  #restartIdle(): void {
    this.#idleTimer?.cancel();
    if (this.#idleMs > 0 && !this.destroyed) {
      this.#idleTimer = this.#options.clock.after(this.#idleMs, () => this.emit('timeout'));
    }
  }

  #report(error: Error | null): void {
    const { observer } = this.#options;
    const stream = this.#stream;
    const outcome = error === null ? 'finished' : this.#over ? 'stream-reset' : 'stopped';
    if (!this.connecting) observer?.ended(outcome, this.#broken?.code, stream);
    else if (error instanceof MixError) observer?.failed(error.code, stream, !this.#over && error.code === 'TIMEOUT');
    else observer?.abandoned(stream);
  }

  /**
   * Ends the session's stream, as the program is gone. After an error, or before the exit has connected, that is a reset.
   * Otherwise it is what closing a socket means: what was written still arrives, then the end.
   */
  #release(error: Error | null): void {
    const stream = this.#stream;
    const unread = this.#incoming.reduce((sum, bytes) => sum + bytes.byteLength, 0);
    this.#incoming = [];
    if (stream === undefined || this.#over || (this.readableEnded && this.writableFinished)) return;
    const nowMs = this.#nowMs();
    if (error !== null || this.connecting) {
      stream.reset(error instanceof MixError ? error.code : 'RESET', nowMs);
      return;
    }
    this.#lingering = true;
    this.#timer = this.#options.clock.after(LINGER_MS, () => stream.reset('RESET', this.#nowMs()));
    stream.end(nowMs);
    if (unread > 0) {
      stream.consume(unread, nowMs);
      stream.stop('RESET', nowMs);
    } else if (this.#finReceived || this.readableEnded) {
      this.#endLinger();
    }
  }

  #endLinger(): void {
    if (this.#lingering) this.#timer?.cancel();
    this.#lingering = false;
  }
}
