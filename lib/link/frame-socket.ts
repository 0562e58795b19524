/**
 * Frames over an authenticated TLS socket: one record per frame, a bounded queue, and an end that is reported once
 * with its reason.
 * @module
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterSilence, type Clock, type Timer } from '../core/clock.ts';
import { systemCode } from '../core/errors.ts';
import type { MemoryAccount, MemoryBudget } from '../core/memory-budget.ts';
import { type FrameShape, FrameSplitter } from './framing.ts';
import type { SendResult } from './types.ts';

/** TCP probes an idle peer after this long (ten probes a second apart): finds dead peers without a byte of ours. */
const KEEPALIVE_IDLE_MS = 15_000;
/** How long a closing link may take to hand its queue to the kernel. */
const LINGER_MS = 500;
/** A queue that seems not to move has so long to show that it was this process that stood still. */
export const SUSPICION_MS = 1_000;

/** Options of the kernel for every link, set right after its TCP connection exists. */
export function tuneSocket(socket: Socket): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEPALIVE_IDLE_MS);
}

export interface FrameSocketOptions {
  readonly socket: TLSSocket;
  readonly shape: FrameShape;
  readonly clock: Clock;
  readonly queueFrames: number;
  readonly stallTimeoutMs: number;
  /** What frames that the other end has not taken draw on. The link of a slow one is closed when that is used up. */
  readonly memory?: MemoryBudget;
  readonly onFrame: (frame: Buffer) => void;
  readonly onClose: (reason: string) => void;
}

/** Memory of a frame that waits, beside its bytes and its record: TLS encrypts all that waits as soon as it may write. */
const FRAME_OVERHEAD_BYTES = 512;

/** Memory of a connection on which nothing waits: 68 kB measured, of which TLS keeps most, and its share of garbage. */
const CONNECTION_BYTES = 80 * 1024;

export class FrameSocket {
  readonly #splitter: FrameSplitter;
  /** Frames given to the stream whose write has not completed. */
  #queued = 0;
  #written = 0;
  readonly #memory: MemoryAccount | undefined;
  readonly #connection: MemoryAccount | undefined;
  readonly #frameBytes: number;
  #progressAtMs = 0;
  #suspicion: Timer | undefined;
  /** Those of this turn of the event loop, until it ends. */
  #batch: Uint8Array[] = [];
  #closed = false;

  constructor(private readonly options: FrameSocketOptions) {
    const { socket, shape } = options;
    this.#splitter = new FrameSplitter(shape.wireBytes);
    this.#frameBytes = 2 * shape.wireBytes + FRAME_OVERHEAD_BYTES;
    this.#memory = options.memory?.account('links', () => this.#end('memory'));
    this.#connection = options.memory?.account('links');
    this.#connection?.set(CONNECTION_BYTES);
    socket.setMaxSendFragment(shape.recordBytes);
    socket.on('data', this.#onData);
    socket.on('error', (error) => this.#end(systemCode(error) ?? 'error'));
    socket.on('close', () => this.#end('peer-closed'));
  }

  get queued(): number {
    return this.#queued;
  }

  /** Bytes of an unfinished inbound frame. */
  get pendingBytes(): number {
    return this.#splitter.pendingBytes;
  }

  /** Bytes that arrived before this object took over. */
  feed(chunk: Uint8Array): void {
    this.#onData(chunk);
  }

  /**
   * Queues one frame, padded with zeros to the frame size if shorter; says what became of it. The frame must not change any
   * more. Frames of one turn of the event loop leave in one write.
   */
  send(frame: Uint8Array): SendResult {
    const { shape, queueFrames } = this.options;
    if (this.#closed) return 'link-down';
    this.#lookForStall();
    if (this.#queued >= queueFrames) return 'link-queue-full';
    if (this.#batch.length === 0) process.nextTick(this.#write);
    this.#batch.push(frame.byteLength === shape.wireBytes ? frame : padded(frame, shape.wireBytes));
    this.#queued += 1;
    this.#memory?.add(this.#frameBytes);
    return 'sent';
  }

  /** Sends what is queued, then closes; the handler of `onClose` gets `reason`. */
  close(reason: string): void {
    if (this.#closed) return;
    const { socket, clock } = this.options;
    this.#write();
    this.#end(reason, false);
    socket.destroySoon();
    clock.after(LINGER_MS, () => socket.destroy());
  }

  /** A queue that does not move means a peer that is gone without a word (its host lost power or network). */
  #lookForStall(): void {
    const { clock, stallTimeoutMs } = this.options;
    const nowMs = clock.nowMs();
    if (this.#queued === 0) this.#progressAtMs = nowMs;
    else if (nowMs - this.#progressAtMs > stallTimeoutMs) {
      this.#suspicion ??= afterSilence(clock, SUSPICION_MS, () => this.#end('stalled'));
    }
  }

  /** One write of all frames of the turn: of each stream machinery and TLS do the same again. */
  readonly #write = (): void => {
    const batch = this.#batch;
    if (this.#closed || batch.length === 0) return;
    this.#batch = [];
    const bytes = batch.length === 1 ? (batch[0] as Uint8Array) : Buffer.concat(batch);
    this.options.socket.write(bytes, () => this.#onWritten(batch.length));
  };

  #onWritten(frames: number): void {
    this.#queued -= frames;
    this.#written += frames;
    this.#progressAtMs = this.options.clock.nowMs();
    this.#suspicion?.cancel();
    this.#suspicion = undefined;
    if (this.#closed) return;
    this.#memory?.add(-frames * this.#frameBytes, this.#written * this.#frameBytes);
  }

  readonly #onData = (chunk: Uint8Array): void => {
    if (!this.#closed) this.#splitter.push(chunk, this.#onFrame);
  };

  readonly #onFrame = (frame: Buffer): void => {
    if (!this.#closed) this.options.onFrame(frame);
  };

  #end(reason: string, destroy = true): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#suspicion?.cancel();
    this.#memory?.set(0);
    this.#connection?.set(0);
    if (destroy) this.options.socket.destroy();
    this.options.onClose(reason === 'peer-closed' && this.pendingBytes > 0 ? 'truncated-frame' : reason);
  }
}

function padded(frame: Uint8Array, wireBytes: number): Buffer {
  const out = Buffer.allocUnsafeSlow(wireBytes); // in a pool the frames of a slow link would keep those of others in memory
  out.set(frame);
  out.fill(0, frame.byteLength);
  return out;
}
