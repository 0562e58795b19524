/**
 * Vectors of sessions and streams: varints, frames, ACK, plaintexts, life of reply blocks, look-ups, large datagrams
 * (docs/PROTOCOL.md sections 6 and 8).
 * @module
 */
import { z } from 'zod';
import { ByteReader, toHex, varintBytes, writeVarint } from '../../../lib/core/bytes.ts';
import { systemClock } from '../../../lib/core/clock.ts';
import { DEFAULT_PARAMS, surbLifeMs } from '../../../lib/core/params.ts';
import { decodeAnswer, encodeAnswer } from '../../../lib/net/resolve-answer.ts';
import { DatagramChannel } from '../../../lib/relay/datagram-channel.ts';
import type { SessionStream } from '../../../lib/transport/types.ts';
import { decodeFrames } from '../../../lib/transport/wire/frames.ts';
import { PacketBuilder } from '../../../lib/transport/wire/packet-builder.ts';
import { beginDownlink, beginUplink, decodeDownlink, decodeUplink } from '../../../lib/transport/wire/payload.ts';
import { expectSame, hex, type Json, vectorKind } from '../kind.ts';
import { type FrameJson, frameJson, rangeSet, readFrames, writeFrame } from './frame-json.ts';
import * as samples from './session-samples.ts';

const number = z.int().min(0);
const account = z.object({ received: number, used: number, expired: number, evicted: number, demand: number });
const frames = z.array(frameJson);

function writeAll(builder: PacketBuilder, list: readonly FrameJson[]): void {
  for (const one of list) if (!writeFrame(builder, one)) throw new Error(`${one.frame} does not fit`);
}

/** A plaintext without the zeros at its end, which all of them have. */
function shown(bytes: Uint8Array): Json {
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  return { bytes: bytes.byteLength, withoutZerosAtEnd: toHex(bytes.subarray(0, end)) };
}

export const sessionKinds = [
  vectorKind(
    'varint',
    z.object({ value: number }),
    (_crypto, { value }) => {
      const bytes = new Uint8Array(varintBytes(value));
      writeVarint(bytes, 0, value);
      expectSame(new ByteReader(bytes).varint(), value);
      return { bytes: toHex(bytes) };
    },
    samples.VARINTS,
  ),

  vectorKind(
    'read-varint',
    z.object({ bytes: hex() }),
    (_crypto, { bytes }) => {
      const reader = new ByteReader(bytes);
      const value = reader.varint();
      return reader.failed ? 'malformed' : { value };
    },
    samples.READ_VARINTS,
  ),

  vectorKind(
    'ack',
    z.object({ ranges: z.array(z.tuple([number, number])) }),
    (_crypto, { ranges }) => {
      const builder = new PacketBuilder(new Uint8Array(2048), 0);
      builder.ack(rangeSet(ranges), 0, 2048);
      expectSame(readFrames(decodeFrames(builder.bytes, 0)), [{ frame: 'ACK', ranges }]);
      return { bytes: toHex(builder.bytes.subarray(0, builder.offset)) };
    },
    samples.ACKS,
  ),

  vectorKind(
    'read-frames',
    z.object({ bytes: hex() }),
    (_crypto, { bytes }) => readFrames(decodeFrames(bytes, 0)),
    samples.READ_FRAMES,
  ),

  vectorKind(
    'to-requester',
    z.object({ payloadBytes: z.int(), sessionId: hex(16), number, frames }),
    (_crypto, input) => {
      const builder = beginUplink(input.payloadBytes, input.sessionId, input.number);
      writeAll(builder, input.frames);
      const read = decodeUplink(builder.bytes);
      expectSame([read?.number, read?.frames.length], [input.number, input.frames.length]);
      return shown(builder.bytes);
    },
    samples.TO_REQUESTER,
  ),

  vectorKind(
    'to-proxy',
    z.object({ payloadBytes: z.int(), number, account, frames }),
    (_crypto, input) => {
      const { demand, ...counts } = input.account;
      const builder = beginDownlink(input.payloadBytes, input.number, { ...counts, demandBytes: demand });
      writeAll(builder, input.frames);
      const read = decodeDownlink(builder.bytes);
      expectSame(
        [read?.number, read?.frames.length, read?.account.demandBytes],
        [input.number, input.frames.length, demand],
      );
      return shown(builder.bytes);
    },
    samples.TO_PROXY,
  ),

  vectorKind(
    'surb-life',
    z.object({ epochMs: number, maxDelayMs: z.number() }),
    (_crypto, { epochMs, maxDelayMs }) => ({
      lifeMs: Math.floor(surbLifeMs({ ...DEFAULT_PARAMS, epochMs, maxDelayMs })),
    }),
    samples.SURB_LIVES,
  ),

  vectorKind(
    'look-up',
    z.object({ addresses: z.array(z.string()), names: z.array(z.string()) }),
    (_crypto, answer) => {
      const message = encodeAnswer(answer);
      expectSame(decodeAnswer(message), answer);
      return { message: toHex(message) };
    },
    samples.LOOK_UPS,
  ),

  vectorKind(
    'large-datagram',
    z.object({ host: z.string(), port: z.int(), bytes: hex() }),
    (_crypto, { host, port, bytes }) => {
      let record = new Uint8Array(0);
      const read: unknown[] = [];
      const channel = new DatagramChannel({
        clock: systemClock,
        onDatagram: (...datagram) => read.push(datagram),
        onMalformed: () => read.push('malformed'),
      });
      const write = (written: Uint8Array) => {
        record = new Uint8Array(written);
        return true;
      };
      channel.attach({ sendDatagram: () => false, write, consume() {} } as unknown as SessionStream);
      channel.send(host, port, bytes);
      channel.onData(record);
      expectSame(JSON.stringify(read), JSON.stringify([[host, port, bytes]]));
      return { record: toHex(record) };
    },
    samples.LARGE_DATAGRAMS,
  ),
];
