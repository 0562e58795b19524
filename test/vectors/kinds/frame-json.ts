/**
 * Frames as JSON, written and read with the product's code.
 * @module
 */
import { z } from 'zod';
import { toHex } from '../../../lib/core/bytes.ts';
import { RangeSet } from '../../../lib/transport/recovery/ranges.ts';
import { SendBuffer } from '../../../lib/transport/streams/send-buffer.ts';
import { FRAME, type Frame } from '../../../lib/transport/wire/frames.ts';
import { hostBytes, NOBODY, type PacketBuilder } from '../../../lib/transport/wire/packet-builder.ts';
import { hex, type Json, pattern } from '../kind.ts';

const number = z.int().min(0);
const stream = { stream: number };
const peer = { host: z.string(), port: z.int().min(0).max(65_535) };
const ranges = z.array(z.tuple([number, number]));

/** One frame; numbers as they are on the wire. ACK ranges are pairs of first and last, the highest pair first. */
export const frameJson = z.discriminatedUnion('frame', [
  z.object({ frame: z.literal('PING') }),
  z.object({ frame: z.literal('ACK'), ranges }),
  z.object({ frame: z.literal('HELLO'), version: number, token: hex(), sessionWindow: number, streamWindow: number }),
  z.object({ frame: z.literal('OPEN'), ...stream, kind: number, ...peer }),
  z.object({ frame: z.literal('OPENED'), ...stream, ...peer }),
  z.object({ frame: z.literal('REFUSED'), ...stream, reason: number }),
  z.object({ frame: z.literal('DATA'), ...stream, offset: number, last: z.boolean(), bytes: hex() }),
  z.object({ frame: z.literal('RESET'), ...stream, reason: number, finalSize: number }),
  z.object({ frame: z.literal('STOP'), ...stream, reason: number }),
  z.object({ frame: z.literal('MAX_DATA'), limit: number }),
  z.object({ frame: z.literal('MAX_STREAM_DATA'), ...stream, limit: number }),
  z.object({ frame: z.literal('DATAGRAM'), ...stream, ...peer, bytes: hex() }),
  z.object({ frame: z.literal('SURBS'), generation: number, lifeMs: number, blocks: z.array(hex(372)) }),
  z.object({ frame: z.literal('RATE'), milliPerSecond: number }),
  z.object({ frame: z.literal('CLOSE'), reason: number }),
  z.object({ frame: z.literal('CHALLENGE'), bytes: hex(8) }),
  z.object({ frame: z.literal('RESPONSE'), bytes: hex(8) }),
]);

export type FrameJson = z.output<typeof frameJson>;

/** Writes a frame; false when it does not fit. */
export function writeFrame(builder: PacketBuilder, one: FrameJson): boolean {
  switch (one.frame) {
    case 'PING':
      return builder.ping(NOBODY);
    case 'ACK':
      return builder.ack(rangeSet(one.ranges), 0, builder.bytes.byteLength);
    case 'HELLO':
      return builder.hello(NOBODY, one.version, one.token, one.sessionWindow, one.streamWindow);
    case 'OPEN':
      return builder.open(NOBODY, one.stream, one.kind, hostBytes(one.host), one.port);
    case 'OPENED':
      return builder.opened(NOBODY, one.stream, hostBytes(one.host), one.port);
    case 'REFUSED':
      return builder.refused(NOBODY, one.stream, one.reason);
    case 'DATA':
      return builder.data(NOBODY, one.stream, bufferAt(one), Number.MAX_SAFE_INTEGER) !== undefined;
    case 'RESET':
      return builder.reset(NOBODY, one.stream, one.reason, one.finalSize);
    case 'STOP':
      return builder.stop(NOBODY, one.stream, one.reason);
    case 'MAX_DATA':
      return builder.maxData(NOBODY, one.limit);
    case 'MAX_STREAM_DATA':
      return builder.maxStreamData(NOBODY, one.stream, one.limit);
    case 'DATAGRAM':
      return builder.datagram(NOBODY, one.stream, hostBytes(one.host), one.port, one.bytes);
    case 'SURBS':
      return builder.replyBlocks(NOBODY, one.generation, one.lifeMs, one.blocks);
    case 'RATE':
      return builder.rate(NOBODY, one.milliPerSecond);
    case 'CLOSE':
      return builder.close(NOBODY, one.reason);
    case 'CHALLENGE':
      return builder.challenge(NOBODY, one.bytes);
    case 'RESPONSE':
      return builder.response(NOBODY, one.bytes);
  }
}

/** The ranges as a receiver holds them. */
export function rangeSet(pairs: readonly (readonly [number, number])[]): RangeSet {
  const received = new RangeSet();
  for (const [first, last] of pairs) received.add(first, last + 1);
  return received;
}

/** A buffer whose next piece is this one. */
function bufferAt({ offset, bytes, last }: FrameJson & { frame: 'DATA' }): SendBuffer {
  const buffer = new SendBuffer();
  buffer.write(pattern(offset));
  if (offset > 0) buffer.take(offset, Number.MAX_SAFE_INTEGER);
  buffer.write(bytes);
  if (last) buffer.finish();
  return buffer;
}

/** The frames of a plaintext, or the sign that it is malformed. */
export function readFrames(frames: readonly Frame[] | undefined): Json {
  return frames === undefined ? 'malformed' : frames.map(frameToJson);
}

const NAMES = new Map(Object.entries(FRAME).map(([name, type]) => [type as number, name]));

function frameToJson(frame: Frame): Json {
  const { type, ...fields } = frame;
  const shown: Record<string, Json> = { frame: NAMES.get(type) ?? String(type) };
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'ranges') shown.ranges = pairsOf(value as readonly number[]);
    else if (name === 'fin') shown.last = value as boolean;
    else if (name === 'blocks') shown.blocks = (value as readonly Uint8Array[]).map((block) => toHex(block));
    else shown[name] = value instanceof Uint8Array ? toHex(value) : (value as Json);
  }
  return shown;
}

function pairsOf(flat: readonly number[]): Json {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i]!, flat[2 * i + 1]!]);
}
