/**
 * The streams of a session and whose turn it is to send.
 *
 * Two round robins: streams that have sent little since they were quiet, or that lost something, go first, so that
 * requests and small answers pass bulk transfers; but not more than PROMPT_RUN times in a row while bulk waits.
 * @module
 */
import type { PacketBuilder } from '../wire/packet-builder.ts';
import { Fifo } from './fifo.ts';
import type { DataWritten } from './send-stream.ts';
import type { Stream } from './stream.ts';

const PROMPT_RUN = 4;

export class StreamTable {
  /** Not there while there are none: most sessions of a requester are idle. */
  #streams: Map<number, Stream> | undefined;
  readonly #prompt = new Fifo<Stream>();
  readonly #bulk = new Fifo<Stream>();
  readonly #control = new Fifo<Stream>();
  readonly #datagrams = new Fifo<Stream>();
  #promptRun = 0;

  get size(): number {
    return this.#streams?.size ?? 0;
  }

  get(id: number): Stream | undefined {
    return this.#streams?.get(id);
  }

  add(stream: Stream): void {
    this.#streams ??= new Map();
    this.#streams.set(stream.id, stream);
  }

  remove(stream: Stream): void {
    this.#streams?.delete(stream.id);
    if (this.size === 0) this.#streams = undefined;
  }

  values(): Iterable<Stream> {
    return this.#streams?.values() ?? [];
  }

  clear(): void {
    this.#streams = undefined;
  }

  // ---- control frames

  get owesControl(): boolean {
    return this.#control.size > 0;
  }

  wantControl(stream: Stream): void {
    if (stream.controlQueued) return;
    stream.controlQueued = true;
    this.#control.push(stream);
  }

  writeControl(builder: PacketBuilder): void {
    for (let left = this.#control.size; left > 0; left--) {
      const stream = this.#control.shift();
      if (stream === undefined) return;
      stream.controlQueued = false;
      if (!stream.control.write(builder)) {
        this.wantControl(stream);
        return;
      }
    }
  }

  // ---- datagrams

  /** Whether some stream has datagrams to send. */
  get hasDatagrams(): boolean {
    return this.#datagrams.some((stream) => !stream.datagrams.empty);
  }

  wantDatagrams(stream: Stream): void {
    if (stream.datagramsQueued) return;
    stream.datagramsQueued = true;
    this.#datagrams.push(stream);
  }

  /** Writes datagrams, the streams in turn by packets. Returns their bytes. */
  writeDatagrams(builder: PacketBuilder): number {
    let bytes = 0;
    for (let stream = this.#datagrams.first; stream !== undefined; stream = this.#datagrams.first) {
      const written = stream.datagrams.empty ? 0 : stream.datagrams.writeTo(builder, stream, stream.id);
      if (written === undefined) break;
      bytes += written;
      this.#datagrams.shift();
      if (stream.datagrams.empty) stream.datagramsQueued = false;
      else this.#datagrams.push(stream);
    }
    return bytes;
  }

  // ---- data

  /** Whether some stream can send, given the session's credit for new bytes. */
  canSend(sessionCredit: number): boolean {
    const can = (stream: Stream) => maySend(stream, sessionCredit);
    return this.#prompt.some(can) || this.#bulk.some(can);
  }

  wantData(stream: Stream): void {
    if (stream.queuedIn === 'none' && stream.sendable) this.#enqueue(stream);
  }

  /** Fills the packet with DATA frames. Returns the credit taken and the bytes written. */
  writeData(builder: PacketBuilder, sessionCredit: number): DataWritten {
    const total = { newBytes: 0, bytes: 0 };
    // A stream is taken only where there is room: one that finds none would lose its turn.
    while (builder.dataRoom > 0) {
      const stream = this.#take(sessionCredit - total.newBytes);
      if (stream === undefined) break;
      const written = stream.writeData(builder, sessionCredit - total.newBytes);
      if (stream.sendable) this.#enqueue(stream);
      if (written === undefined) break;
      total.newBytes += written.newBytes;
      total.bytes += written.bytes;
    }
    return total;
  }

  #enqueue(stream: Stream): void {
    stream.queuedIn = stream.send.prompt ? 'prompt' : 'bulk';
    if (stream.queuedIn === 'prompt') this.#prompt.push(stream);
    else this.#bulk.push(stream);
  }

  /** The next stream that can send something. */
  #take(sessionCredit: number): Stream | undefined {
    const promptFirst = this.#bulk.size === 0 || this.#promptRun < PROMPT_RUN;
    const prompt = promptFirst ? this.#shift(this.#prompt, sessionCredit) : undefined;
    const stream = prompt ?? this.#shift(this.#bulk, sessionCredit) ?? this.#shift(this.#prompt, sessionCredit);
    this.#promptRun = stream !== undefined && stream === prompt ? this.#promptRun + 1 : 0;
    return stream;
  }

  /** The first in `queue` that can send. Those that only lack credit of the session keep their turn. */
  #shift(queue: Fifo<Stream>, sessionCredit: number): Stream | undefined {
    for (let left = queue.size; left > 0; left--) {
      const stream = queue.shift();
      if (stream === undefined) return undefined;
      if (stream.sendable && !maySend(stream, sessionCredit)) {
        queue.push(stream);
        continue;
      }
      stream.queuedIn = 'none';
      if (stream.sendable) return stream;
    }
    return undefined;
  }
}

function maySend(stream: Stream, sessionCredit: number): boolean {
  return stream.sendable && (sessionCredit > 0 || !stream.send.needsCredit);
}
