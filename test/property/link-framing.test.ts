import fc from 'fast-check';
import t from 'tap';
import { FrameSplitter } from '../../lib/link/framing.ts';
import { decodeHello, encodeHello } from '../../lib/link/hello.ts';
import { SpscRing } from '../../lib/link/thread/spsc-ring.ts';

t.test('however a stream is cut, the same frames come out', async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.uint8Array({ maxLength: 400 }),
      fc.array(fc.integer({ min: 0, max: 80 }), { maxLength: 60 }),
      (wireBytes, stream, cuts) => {
        const splitter = new FrameSplitter(wireBytes);
        const frames: Buffer[] = [];
        let at = 0;
        for (const length of [...cuts, stream.byteLength]) {
          splitter.push(stream.slice(at, at + length), (frame) => frames.push(frame));
          at = Math.min(stream.byteLength, at + length);
        }
        const whole = Math.floor(stream.byteLength / wireBytes);
        return (
          frames.length === whole &&
          frames.every((frame) => frame.byteLength === wireBytes) &&
          Buffer.concat(frames).equals(stream.subarray(0, whole * wireBytes)) &&
          splitter.pendingBytes === stream.byteLength - whole * wireBytes
        );
      },
    ),
    { numRuns: 500 },
  );
});

t.test('bytes that are no hello are refused, never taken for one', async () => {
  const terms = { networkId: new Uint8Array(32).fill(9), packetBytes: 2413 };
  const good = encodeHello('node', terms);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 43 }), fc.integer({ min: 1, max: 255 }), (offset, flip) => {
      const bytes = Buffer.from(good);
      bytes[offset] = (bytes[offset] ?? 0) ^ flip;
      const [highest = 0, , , lowest = 0] = bytes.subarray(4);
      const widerRange = (offset === 4 && highest > 2) || (offset === 7 && lowest < 2); // version 2 is still in it
      const ignored = offset === 6 || widerRange;
      return 'fault' in decodeHello(bytes, terms) !== ignored;
    }),
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => 'fault' in decodeHello(bytes, terms)));
});

t.test('a ring behaves as a bounded queue', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 7 }), fc.array(fc.boolean(), { maxLength: 200 }), (slots, pushes) => {
      const memory = new SharedArrayBuffer(SpscRing.bytes(slots, 4));
      const [producer, consumer] = [new SpscRing(memory, 0, slots, 4), new SpscRing(memory, 0, slots, 4)];
      const model: number[] = [];
      return pushes.every((push, i) => {
        if (push) {
          const slot = producer.reserve();
          if ((slot === undefined) !== (model.length === slots)) return false;
          slot?.writeUInt32LE(i);
          if (slot !== undefined) producer.commit();
          if (slot !== undefined) model.push(i);
        } else {
          const got = consumer.peek()?.readUInt32LE();
          if (got !== model.shift()) return false;
          if (got !== undefined) consumer.release();
        }
        return producer.room() === slots - model.length && consumer.length() === model.length;
      });
    }),
    { numRuns: 300 },
  );
});
