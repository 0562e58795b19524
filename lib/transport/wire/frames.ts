/**
 * The frames of the transport and their strict decoding (docs/PROTOCOL.md section 6). A payload decodes as a whole
 * or not at all; bytes fields are views of the payload.
 * @module
 */
import { asBuffer, ByteReader } from '../../core/bytes.ts';
import { CHALLENGE_BYTES, MAX_FRAMES_PER_PACKET, MAX_HOST_BYTES, MAX_TOKEN_BYTES, SURB_BYTES } from '../limits.ts';

export const FRAME = {
  PADDING: 0x00,
  PING: 0x01,
  ACK: 0x02,
  HELLO: 0x03,
  OPEN: 0x04,
  OPENED: 0x05,
  REFUSED: 0x06,
  DATA: 0x08,
  DATA_FIN: 0x09,
  RESET: 0x0a,
  STOP: 0x0b,
  MAX_DATA: 0x0c,
  MAX_STREAM_DATA: 0x0d,
  DATAGRAM: 0x0e,
  SURBS: 0x0f,
  RATE: 0x10,
  CLOSE: 0x11,
  CHALLENGE: 0x12,
  RESPONSE: 0x13,
} as const;

export interface PingFrame {
  readonly type: typeof FRAME.PING;
}

export interface AckFrame {
  readonly type: typeof FRAME.ACK;
  /** Pairs of first and last number, both inclusive, highest pair first. */
  readonly ranges: readonly number[];
}

export interface HelloFrame {
  readonly type: typeof FRAME.HELLO;
  readonly version: number;
  readonly token: Uint8Array;
  readonly sessionWindow: number;
  readonly streamWindow: number;
}

export interface OpenFrame {
  readonly type: typeof FRAME.OPEN;
  readonly stream: number;
  readonly kind: number;
  readonly host: string;
  readonly port: number;
}

export interface OpenedFrame {
  readonly type: typeof FRAME.OPENED;
  readonly stream: number;
  readonly host: string;
  readonly port: number;
}

export interface DataFrame {
  readonly type: typeof FRAME.DATA;
  readonly stream: number;
  readonly offset: number;
  readonly fin: boolean;
  readonly bytes: Uint8Array;
}

export interface ResetFrame {
  readonly type: typeof FRAME.RESET;
  readonly stream: number;
  readonly reason: number;
  readonly finalSize: number;
}

export interface RefusedOrStopFrame {
  readonly type: typeof FRAME.REFUSED | typeof FRAME.STOP;
  readonly stream: number;
  readonly reason: number;
}

export interface MaxDataFrame {
  readonly type: typeof FRAME.MAX_DATA;
  readonly limit: number;
}

export interface MaxStreamDataFrame {
  readonly type: typeof FRAME.MAX_STREAM_DATA;
  readonly stream: number;
  readonly limit: number;
}

export interface DatagramFrame {
  readonly type: typeof FRAME.DATAGRAM;
  readonly stream: number;
  readonly host: string;
  readonly port: number;
  readonly bytes: Uint8Array;
}

export interface SurbsFrame {
  readonly type: typeof FRAME.SURBS;
  readonly generation: number;
  readonly lifeMs: number;
  readonly blocks: readonly Uint8Array[];
}

export interface RateFrame {
  readonly type: typeof FRAME.RATE;
  readonly milliPerSecond: number;
}

export interface CloseFrame {
  readonly type: typeof FRAME.CLOSE;
  readonly reason: number;
}

/** Proof of receipt: the requester's bytes, and the proxy's echo. */
export interface ProofFrame {
  readonly type: typeof FRAME.CHALLENGE | typeof FRAME.RESPONSE;
  readonly bytes: Uint8Array;
}

/** A frame that concerns one stream, and must reach it. */
export type StreamFrame = OpenFrame | OpenedFrame | DataFrame | ResetFrame | RefusedOrStopFrame | MaxStreamDataFrame;

export type Frame =
  | StreamFrame
  | PingFrame
  | AckFrame
  | HelloFrame
  | MaxDataFrame
  | DatagramFrame
  | SurbsFrame
  | RateFrame
  | CloseFrame
  | ProofFrame;

/** Whether a frame asks for an acknowledgement of the packet it is in. */
export function isEliciting(type: number): boolean {
  return type !== FRAME.PADDING && type !== FRAME.ACK && type !== FRAME.CLOSE;
}

/**
 * All frames from `offset` to the end of `payload`, or undefined if anything is wrong with any of them. One ACK says all that there is to
 * say: hundreds in a packet would each be compared with thousands of packets that were sent. Of others there is a bound, which counts
 * in large packets only.
 */
export function decodeFrames(payload: Uint8Array, offset: number): Frame[] | undefined {
  const reader = new ByteReader(payload);
  reader.offset = offset;
  const frames: Frame[] = [];
  let acks = 0;
  while (reader.left > 0) {
    const type = reader.u8();
    if (type === FRAME.PADDING) return allZero(payload, reader.offset) ? frames : undefined;
    const frame = decodeFrame(type, reader);
    if (frame === undefined || reader.failed) return undefined;
    if (type === FRAME.ACK && ++acks > 1) return undefined;
    if (frames.push(frame) > MAX_FRAMES_PER_PACKET) return undefined;
  }
  return frames;
}

const ZEROS = Buffer.alloc(4096);

function allZero(payload: Uint8Array, offset: number): boolean {
  const buffer = asBuffer(payload);
  for (let at = offset; at < buffer.byteLength; at += ZEROS.byteLength) {
    const end = Math.min(buffer.byteLength, at + ZEROS.byteLength);
    if (buffer.compare(ZEROS, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}

function decodeFrame(type: number, reader: ByteReader): Frame | undefined {
  switch (type) {
    case FRAME.PING:
      return { type };
    case FRAME.ACK:
      return decodeAck(reader);
    case FRAME.HELLO:
      return decodeHello(reader);
    case FRAME.OPEN:
      return decodeOpen(reader);
    case FRAME.OPENED:
      return decodeOpened(reader);
    case FRAME.REFUSED:
    case FRAME.STOP:
      return { type, stream: reader.varint(), reason: reader.varint() };
    case FRAME.DATA:
    case FRAME.DATA_FIN:
      return decodeData(reader, type === FRAME.DATA_FIN);
    case FRAME.RESET:
      return { type, stream: reader.varint(), reason: reader.varint(), finalSize: reader.varint() };
    case FRAME.MAX_DATA:
      return { type, limit: reader.varint() };
    case FRAME.MAX_STREAM_DATA:
      return { type, stream: reader.varint(), limit: reader.varint() };
    case FRAME.DATAGRAM:
      return decodeDatagram(reader);
    case FRAME.SURBS:
      return decodeSurbs(reader);
    case FRAME.RATE:
      return { type, milliPerSecond: reader.varint() };
    case FRAME.CLOSE:
      return { type, reason: reader.varint() };
    case FRAME.CHALLENGE:
    case FRAME.RESPONSE:
      return { type, bytes: reader.take(CHALLENGE_BYTES) };
    default:
      return undefined;
  }
}

/** RFC 9000 section 19.3, without the delay: the count is that of the ranges after the first. */
function decodeAck(reader: ByteReader): Frame | undefined {
  let last = reader.varint();
  const furtherRanges = reader.varint();
  let first = last - reader.varint();
  // Every further range takes two bytes at least: a count beyond that cannot be true.
  if (2 * furtherRanges > reader.left) return undefined;
  const ranges = [first, last];
  for (let i = 0; i < furtherRanges; i++) {
    last = first - 2 - reader.varint();
    first = last - reader.varint();
    ranges.push(first, last);
  }
  return reader.failed || first < 0 ? undefined : { type: FRAME.ACK, ranges };
}

function decodeHello(reader: ByteReader): Frame | undefined {
  const version = reader.varint();
  const token = decodeBytes(reader, MAX_TOKEN_BYTES);
  if (token === undefined) return undefined;
  return { type: FRAME.HELLO, version, token, sessionWindow: reader.varint(), streamWindow: reader.varint() };
}

function decodeOpen(reader: ByteReader): Frame | undefined {
  const stream = reader.varint();
  const kind = reader.u8();
  const host = decodeText(reader);
  return host === undefined ? undefined : { type: FRAME.OPEN, stream, kind, host, port: reader.u16() };
}

function decodeOpened(reader: ByteReader): Frame | undefined {
  const stream = reader.varint();
  const host = decodeText(reader);
  return host === undefined ? undefined : { type: FRAME.OPENED, stream, host, port: reader.u16() };
}

function decodeData(reader: ByteReader, fin: boolean): Frame | undefined {
  const stream = reader.varint();
  const offset = reader.varint();
  const bytes = decodeBytes(reader, reader.left);
  if (bytes === undefined || offset + bytes.byteLength > Number.MAX_SAFE_INTEGER) return undefined;
  return { type: FRAME.DATA, stream, offset, fin, bytes };
}

function decodeDatagram(reader: ByteReader): Frame | undefined {
  const stream = reader.varint();
  const host = decodeText(reader);
  if (host === undefined) return undefined;
  const port = reader.u16();
  const bytes = decodeBytes(reader, reader.left);
  return bytes === undefined ? undefined : { type: FRAME.DATAGRAM, stream, host, port, bytes };
}

function decodeSurbs(reader: ByteReader): Frame | undefined {
  const generation = reader.varint();
  const lifeMs = reader.varint();
  const count = reader.varint();
  if (count === 0 || count * SURB_BYTES > reader.left) return undefined;
  const blocks: Uint8Array[] = [];
  for (let i = 0; i < count; i++) blocks.push(reader.take(SURB_BYTES));
  return { type: FRAME.SURBS, generation, lifeMs, blocks };
}

function decodeBytes(reader: ByteReader, maxBytes: number): Uint8Array | undefined {
  const length = reader.varint();
  if (length > maxBytes || length > reader.left) return undefined;
  return reader.take(length);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeText(reader: ByteReader): string | undefined {
  const bytes = decodeBytes(reader, MAX_HOST_BYTES);
  if (bytes === undefined) return undefined;
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
