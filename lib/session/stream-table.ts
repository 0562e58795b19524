/**
 * The streams of a session and whose turn it is to send.
 *
 * Two round robins: streams that have sent little since they were quiet, or that lost something, go first, so that
 * requests and small answers pass bulk transfers; but not more than PROMPT_RUN times in a row while bulk waits.
 * @module
 */
import type { PacketBuilder } from './packet-builder.ts';
import type { Stream } from './stream.ts';

const PROMPT_RUN = 4;

/** A queue in an array, compacted now and then. */
class Fifo<T> {
  #items: T[] = [];
  #first = 0;

  get size(): number {
    return this.#items.length - this.#first;
  }

  get first(): T | undefined {
    return this.#items[this.#first];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#first];
    if (this.size === 0) return undefined;
    this.#first++;
    if (this.#first > 64 && this.#first * 2 > this.#items.length) {
      this.#items.splice(0, this.#first);
      this.#first = 0;
    }
    return item;
  }
}

export class StreamTable {
  readonly #streams = new Map<number, Stream>();
  readonly #prompt = new Fifo<Stream>();
  readonly #bulk = new Fifo<Stream>();
  /** Streams with nothing but new bytes while the session's credit is used up. */
  #parked = new Set<Stream>();
  readonly #control = new Fifo<Stream>();
  readonly #datagrams = new Fifo<Stream>();
  #promptRun = 0;

  get size(): number {
    return this.#streams.size;
  }

  get(id: number): Stream | undefined {
    return this.#streams.get(id);
  }

  add(stream: Stream): void {
    this.#streams.set(stream.id, stream);
  }

  remove(stream: Stream): void {
    this.#streams.delete(stream.id);
  }

  values(): IterableIterator<Stream> {
    return this.#streams.values();
  }

  clear(): void {
    this.#streams.clear();
    this.#parked = new Set();
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
      if (!stream.writeControl(builder)) {
        this.wantControl(stream);
        return;
      }
    }
  }

  // ---- datagrams

  /** Whether some stream has datagrams to send. */
  get hasDatagrams(): boolean {
    for (let stream = this.#datagrams.first; stream !== undefined; stream = this.#datagrams.first) {
      if (stream.hasDatagrams) return true;
      this.#datagrams.shift();
      stream.datagramsQueued = false;
    }
    return false;
  }

  wantDatagrams(stream: Stream): void {
    if (stream.datagramsQueued) return;
    stream.datagramsQueued = true;
    this.#datagrams.push(stream);
  }

  /** Writes datagrams, the streams in turn by packets. Returns their bytes. */
  writeDatagrams(builder: PacketBuilder): number {
    let bytes = 0;
    while (this.hasDatagrams) {
      const stream = this.#datagrams.first;
      const written = stream?.writeDatagrams(builder);
      if (stream === undefined || written === undefined) break;
      bytes += written;
      this.#datagrams.shift();
      if (stream.hasDatagrams) this.#datagrams.push(stream);
      else stream.datagramsQueued = false;
    }
    return bytes;
  }

  // ---- data

  /** Whether some stream can send, given whether the session has credit for new bytes. */
  canSend(sessionCredit: number): boolean {
    if (this.#prompt.size + this.#bulk.size === 0) return false;
    if (sessionCredit > 0) return true;
    this.#park();
    return this.#prompt.size + this.#bulk.size > 0;
  }

  wantData(stream: Stream): void {
    if (stream.place === 'prompt' || stream.place === 'bulk' || !stream.sendable) return;
    this.#enqueue(stream);
  }

  /** The session has new credit: parked streams queue again. */
  unpark(): void {
    const parked = this.#parked;
    this.#parked = new Set();
    for (const stream of parked) {
      if (stream.place !== 'parked') continue;
      stream.place = 'none';
      this.wantData(stream);
    }
  }

  /** Fills the packet with DATA frames. Returns the credit taken and the bytes written. */
  writeData(builder: PacketBuilder, sessionCredit: number): { newBytes: number; bytes: number } {
    const total = { newBytes: 0, bytes: 0 };
    for (;;) {
      const stream = this.#take(sessionCredit - total.newBytes);
      if (stream === undefined) return total;
      const written = stream.writeData(builder, sessionCredit - total.newBytes);
      if (written !== undefined) {
        total.newBytes += written.newBytes;
        total.bytes += written.bytes;
      }
      if (stream.sendable) this.#enqueue(stream);
      if (written === undefined) return total; // no room left
    }
  }

  #enqueue(stream: Stream): void {
    stream.place = stream.prompt ? 'prompt' : 'bulk';
    if (stream.place === 'prompt') this.#prompt.push(stream);
    else this.#bulk.push(stream);
  }

  /** The next stream that can send something. */
  #take(sessionCredit: number): Stream | undefined {
    for (;;) {
      const promptFirst = this.#bulk.size === 0 || this.#promptRun < PROMPT_RUN;
      const fromPrompt = this.#prompt.size > 0 && promptFirst;
      const stream = fromPrompt ? this.#prompt.shift() : this.#bulk.shift();
      if (stream === undefined) return undefined;
      this.#promptRun = fromPrompt ? this.#promptRun + 1 : 0;
      stream.place = 'none';
      if (!stream.sendable) continue;
      if (sessionCredit > 0 || !stream.needsCredit) return stream;
      stream.place = 'parked';
      this.#parked.add(stream);
    }
  }

  /** Parks whatever needs credit, which there is none of. */
  #park(): void {
    for (const queue of [this.#prompt, this.#bulk]) {
      for (let left = queue.size; left > 0; left--) {
        const stream = queue.shift();
        if (stream === undefined) break;
        stream.place = 'none';
        if (!stream.sendable) continue;
        if (stream.needsCredit) {
          stream.place = 'parked';
          this.#parked.add(stream);
        } else {
          this.#enqueue(stream);
        }
      }
    }
  }
}
