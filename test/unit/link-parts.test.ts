import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import t from 'tap';
import { clientFrameBytes, PAYLOAD_SIZES, packetBytes } from '../../lib/core/params.ts';
import { Backoff } from '../../lib/link/backoff.ts';
import { FrameSocket } from '../../lib/link/frame-socket.ts';
import { frameShape } from '../../lib/link/framing.ts';
import { decodeHello, encodeHello, HELLO_BYTES } from '../../lib/link/hello.ts';
import { LatenessHistogram } from '../../lib/link/thread/lateness.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const NETWORK_ID = new Uint8Array(32).fill(3);

t.test('frames come back whole from the records they are cut into', async (t) => {
  t.strictSame(frameShape(2413), { frameBytes: 2413, recordBytes: 2413, wireBytes: 2413 });
  t.strictSame(frameShape(16_384), { frameBytes: 16_384, recordBytes: 16_384, wireBytes: 16_384 });
  t.strictSame(frameShape(16_749), { frameBytes: 16_749, recordBytes: 8375, wireBytes: 16_750 });
  t.strictSame(frameShape(33_165), { frameBytes: 33_165, recordBytes: 11_055, wireBytes: 33_165 });
  for (const size of PAYLOAD_SIZES.flatMap((bytes) => [packetBytes(bytes), clientFrameBytes(bytes)])) {
    const { wireBytes, recordBytes } = frameShape(size);
    t.ok(recordBytes <= 16_384 && wireBytes % recordBytes === 0 && wireBytes - size < 3, `${size}`);
  }
});

t.test('a hello is written byte for byte and read back', async (t) => {
  const terms = { networkId: NETWORK_ID, packetBytes: 2413 };
  const client = { trafficClass: 'standard', clocked: true };
  const start = `4d58534b02010002${'0000098d'}${'03'.repeat(32)}`;
  const rest = `0108${Buffer.from('standard').toString('hex')}${'00'.repeat(56)}`;
  t.equal(encodeHello('client', terms, client).toString('hex'), start + rest);
  t.strictSame(decodeHello(encodeHello('client', terms, client), terms), { kind: 'client', version: 2, client });
  t.equal(encodeHello('node', terms).byteLength, HELLO_BYTES);
  for (const kind of ['node', 'client'] as const) {
    t.strictSame(decodeHello(encodeHello(kind, terms), terms), { kind, version: 2 });
  }
  t.strictSame(decodeHello(encodeHello('node', terms).subarray(1), terms), { fault: 'bad-hello' });
});

t.test('of two ranges of versions both ends take the highest that is in both', async (t) => {
  const terms = (lowest: number, highest: number) => ({
    ...{ networkId: NETWORK_ID, packetBytes: 2413 },
    versions: { lowest, highest },
  });
  const cases: [ours: [number, number], theirs: [number, number], expected: number | undefined][] = [
    [[2, 2], [2, 2], 2],
    [[2, 2], [2, 3], 2],
    [[2, 3], [2, 3], 3],
    [[2, 4], [3, 9], 4],
    [[2, 3], [1, 255], 3],
    [[2, 2], [3, 4], undefined],
    [[4, 5], [2, 3], undefined],
  ];
  for (const [ours, theirs, expected] of cases) {
    const answer = expected === undefined ? { fault: 'wrong-version' } : { kind: 'node', version: expected };
    for (const [here, there] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      t.strictSame(decodeHello(encodeHello('node', terms(...there)), terms(...here)), answer, `${here} and ${there}`);
    }
  }
  const [turned, old] = [encodeHello('node', terms(3, 2)), encodeHello('node', terms(0, 2))];
  t.strictSame(decodeHello(turned, terms(2, 2)), { fault: 'bad-hello' }, 'a range that begins behind its end');
  t.strictSame(decodeHello(old, terms(2, 3)), { kind: 'node', version: 2 }, 'who names no lowest speaks one');
  t.strictSame(decodeHello(encodeHello('node', terms(0, 0)), terms(2, 3)), { fault: 'wrong-version' });
});

t.test('backoff: full jitter under a bound that doubles to a cap', async (t) => {
  const highest = { ...seededRng(1), uniform: () => 0.999999 };
  const backoff = new Backoff(highest, 200, 5000);
  const bounds = Array.from({ length: 7 }, () => Math.round(backoff.nextMs()));
  t.strictSame(bounds, [200, 400, 800, 1600, 3200, 5000, 5000]);
  backoff.ended(9_999);
  t.equal(Math.round(backoff.nextMs()), 5000, 'a link that does not last is another failure');
  backoff.ended(10_000);
  t.equal(Math.round(backoff.nextMs()), 200);
  t.equal(backoff.failures, 1);

  const jittered = new Backoff(seededRng(7), 1000, 1000);
  const delays = Array.from({ length: 2000 }, () => jittered.nextMs());
  const mean = delays.reduce((sum, value) => sum + value, 0) / delays.length;
  t.ok(Math.min(...delays) < 20 && Math.max(...delays) > 980 && Math.abs(mean - 500) < 25, `mean ${mean}`);
});

t.test('the lateness histogram gives count, quantiles and maximum', async (t) => {
  const memory = new SharedArrayBuffer(64 + LatenessHistogram.BYTES);
  const histogram = new LatenessHistogram(memory, 64);
  t.match(histogram.snapshot(), { count: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 });
  for (let i = 0; i < 98; i++) histogram.record(0.1);
  histogram.record(1);
  histogram.record(7);
  const { count, p50Ms, p99Ms, maxMs, counts, upperMs } = new LatenessHistogram(memory, 64).snapshot();
  t.equal(count, 100);
  t.ok(p50Ms >= 0.1 && p50Ms < 0.119, `p50 ${p50Ms}`);
  t.ok(p99Ms >= 1 && p99Ms < 1.19, `p99 ${p99Ms}`);
  t.equal(maxMs, 7);
  t.equal(counts.length, upperMs.length);
  t.equal(upperMs.at(-1), Number.POSITIVE_INFINITY);
  for (const extreme of [0, 1e-9, 99, 1e6]) histogram.record(extreme);
  t.equal(histogram.snapshot().count, 104);
  t.equal(histogram.snapshot().p99Ms <= 1e6, true);
});

/** The socket below a link, which notes what is written to it. */
class Written extends EventEmitter {
  readonly log: string[] = [];
  readonly done: (() => void)[] = [];
  setMaxSendFragment(): void {}

  write(bytes: Uint8Array, onWritten: () => void): void {
    this.log.push(Buffer.from(bytes).toString('latin1'));
    this.done.push(onWritten);
  }

  destroy(): void {
    this.log.push('destroyed');
  }

  destroySoon(): void {
    this.log.push('ended');
  }
}

function frameSocket() {
  const socket = new Written();
  const frames = new FrameSocket({
    socket: socket as unknown as TLSSocket,
    shape: { frameBytes: 3, wireBytes: 3, recordBytes: 3 },
    clock: new VirtualClock(),
    queueFrames: 5,
    stallTimeoutMs: 1000,
    onFrame: () => {},
    onClose: () => {},
  });
  return { frames, socket, send: (text: string) => frames.send(Buffer.from(text)) };
}

t.test('frames of a turn are one write in their order, and count as queued until it is done', async (t) => {
  const { frames, socket, send } = frameSocket();
  for (const text of ['one', 'two', 'six']) t.equal(send(text), 'sent');
  t.strictSame(socket.log, [], 'nothing before the end of the turn');
  await turn();
  t.strictSame(socket.log, ['onetwosix']);
  send('ten');
  await turn();
  t.strictSame(socket.log, ['onetwosix', 'ten']);
  t.equal(frames.queued, 4);
  t.equal(send('now'), 'sent');
  t.equal(send('far'), 'link-queue-full');
  socket.done[0]?.();
  t.equal(frames.queued, 2);
});

t.test('a link that is closed sends the frames of its last turn first; one that broke sends none', async (t) => {
  const closed = frameSocket();
  closed.send('one');
  closed.frames.close('closed');
  await turn();
  t.strictSame(closed.socket.log, ['one', 'ended']);
  const broken = frameSocket();
  broken.send('one');
  broken.socket.emit('close');
  await turn();
  t.strictSame(broken.socket.log, ['destroyed']);
  t.equal(broken.send('two'), 'link-down');
});
