/**
 * Writes the frames of one packet into its plaintext and remembers what must be done when the packet is acknowledged
 * or lost. Each method writes one frame, or leaves the packet as it was when there is no space, and returns which. ACK takes
 * the ranges that fit, DATA the bytes that fit; all others are written whole.
 * @module
 */

import { varintBytes, writeVarint } from '../../core/bytes.ts';
import type { MonotonicMs } from '../../core/units.ts';
import { MAX_FRAMES_PER_PACKET, SURB_BYTES } from '../limits.ts';
import type { RangeSet } from '../recovery/ranges.ts';
import type { Piece, SendBuffer } from '../streams/send-buffer.ts';
import { FRAME } from './frames.ts';

/** Learns what became of a frame. */
export interface FrameOwner {
  frameAcked(frame: SentFrame, nowMs: MonotonicMs): void;
  frameLost(frame: SentFrame, nowMs: MonotonicMs): void;
}

/** Owns frames that are not sent again, whatever becomes of them. */
export const NOBODY: FrameOwner = { frameAcked() {}, frameLost() {} };

/** What is remembered of a frame that was sent. */
export interface SentFrame {
  readonly owner: FrameOwner;
  readonly type: number;
  /** DATA: place in the stream; MAX_*: the limit; SURBS: `length` is the number of blocks. */
  readonly offset: number;
  readonly length: number;
  readonly fin: boolean;
}

/** Type, stream, offset and length of a DATA frame at their longest. */
const DATA_HEADER_BYTES = 1 + 8 + 8 + 4;

export class PacketBuilder {
  readonly frames: SentFrame[] = [];
  eliciting = false;
  /** Reply blocks in the packet. */
  surbs = 0;
  #at: number;

  constructor(
    readonly bytes: Uint8Array,
    offset: number,
  ) {
    this.#at = offset;
  }

  get offset(): number {
    return this.#at;
  }

  /** Bytes for further frames: none when there may be no more of them. An ACK, which is not remembered, counts as well. */
  get room(): number {
    return this.frames.length < MAX_FRAMES_PER_PACKET - 1 ? this.bytes.byteLength - this.#at : 0;
  }

  ping(owner: FrameOwner): boolean {
    if (this.room < 1) return false;
    this.#begin(FRAME.PING);
    this.#sent(owner, FRAME.PING);
    return true;
  }

  /** Acknowledges the ranges down to `from`, the highest first, as fit `maxBytes`; ACK frames are not remembered. */
  ack(received: RangeSet, from: number, maxBytes: number): boolean {
    const highest = received.count - 1;
    if (highest < 0) return false;
    const last = received.endAt(highest) - 1;
    let bytes = 1 + varintBytes(last) + 2 + varintBytes(last - received.startAt(highest));
    const budget = Math.min(this.room, maxBytes);
    if (bytes > budget) return false;
    let lowest = highest;
    while (lowest > 0 && received.endAt(lowest - 1) > from) {
      const more = rangeBytes(received, lowest - 1);
      if (bytes + more > budget) break;
      bytes += more;
      lowest--;
    }
    this.#begin(FRAME.ACK);
    this.#varint(last);
    this.#varint(highest - lowest); // ACK Range Count: the ranges after the first (RFC 9000 section 19.3)
    this.#varint(last - received.startAt(highest));
    for (let i = highest - 1; i >= lowest; i--) {
      this.#varint(received.startAt(i + 1) - received.endAt(i) - 1);
      this.#varint(received.endAt(i) - 1 - received.startAt(i));
    }
    return true;
  }

  hello(owner: FrameOwner, version: number, token: Uint8Array, sessionWindow: number, streamWindow: number): boolean {
    if (this.room < 1 + varintBytes(version) + 2 + token.byteLength + 16) return false;
    this.#begin(FRAME.HELLO);
    this.#varint(version);
    this.#bytes(token);
    this.#varint(sessionWindow);
    this.#varint(streamWindow);
    this.#sent(owner, FRAME.HELLO);
    return true;
  }

  open(owner: FrameOwner, stream: number, kind: number, host: Uint8Array, port: number): boolean {
    if (this.room < 1 + 8 + 1 + 2 + host.byteLength + 2) return false;
    this.#begin(FRAME.OPEN);
    this.#varint(stream);
    this.bytes[this.#at++] = kind;
    this.#bytes(host);
    this.#u16(port);
    this.#sent(owner, FRAME.OPEN);
    return true;
  }

  opened(owner: FrameOwner, stream: number, host: Uint8Array, port: number): boolean {
    if (this.room < 1 + 8 + 2 + host.byteLength + 2) return false;
    this.#begin(FRAME.OPENED);
    this.#varint(stream);
    this.#bytes(host);
    this.#u16(port);
    this.#sent(owner, FRAME.OPENED);
    return true;
  }

  refused(owner: FrameOwner, stream: number, reason: number): boolean {
    return this.#numbers(owner, FRAME.REFUSED, stream, reason);
  }

  reset(owner: FrameOwner, stream: number, reason: number, finalSize: number): boolean {
    return this.#numbers(owner, FRAME.RESET, stream, reason, finalSize);
  }

  stop(owner: FrameOwner, stream: number, reason: number): boolean {
    return this.#numbers(owner, FRAME.STOP, stream, reason);
  }

  maxData(owner: FrameOwner, limit: number): boolean {
    return this.#numbers(owner, FRAME.MAX_DATA, limit);
  }

  maxStreamData(owner: FrameOwner, stream: number, limit: number): boolean {
    return this.#numbers(owner, FRAME.MAX_STREAM_DATA, stream, limit);
  }

  rate(owner: FrameOwner, milliPerSecond: number): boolean {
    return this.#numbers(owner, FRAME.RATE, milliPerSecond);
  }

  /** Proof of receipt (docs/PROTOCOL.md section 6.4). */
  challenge(owner: FrameOwner, bytes: Uint8Array): boolean {
    return this.#proof(owner, FRAME.CHALLENGE, bytes);
  }

  response(owner: FrameOwner, bytes: Uint8Array): boolean {
    return this.#proof(owner, FRAME.RESPONSE, bytes);
  }

  close(owner: FrameOwner, reason: number): boolean {
    return this.#numbers(owner, FRAME.CLOSE, reason);
  }

  /** Bytes of a stream that still fit in. */
  get dataRoom(): number {
    return Math.max(0, this.room - DATA_HEADER_BYTES);
  }

  /** One DATA frame with what `buffer` has to send; undefined when there is no room or nothing to send. */
  data(owner: FrameOwner, stream: number, buffer: SendBuffer, creditEnd: number): Piece | undefined {
    if (this.dataRoom === 0) return undefined;
    const piece = buffer.take(this.dataRoom, creditEnd);
    if (piece === undefined) return undefined;
    this.#begin(piece.fin ? FRAME.DATA_FIN : FRAME.DATA);
    this.#varint(stream);
    this.#varint(piece.offset);
    this.#varint(piece.length);
    buffer.copyTo(piece, this.bytes, this.#at);
    this.#at += piece.length;
    this.eliciting = true;
    this.frames.push({ owner, type: FRAME.DATA, offset: piece.offset, length: piece.length, fin: piece.fin });
    return piece;
  }

  datagram(owner: FrameOwner, stream: number, host: Uint8Array, port: number, bytes: Uint8Array): boolean {
    if (this.room < 1 + 8 + 2 + host.byteLength + 2 + 4 + bytes.byteLength) return false;
    this.#begin(FRAME.DATAGRAM);
    this.#varint(stream);
    this.#bytes(host);
    this.#u16(port);
    this.#bytes(bytes);
    this.#sent(owner, FRAME.DATAGRAM);
    return true;
  }

  /** How many reply blocks fit in. */
  get surbRoom(): number {
    return Math.max(0, Math.floor((this.room - SURBS_HEADER_BYTES) / SURB_BYTES));
  }

  replyBlocks(owner: FrameOwner, generation: number, lifeMs: number, blocks: readonly Uint8Array[]): boolean {
    if (blocks.length === 0 || blocks.length > this.surbRoom) return false;
    this.#begin(FRAME.SURBS);
    this.#varint(generation);
    this.#varint(lifeMs);
    this.#varint(blocks.length);
    for (const block of blocks) {
      this.bytes.set(block, this.#at);
      this.#at += SURB_BYTES;
    }
    this.surbs += blocks.length;
    this.eliciting = true;
    this.frames.push({ owner, type: FRAME.SURBS, offset: 0, length: blocks.length, fin: false });
    return true;
  }

  #numbers(owner: FrameOwner, type: number, first: number, second?: number, third?: number): boolean {
    let bytes = 1 + varintBytes(first);
    if (second !== undefined) bytes += varintBytes(second);
    if (third !== undefined) bytes += varintBytes(third);
    if (bytes > this.room) return false;
    this.#begin(type);
    this.#varint(first);
    if (second !== undefined) this.#varint(second);
    if (third !== undefined) this.#varint(third);
    this.#sent(owner, type);
    return true;
  }

  #proof(owner: FrameOwner, type: number, bytes: Uint8Array): boolean {
    if (this.room < 1 + bytes.byteLength) return false;
    this.#begin(type);
    this.bytes.set(bytes, this.#at);
    this.#at += bytes.byteLength;
    this.#sent(owner, type);
    return true;
  }

  #begin(type: number): void {
    this.bytes[this.#at++] = type;
  }

  #sent(owner: FrameOwner, type: number): void {
    if (type !== FRAME.CLOSE) this.eliciting = true;
    this.frames.push({ owner, type, offset: 0, length: 0, fin: false });
  }

  #varint(value: number): void {
    this.#at = writeVarint(this.bytes, this.#at, value);
  }

  #u16(value: number): void {
    this.bytes[this.#at++] = value >>> 8;
    this.bytes[this.#at++] = value & 0xff;
  }

  #bytes(bytes: Uint8Array): void {
    this.#varint(bytes.byteLength);
    this.bytes.set(bytes, this.#at);
    this.#at += bytes.byteLength;
  }
}

/** Type, generation, life and count of a SURBS frame at their usual longest. */
export const SURBS_HEADER_BYTES = 1 + 2 + 4 + 2;

function rangeBytes(received: RangeSet, index: number): number {
  return (
    varintBytes(received.startAt(index + 1) - received.endAt(index) - 1) +
    varintBytes(received.endAt(index) - 1 - received.startAt(index))
  );
}

const encoder = new TextEncoder();

/** The bytes of a host for OPEN, OPENED and DATAGRAM. */
export function hostBytes(host: string): Uint8Array {
  return encoder.encode(host);
}
