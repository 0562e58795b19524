/**
 * Carries the datagrams of a UDP association over its stream. One that fits a packet goes as a DATAGRAM frame, which is
 * as unreliable as UDP and as quick; a larger one goes through the stream's bytes as a record (docs/PROTOCOL.md section
 * 8), since of many frames one would always be lost.
 * @module
 */
import { ByteReader, concatBytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { MemoryAccount } from '../core/memory-budget.ts';
import type { SessionStream, StreamHandlers } from '../session/index.ts';

export interface DatagramChannelOptions {
  readonly clock: Clock;
  /** For the part of a record that has come; shed, the channel is closed. */
  readonly memory?: MemoryAccount;
  /** A datagram came, with the far end's address for it: where it shall go (exit), or where it is from (proxy). */
  readonly onDatagram: (host: string, port: number, bytes: Uint8Array) => void;
  /** The far end sent something that is no record; the channel is dead then. */
  readonly onMalformed: () => void;
}

/** More does not fit an IP packet. */
export const MAX_DATAGRAM_BYTES = 65_507;
const MAX_HOST_BYTES = 255;
const LENGTH_BYTES = 4;
const NO_BYTES = new Uint8Array(0);
const MIN_UNREAD_BYTES = 2048;
/** Length of the host, host, port, datagram. */
const MAX_RECORD_BYTES = 1 + MAX_HOST_BYTES + 2 + MAX_DATAGRAM_BYTES;

export class DatagramChannel implements Required<Pick<StreamHandlers, 'onData' | 'onDrain' | 'onDatagram'>> {
  #stream: SessionStream | undefined;
  #room = true;
  /** What has come of the next record, in memory that is larger. */
  #unread = NO_BYTES;
  #unreadBytes = 0;
  #readBytes = 0;
  #dead = false;

  constructor(private readonly options: DatagramChannelOptions) {}

  /** The stream to send through, as soon as there is one. */
  attach(stream: SessionStream): void {
    this.#stream = stream;
  }

  /** False when the datagram is lost: it is no datagram at all, or larger ones are still on their way. */
  send(host: string, port: number, bytes: Uint8Array): boolean {
    const stream = this.#stream;
    if (stream === undefined || bytes.byteLength > MAX_DATAGRAM_BYTES) return false;
    const nowMs = this.options.clock.nowMs();
    if (stream.sendDatagram(host, port, bytes, nowMs)) return true;
    if (!this.#room) return false;
    this.#room = stream.write(encodeRecord(host, port, bytes), nowMs);
    return true;
  }

  onDatagram(host: string, port: number, bytes: Uint8Array): void {
    if (!this.#dead) this.options.onDatagram(host, port, bytes);
  }

  onDrain(): void {
    this.#room = true;
  }

  onData(bytes: Uint8Array): void {
    if (!this.#dead) {
      this.#append(bytes);
      let read = 0;
      for (let length = this.#readRecord(read); length > 0; length = this.#readRecord(read)) read += length;
      this.#readBytes += read;
      this.#keepFrom(read);
      this.options.memory?.set(this.#unread.byteLength, this.#readBytes);
    }
    // What is kept is bounded by one record, so the credit can go back at once; but last, as the next bytes may come
    // from inside this call.
    this.#stream?.consume(bytes.byteLength, this.options.clock.nowMs());
  }

  /** Grows by doubling: a record may come byte by byte, hundreds in a packet. */
  #append(bytes: Uint8Array): void {
    const end = this.#unreadBytes + bytes.byteLength;
    if (end > this.#unread.byteLength) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#unread.byteLength, MIN_UNREAD_BYTES));
      grown.set(this.#unread.subarray(0, this.#unreadBytes));
      this.#unread = grown;
    }
    this.#unread.set(bytes, this.#unreadBytes);
    this.#unreadBytes = end;
  }

  /** Bytes of the whole record at `from`, which is handed on; 0 when there is none. */
  #readRecord(from: number): number {
    if (this.#dead || this.#unreadBytes < from + LENGTH_BYTES) return 0;
    const length = new DataView(this.#unread.buffer).getUint32(from);
    if (length > MAX_RECORD_BYTES) {
      this.#die();
      return 0;
    }
    const end = from + LENGTH_BYTES + length;
    if (this.#unreadBytes < end) return 0;
    const record = this.#unread.slice(from + LENGTH_BYTES, end); // whoever gets it may keep it
    const reader = new ByteReader(record);
    const host = Buffer.from(reader.take(reader.u8())).toString('utf8');
    const port = reader.u16();
    if (reader.failed) {
      this.#die();
      return 0;
    }
    this.options.onDatagram(host, port, record.subarray(reader.offset));
    return end - from;
  }

  #keepFrom(read: number): void {
    if (read === this.#unreadBytes || this.#dead) this.#unread = NO_BYTES;
    else this.#unread.copyWithin(0, read, this.#unreadBytes);
    this.#unreadBytes = this.#unread === NO_BYTES ? 0 : this.#unreadBytes - read;
  }

  /** Takes no more. */
  close(): void {
    this.#dead = true;
    this.#unread = NO_BYTES;
    this.#unreadBytes = 0;
    this.options.memory?.set(0);
  }

  #die(): void {
    this.close();
    this.options.onMalformed();
  }
}

function encodeRecord(host: string, port: number, bytes: Uint8Array): Uint8Array {
  const hostText = Buffer.from(host);
  const head = Buffer.alloc(LENGTH_BYTES + 1 + hostText.byteLength + 2);
  head.writeUInt32BE(head.byteLength - LENGTH_BYTES + bytes.byteLength);
  head[LENGTH_BYTES] = hostText.byteLength;
  hostText.copy(head, LENGTH_BYTES + 1);
  head.writeUInt16BE(port, LENGTH_BYTES + 1 + hostText.byteLength);
  return concatBytes(head, bytes);
}
