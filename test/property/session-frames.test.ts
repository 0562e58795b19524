/** Frames: what is written is read back; anything else is refused whole, and nothing throws. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { RangeSet } from '../../lib/transport/recovery/ranges.ts';
import { SendBuffer } from '../../lib/transport/streams/send-buffer.ts';
import { decodeFrames, FRAME, type Frame } from '../../lib/transport/wire/frames.ts';
import { type FrameOwner, hostBytes, PacketBuilder } from '../../lib/transport/wire/packet-builder.ts';
import { decodeDownlink, decodeUplink, sessionKeyOf } from '../../lib/transport/wire/payload.ts';

const owner: FrameOwner = { frameAcked() {}, frameLost() {} };
const PAYLOAD_BYTES = 2048;

const varint = fc.oneof(fc.nat(0x3f), fc.nat(0x3fff), fc.nat(0x3fff_ffff), fc.maxSafeNat());
const port = fc.nat(0xffff);
const host = fc.string({ maxLength: 60, unit: 'grapheme' });

/** A frame as the encoder takes it, and what the decoder must give back. */
interface Case {
  readonly write: (builder: PacketBuilder) => boolean;
  readonly expected: Frame;
}

function numbers<Names extends string>(
  names: readonly Names[],
  make: (values: Record<Names, number>) => Case,
): fc.Arbitrary<Case> {
  return fc
    .tuple(...names.map(() => varint))
    .map((values) => make(Object.fromEntries(names.map((name, i) => [name, values[i]])) as Record<Names, number>));
}

const cases: fc.Arbitrary<Case> = fc.oneof(
  fc.constant<Case>({ write: (b) => b.ping(owner), expected: { type: FRAME.PING } }),
  fc.array(fc.tuple(fc.nat(50), fc.nat(50)), { minLength: 1, maxLength: 20 }).map((steps): Case => {
    const received = new RangeSet();
    const ranges: number[] = [];
    let at = 0;
    for (const [gap, length] of steps) {
      const start = at + gap + 1;
      received.add(start, start + length + 1);
      ranges.unshift(start, start + length);
      at = start + length + 1;
    }
    return { write: (b) => b.ack(received, 0, 1000), expected: { type: FRAME.ACK, ranges } };
  }),
  fc.tuple(varint, fc.uint8Array({ maxLength: 255 }), varint, varint).map(
    ([version, token, sessionWindow, streamWindow]): Case => ({
      write: (b) => b.hello(owner, version, token, sessionWindow, streamWindow),
      expected: { type: FRAME.HELLO, version, token, sessionWindow, streamWindow },
    }),
  ),
  fc.tuple(varint, fc.nat(255), host, port).map(
    ([stream, kind, name, portNumber]): Case => ({
      write: (b) => b.open(owner, stream, kind, hostBytes(name), portNumber),
      expected: { type: FRAME.OPEN, stream, kind, host: name, port: portNumber },
    }),
  ),
  fc.tuple(varint, host, port).map(
    ([stream, name, portNumber]): Case => ({
      write: (b) => b.opened(owner, stream, hostBytes(name), portNumber),
      expected: { type: FRAME.OPENED, stream, host: name, port: portNumber },
    }),
  ),
  numbers(['stream', 'reason'], ({ stream, reason }) => ({
    write: (b) => b.refused(owner, stream, reason),
    expected: { type: FRAME.REFUSED, stream, reason },
  })),
  numbers(['stream', 'reason'], ({ stream, reason }) => ({
    write: (b) => b.stop(owner, stream, reason),
    expected: { type: FRAME.STOP, stream, reason },
  })),
  numbers(['stream', 'reason', 'finalSize'], ({ stream, reason, finalSize }) => ({
    write: (b) => b.reset(owner, stream, reason, finalSize),
    expected: { type: FRAME.RESET, stream, reason, finalSize },
  })),
  numbers(['limit'], ({ limit }) => ({
    write: (b) => b.maxData(owner, limit),
    expected: { type: FRAME.MAX_DATA, limit },
  })),
  numbers(['stream', 'limit'], ({ stream, limit }) => ({
    write: (b) => b.maxStreamData(owner, stream, limit),
    expected: { type: FRAME.MAX_STREAM_DATA, stream, limit },
  })),
  numbers(['milliPerSecond'], ({ milliPerSecond }) => ({
    write: (b) => b.rate(owner, milliPerSecond),
    expected: { type: FRAME.RATE, milliPerSecond },
  })),
  numbers(['reason'], ({ reason }) => ({
    write: (b) => b.close(owner, reason),
    expected: { type: FRAME.CLOSE, reason },
  })),
  fc.tuple(varint, fc.uint8Array({ maxLength: 300 }), fc.boolean()).map(([stream, bytes, fin]): Case => {
    const withFin = fin || bytes.byteLength === 0;
    return {
      write: (b) => {
        const buffer = new SendBuffer();
        buffer.write(bytes);
        if (withFin) buffer.finish();
        const roomBefore = b.room;
        const piece = b.data(owner, stream, buffer, Number.MAX_SAFE_INTEGER);
        return piece !== undefined && piece.length === bytes.byteLength && b.room < roomBefore;
      },
      expected: { type: FRAME.DATA, stream, offset: 0, fin: withFin, bytes },
    };
  }),
  fc.tuple(varint, host, port, fc.uint8Array({ maxLength: 500 })).map(
    ([stream, name, portNumber, bytes]): Case => ({
      write: (b) => b.datagram(owner, stream, hostBytes(name), portNumber, bytes),
      expected: { type: FRAME.DATAGRAM, stream, host: name, port: portNumber, bytes },
    }),
  ),
  fc
    .tuple(fc.nat(63), fc.nat(0x3fff_ffff), fc.integer({ min: 1, max: 5 }), fc.nat(255))
    .map(([generation, lifeMs, count, fill]): Case => {
      const blocks = Array.from({ length: count }, (_, i) => new Uint8Array(372).fill((fill + i) % 256));
      return {
        write: (b) => b.replyBlocks(owner, generation, lifeMs, blocks),
        expected: { type: FRAME.SURBS, generation, lifeMs, blocks },
      };
    }),
);

/** Byte fields come back as views of another kind; compare their contents. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, v) => (v instanceof Uint8Array ? Buffer.from(v).toString('hex') : v)));
}

/** Of several ACKs the first: a packet has one at most. */
function withOneAck(list: readonly Case[]): Case[] {
  const first = list.find(({ expected }) => expected.type === FRAME.ACK);
  return list.filter((one) => one.expected.type !== FRAME.ACK || one === first);
}

function packet(list: readonly Case[]): { payload: Uint8Array; written: Case[] } {
  const payload = new Uint8Array(PAYLOAD_BYTES);
  const builder = new PacketBuilder(payload, 3);
  const written: Case[] = [];
  for (const one of list) {
    const before = builder.offset;
    if (one.write(builder)) written.push(one);
    else if (builder.offset !== before) return { payload, written: [] }; // a DATA frame cut short: another test's matter
  }
  return { payload, written };
}

t.test('every frame comes back as it was written', async () => {
  fc.assert(
    fc.property(fc.array(cases, { minLength: 1, maxLength: 12 }), (list) => {
      const { payload, written } = packet(withOneAck(list));
      if (written.length === 0) return;
      assert.deepEqual(plain(decodeFrames(payload, 3)), plain(written.map((one) => one.expected)));
    }),
    { numRuns: 300 },
  );
});

t.test('a frame that does not fit leaves the packet as it was', async () => {
  fc.assert(
    fc.property(cases, fc.nat(40), (one, room) => {
      const payload = new Uint8Array(100);
      const builder = new PacketBuilder(payload, 100 - room);
      const before = builder.offset;
      const fitted = one.write(builder);
      if (!fitted && one.expected.type !== FRAME.DATA && (builder.offset !== before || payload.some((b) => b !== 0))) {
        throw new Error(`type ${one.expected.type} wrote a part of itself`);
      }
    }),
    { numRuns: 500 },
  );
});

t.test('a broken packet is refused whole and never throws', async () => {
  fc.assert(
    fc.property(
      fc.array(cases, { minLength: 1, maxLength: 6 }),
      fc.array(fc.tuple(fc.nat(PAYLOAD_BYTES - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      fc.nat(PAYLOAD_BYTES),
      (list, changes, length) => {
        const { payload } = packet(list);
        for (const [at, value] of changes) payload[at] = value;
        decodeFrames(payload, 3);
        decodeFrames(payload.subarray(0, length), Math.min(3, length));
      },
    ),
    { numRuns: 500 },
  );
});

t.test('garbage is refused and never throws', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2048 }), (bytes) => {
      decodeFrames(bytes, 0);
      decodeUplink(bytes);
      decodeDownlink(bytes);
      sessionKeyOf(bytes);
    }),
    { numRuns: 1000 },
  );
});

t.test('padding must be zero to the end', async (t) => {
  const payload = new Uint8Array(100);
  payload[0] = FRAME.PING;
  t.same(decodeFrames(payload, 0), [{ type: FRAME.PING }]);
  payload[99] = 1;
  t.equal(decodeFrames(payload, 0), undefined);
});

t.test('an unknown frame type is refused', async (t) => {
  t.equal(decodeFrames(Uint8Array.of(0x3f), 0), undefined);
});

t.test('an ACK counts the ranges after its first, and may count none', async (t) => {
  const ranges = (...bytes: number[]) => {
    const [ack] = decodeFrames(Uint8Array.of(FRAME.ACK, ...bytes), 0) ?? [];
    return ack?.type === FRAME.ACK ? ack.ranges : undefined;
  };
  t.same(ranges(5, 0, 0), [5, 5]);
  t.same(ranges(5, 0, 5), [0, 5]);
  t.same(ranges(20, 2, 3, 1, 0, 4, 2), [17, 20, 14, 14, 6, 8]);
  t.same(ranges(9, 1, 0, 7, 0), [9, 9, 0, 0], 'down to zero');
});

t.test('an ACK is written as it is read: with the count of further ranges', async (t) => {
  const received = new RangeSet();
  const builder = new PacketBuilder(new Uint8Array(20), 0);
  received.add(3, 5);
  t.ok(builder.ack(received, 0, 20));
  t.same([...builder.bytes.subarray(0, builder.offset)], [FRAME.ACK, 4, 0, 1]);
  received.add(8, 9);
  received.add(11, 14);
  const several = new PacketBuilder(new Uint8Array(20), 0);
  t.ok(several.ack(received, 0, 20));
  t.same([...several.bytes.subarray(0, several.offset)], [FRAME.ACK, 13, 2, 2, 1, 0, 2, 1]);
});

t.test('an ACK that reaches below zero, or counts more ranges than it has, is refused', async (t) => {
  t.equal(decodeFrames(Uint8Array.of(FRAME.ACK, 5, 0, 6), 0), undefined);
  t.equal(decodeFrames(Uint8Array.of(FRAME.ACK, 5, 1, 0, 4, 0), 0), undefined, 'the gap takes it there');
  t.equal(decodeFrames(Uint8Array.of(FRAME.ACK, 5, 1, 0), 0), undefined, 'one further range, and none follows');
  t.equal(decodeFrames(Uint8Array.of(FRAME.ACK, 5, 1, 0, 0), 0), undefined, 'half a range');
  t.equal(decodeFrames(Uint8Array.of(FRAME.ACK, 5, 9, 0), 0), undefined);
});

t.test('an ACK keeps to its share and names the highest ranges', async (t) => {
  const received = new RangeSet();
  for (let i = 0; i < 500; i++) received.add(3 * i, 3 * i + 1);
  const builder = new PacketBuilder(new Uint8Array(2048), 0);
  t.ok(builder.ack(received, 0, 128));
  t.ok(builder.offset <= 128);
  const frame = decodeFrames(builder.bytes, 0)?.[0];
  t.ok(frame?.type === FRAME.ACK);
  if (frame?.type !== FRAME.ACK) return;
  t.equal(frame.ranges[1], 3 * 499);
  t.ok(frame.ranges.length / 2 > 50);
});
