/** The credit of a session: streams that nobody reads take nothing from the others, and memory is bounded. */
import fc from 'fast-check';
import t from 'tap';
import { laterMs } from '../../lib/core/units.ts';
import type { SessionLimits } from '../../lib/session/index.ts';
import { DEFAULT_SESSION_LIMITS, proxyLimits, requesterLimits } from '../../lib/transport/limits.ts';
import { LossClock } from '../../lib/transport/recovery/loss-clock.ts';
import { ReceiveStream } from '../../lib/transport/streams/receive-stream.ts';
import { SessionFlow } from '../../lib/transport/streams/session-flow.ts';
import { monotonic } from '../support/units.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const PAYLOAD_BYTES = 2048;
/** Streams carry parts of it: to make zeros anew for each would take most of the time. */
const ZEROS = Buffer.alloc(16 * MIB);
const zeros = (bytes: number) => (bytes <= ZEROS.byteLength ? ZEROS.subarray(0, bytes) : Buffer.alloc(bytes));

/** A session that receives, and the peer's view of it. */
class Receiver {
  readonly flow: SessionFlow;
  readonly streams: { readonly stream: ReceiveStream; sent: number }[] = [];
  nowMs = monotonic(0);

  constructor(readonly limits: SessionLimits) {
    const clock = new LossClock({ delay: { meanDelayMs: 15, mixHops: 3 }, slotGapMs: 20, ackDelayMs: 50 });
    this.flow = new SessionFlow(limits, clock);
  }

  /** What can be in memory at most. */
  get boundBytes(): number {
    const { maxStreams, minStreamWindowBytes, maxSessionWindowBytes, sessionWindowBytes } = this.limits;
    return maxStreams * minStreamWindowBytes + maxSessionWindowBytes + sessionWindowBytes;
  }

  open(): void {
    if (this.streams.length >= this.limits.maxStreams) return;
    const stream = new ReceiveStream(this.flow, this.limits, this.nowMs);
    stream.accept(this.limits.streamWindowBytes);
    this.streams.push({ stream, sent: 0 });
  }

  /** Sends what the stream has credit for, at most `bytes`, and with a hole before it if it is to stay in memory. */
  send(index: number, bytes: number, hole = false): void {
    const entry = this.streams[index % this.streams.length];
    if (entry === undefined || !entry.stream.open) return;
    const length = Math.min(bytes, entry.stream.limit - entry.sent);
    if (length <= 1) return;
    const at = hole ? entry.sent + 1 : entry.sent;
    const grown = entry.stream.receive(at, zeros(entry.sent + length - at), false, true);
    if (grown === 'violation' || !this.flow.onReceived(grown)) throw new Error('a stream with credit was held back');
    if (!hole) entry.sent += length;
    while (entry.stream.next() !== undefined);
    entry.stream.settle();
  }

  consume(index: number, bytes: number): void {
    this.streams[index % this.streams.length]?.stream.consume(bytes, this.nowMs);
  }

  /** Credit of the streams that the peer has not used. */
  get unused(): number {
    return this.streams.reduce((sum, { stream, sent }) => sum + (stream.open ? stream.limit - sent : 0), 0);
  }

  check(): void {
    const { flow } = this;
    if (flow.unreadBytes > this.boundBytes)
      throw new Error(`${flow.unreadBytes} of ${this.boundBytes} bytes in memory`);
    if (flow.limit - flow.consumedBytes > this.boundBytes) throw new Error('more credit than memory');
  }
}

const step = fc.oneof(
  fc.record({ what: fc.constant('open' as const) }),
  fc.record({ what: fc.constant('send' as const), index: fc.nat(40), bytes: fc.nat(300 * KIB), hole: fc.boolean() }),
  fc.record({ what: fc.constant('consume' as const), index: fc.nat(40), bytes: fc.nat(300 * KIB) }),
  fc.record({ what: fc.constant('discard' as const), index: fc.nat(40) }),
  fc.record({ what: fc.constant('wait' as const), ms: fc.nat(2000) }),
);

t.test('whatever is read and not read, no stream with credit is held back, and memory is bounded', async () => {
  const ends = [
    proxyLimits({ maxStreams: 30 }, PAYLOAD_BYTES),
    requesterLimits({ maxStreams: 12, maxSessionWindowBytes: 2 * MIB }, PAYLOAD_BYTES),
  ];
  fc.assert(
    fc.property(fc.constantFrom(...ends), fc.array(step, { maxLength: 400 }), (limits, steps) => {
      const receiver = new Receiver(limits);
      for (let i = 0; i < 4; i++) receiver.open();
      for (const one of steps) {
        if (one.what === 'open') receiver.open();
        else if (one.what === 'send') receiver.send(one.index, one.bytes, one.hole);
        else if (one.what === 'consume') receiver.consume(one.index, one.bytes);
        else if (one.what === 'discard') receiver.streams[one.index % receiver.streams.length]?.stream.discard();
        else receiver.nowMs = laterMs(receiver.nowMs, one.ms);
        receiver.check();
      }
      for (const [i] of receiver.streams.entries()) receiver.send(i, Number.MAX_SAFE_INTEGER);
      receiver.check();
    }),
    { numRuns: 80, seed: 12 },
  );
});

t.test('a peer that uses up all credit it can get is bounded, in each session of either end', async (t) => {
  for (const limits of [proxyLimits({}, PAYLOAD_BYTES), requesterLimits({}, PAYLOAD_BYTES)]) {
    const receiver = new Receiver(limits);
    for (let i = 0; i < limits.maxStreams; i++) {
      receiver.open();
      // The application reads quickly at first: the window grows as far as it can. Then it stops for ever.
      for (let turn = 0; turn < 40; turn++) {
        receiver.nowMs = laterMs(receiver.nowMs, 1);
        receiver.send(i, 8 * MIB);
        receiver.consume(i, 8 * MIB);
      }
      receiver.send(i, 8 * MIB);
      receiver.check();
    }
    t.ok(
      receiver.flow.unreadBytes > limits.maxStreams * limits.minStreamWindowBytes,
      'every stream has its least window',
    );
    t.ok(receiver.flow.unreadBytes <= receiver.boundBytes);
  }
});

t.test('the sums that LIMITS.md names', async (t) => {
  t.equal(new Receiver(proxyLimits({}, PAYLOAD_BYTES)).boundBytes, 33 * MIB);
  t.equal(new Receiver(requesterLimits({}, PAYLOAD_BYTES)).boundBytes, 81 * MIB);
  for (const large of [8192, 32_768]) {
    t.equal(new Receiver(proxyLimits({}, large)).boundBytes, 81 * MIB, `with packets of ${large} bytes`);
    t.equal(new Receiver(requesterLimits({}, large)).boundBytes, 129 * MIB);
  }
  t.equal(DEFAULT_SESSION_LIMITS.minStreamWindowBytes, 64 * KIB);
});

t.test('a requester has no space for a stream when memory is granted already', async (t) => {
  const limits = requesterLimits({ maxStreams: 2, maxSessionWindowBytes: 256 * KIB }, PAYLOAD_BYTES);
  const receiver = new Receiver(limits);
  for (let i = 0; i < 2; i++) receiver.open();
  t.equal(receiver.flow.hasSpace, true);
  new ReceiveStream(receiver.flow, limits, monotonic(0)).accept(limits.streamWindowBytes);
  t.equal(receiver.flow.hasSpace, false);
  receiver.send(0, MIB);
  t.equal(receiver.flow.hasSpace, false, 'parked bytes take no more than their credit');
  receiver.streams[0]?.stream.discard();
  t.equal(receiver.flow.hasSpace, true);
});

t.test('a stream whose end is known counts for no more than it brings', async (t) => {
  const limits = proxyLimits({}, PAYLOAD_BYTES);
  const receiver = new Receiver(limits);
  receiver.open();
  const stream = receiver.streams[0]?.stream as ReceiveStream;
  const before = receiver.flow.allowedWindowBytes({ limit: 0, heldBytes: 0 });
  receiver.flow.onReceived(stream.receive(0, Buffer.alloc(1000), true, false) as number);
  t.ok(receiver.flow.allowedWindowBytes({ limit: 0, heldBytes: 0 }) > before);
  t.equal(receiver.flow.unreadBytes, 1000);
});
