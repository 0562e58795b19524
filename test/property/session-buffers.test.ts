/** Range sets, send and receive buffers against plain models. */

import fc from 'fast-check';
import t from 'tap';
import { RangeSet } from '../../lib/transport/recovery/ranges.ts';
import { type SentPacket, SentPackets } from '../../lib/transport/recovery/sent-packets.ts';
import { ReceiveBuffer } from '../../lib/transport/streams/receive-buffer.ts';
import { SendBuffer } from '../../lib/transport/streams/send-buffer.ts';
import { monotonic } from '../support/units.ts';

const step = fc.record({ add: fc.boolean(), start: fc.nat(60), length: fc.nat(15) });

t.test('a range set holds what was added to it, and nothing else', async () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const ranges = new RangeSet();
      const model = new Set<number>();
      for (const { add, start, length } of steps) {
        const before = model.size;
        for (let i = start; i < start + length; i++) {
          if (add) model.add(i);
          else model.delete(i);
        }
        const changed = add ? ranges.add(start, start + length) : ranges.remove(start, start + length);
        if (changed !== Math.abs(model.size - before)) throw new Error('wrong count of changes');
        check(ranges, model);
      }
    }),
    { numRuns: 300 },
  );
});

function check(ranges: RangeSet, model: ReadonlySet<number>): void {
  if (ranges.covered !== model.size) throw new Error(`covers ${ranges.covered} of ${model.size}`);
  for (let i = 0; i < 80; i++) if (ranges.has(i) !== model.has(i)) throw new Error(`wrong about ${i}`);
  for (let i = 0; i < ranges.count; i++) {
    if (ranges.endAt(i) <= ranges.startAt(i)) throw new Error('empty range');
    if (i > 0 && ranges.startAt(i) <= ranges.endAt(i - 1)) throw new Error('ranges touch');
  }
  const missing: number[] = [];
  ranges.forEachGap(0, 80, (start, end) => {
    for (let i = start; i < end; i++) missing.push(i);
  });
  if (missing.length !== 80 - model.size || missing.some((i) => model.has(i))) throw new Error('wrong gaps');
}

function bytesAt(offset: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((offset + i) * 7 + ((offset + i) >> 8)) & 0xff);
}

/** What may happen to the piece that was taken `back` takes ago. */
const fate = fc.record({ what: fc.constantFrom('ack', 'lose'), back: fc.nat(8) });
const sending = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), length: fc.integer({ min: 1, max: 9000 }) }),
  fc.record({ kind: fc.constant('take' as const), max: fc.integer({ min: 1, max: 2000 }) }),
  fc.record({ kind: fc.constant('fate' as const), fate }),
);

t.test('a send buffer sends every byte until it is acknowledged, and nothing else', async () => {
  fc.assert(
    fc.property(fc.array(sending, { maxLength: 120 }), (steps) => {
      const buffer = new SendBuffer();
      const flying: { offset: number; length: number; fin: boolean }[] = [];
      let written = 0;
      const take = (max: number) => {
        const piece = buffer.take(max, Number.MAX_SAFE_INTEGER);
        if (piece === undefined) return false;
        const out = new Uint8Array(piece.length);
        buffer.copyTo(piece, out, 0);
        if (Buffer.compare(out, bytesAt(piece.offset, piece.length)) !== 0)
          throw new Error(`wrong bytes at ${piece.offset}`);
        flying.push(piece);
        return true;
      };
      for (const one of steps) {
        if (one.kind === 'write') {
          buffer.write(bytesAt(written, one.length));
          written += one.length;
        } else if (one.kind === 'take') {
          take(one.max);
        } else {
          const [piece] = flying.splice(Math.max(0, flying.length - 1 - one.fate.back), 1);
          if (piece === undefined) continue;
          if (one.fate.what === 'ack') buffer.onAcked(piece.offset, piece.length, piece.fin);
          else buffer.onLost(piece.offset, piece.length, piece.fin);
        }
      }
      buffer.finish();
      for (const piece of flying.splice(0)) buffer.onLost(piece.offset, piece.length, piece.fin);
      let guard = 0;
      while (take(1000)) if (++guard > 10_000) throw new Error('never done sending');
      if (buffer.done && written > 0) throw new Error('done before all is acknowledged');
      for (const piece of flying) buffer.onAcked(piece.offset, piece.length, piece.fin);
      if (!buffer.done) throw new Error(`not done: ${buffer.queuedBytes} queued`);
      if (buffer.sentBytes !== written || buffer.retainedBytes !== 0) throw new Error('wrong final size');
    }),
    { numRuns: 300 },
  );
});

const arrival = fc.record({ from: fc.nat(20_000), length: fc.nat(3000), now: fc.boolean() });

t.test('a receive buffer delivers every byte once and in order', async () => {
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 60 }), fc.nat(20_000), (arrivals, total) => {
      const buffer = new ReceiveBuffer();
      const got: Uint8Array[] = [];
      const drain = () => {
        for (let piece = buffer.drain(); piece !== undefined; piece = buffer.drain()) got.push(piece);
      };
      const take = (start: number, end: number, now: boolean) => {
        const piece = buffer.receive(start, bytesAt(start, end - start), end === total, now);
        if (typeof piece === 'string') throw new Error(piece);
        if (piece !== undefined) got.push(piece);
        if (now) drain();
      };
      for (const { from, length, now } of arrivals) {
        const start = Math.min(from, total);
        take(start, Math.min(total, start + length), now);
      }
      for (let at = 0; at <= total; at += 1500) take(at, Math.min(total, at + 1500), true);
      drain();
      if (!buffer.complete || buffer.heldBytes !== 0) throw new Error('not complete');
      if (Buffer.compare(Buffer.concat(got), bytesAt(0, total)) !== 0) throw new Error('wrong bytes');
    }),
    { numRuns: 200 },
  );
});

t.test('a contradictory final size is a fault', async (t) => {
  const buffer = new ReceiveBuffer();
  buffer.receive(0, bytesAt(0, 10), false, true);
  t.equal(buffer.receive(0, bytesAt(0, 5), true, true), 'final-size');
  t.equal(buffer.receive(10, bytesAt(10, 5), true, true)?.length, 5);
  t.equal(buffer.receive(14, bytesAt(14, 5), false, true), 'final-size');
  t.equal(buffer.finish(14), false);
  t.equal(buffer.finish(15), true);
});

t.test('more holes than there can be are a fault', async (t) => {
  const buffer = new ReceiveBuffer();
  let fault: unknown;
  for (let i = 1; i < 20_000 && fault === undefined; i += 2) fault = buffer.receive(i, bytesAt(i, 1), false, true);
  t.equal(fault, 'ranges');
});

t.test('discarding counts on without keeping', async (t) => {
  const buffer = new ReceiveBuffer();
  buffer.receive(5, bytesAt(5, 5), false, true);
  buffer.discard();
  t.equal(buffer.heldBytes, 0);
  buffer.receive(0, bytesAt(0, 5), false, true);
  t.equal(buffer.deliveredBytes, 10);
  t.equal(buffer.drain(), undefined);
});

const packetSent = (number: number, sentMs: number): SentPacket => ({
  ...{ number, sentMs: monotonic(sentMs), frames: [], delayMs: undefined, fate: 'flying', sentAgain: 'none' },
  ...{ surbsSettled: false, paceRound: undefined },
});

t.test('sent packets that are settled are forgotten after two to four minutes, flying ones never', async (t) => {
  const sent = new SentPackets(1);
  for (let number = 1; number <= 1000; number++) sent.add(packetSent(number, number));
  for (let number = 1; number <= 1000; number++) {
    const packet = sent.get(number);
    if (packet && number !== 400) sent.settle(packet, number % 2 === 0 ? 'acked' : 'lost');
  }
  sent.forgetOld(monotonic(120_000));
  t.equal(sent.get(1)?.fate, 'lost', 'remembered for as long as its acknowledgement may come');
  t.equal(sent.get(2)?.fate, 'acked');
  sent.add(packetSent(1001, 130_000));
  sent.forgetOld(monotonic(239_999));
  t.equal(sent.get(1)?.fate, 'lost');
  sent.forgetOld(monotonic(240_000));
  t.equal(sent.get(1), undefined);
  t.equal(sent.get(399), undefined);
  t.equal(sent.get(400)?.fate, 'flying');
  t.equal(sent.get(402)?.fate, 'acked', 'behind one that flies');
  sent.settle(sent.get(400) as SentPacket, 'acked');
  sent.forgetOld(monotonic(360_000));
  t.equal(sent.get(1000), undefined);
  t.equal(sent.oldestFlying()?.number, 1001);
  sent.settle(sent.get(1001) as SentPacket, 'acked');
  for (let number = 1002; number <= 3000; number++) sent.add(packetSent(number, 400_000));
  t.equal(sent.flying, 1999, 'its ring grows again');
  t.equal(sent.oldestFlying()?.number, 1002);
  t.equal(sent.get(3000)?.number, 3000);
});

t.test('sent packets are found by number, with gaps, over many laps of the ring', async (t) => {
  const sent = new SentPackets(1);
  let number = 1;
  const flying: number[] = [];
  for (let i = 0; i < 30_000; i++) {
    const skipped = i % 7 === 0;
    if (skipped) number++;
    sent.add(packetSent(number, i));
    if (skipped && sent.get(number - 1) !== null) t.fail('a skipped number has a packet');
    flying.push(number);
    number++;
    if (flying.length > 300) {
      const packet = sent.get(flying.shift() as number);
      if (packet) sent.settle(packet, i % 3 === 0 ? 'lost' : 'acked');
      else t.fail('a flying packet was forgotten');
    }
    if (sent.oldestFlying()?.number !== flying[0]) t.fail(`oldest is ${sent.oldestFlying()?.number}, not ${flying[0]}`);
  }
  t.equal(sent.flying, flying.length);
  t.equal(sent.get(number), null, 'a number not used yet');
  t.equal(sent.get(1), undefined, 'a number long forgotten');
});

t.test('a few bytes do not keep their packet in memory, whatever kind of bytes it is', async (t) => {
  for (const packet of [new Uint8Array(2048).fill(7), Buffer.alloc(2048, 7)]) {
    const buffer = new ReceiveBuffer();
    const few = buffer.receive(0, packet.subarray(10, 20), false, true) as Uint8Array;
    t.strictSame([...few], new Array(10).fill(7));
    t.equal(few.buffer.byteLength, 10, 'copied');
    const many = buffer.receive(10, packet.subarray(20, 1020), false, true) as Uint8Array;
    t.equal(many.buffer, packet.buffer, 'a view');
  }
});
