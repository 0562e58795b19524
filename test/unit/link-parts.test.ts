import t from 'tap';
import { Alarm } from '../../lib/alarm.ts';
import { Backoff } from '../../lib/link/backoff.ts';
import { frameShape } from '../../lib/link/framing.ts';
import { decodeHello, encodeHello, HELLO_BYTES } from '../../lib/link/hello.ts';
import { LatenessHistogram } from '../../lib/link/thread/lateness.ts';
import { monotonicMs } from '../../lib/monotonic.ts';
import { clientFrameBytes, PAYLOAD_SIZES, packetBytes } from '../../lib/params.ts';
import { seededRng } from '../support/seeded-rng.ts';

const NETWORK_ID = new Uint8Array(32).fill(3);

t.test('frames and the records they are cut into', async (t) => {
  t.strictSame(frameShape(2413), { frameBytes: 2413, recordBytes: 2413, wireBytes: 2413 });
  t.strictSame(frameShape(16_384), { frameBytes: 16_384, recordBytes: 16_384, wireBytes: 16_384 });
  t.strictSame(frameShape(16_749), { frameBytes: 16_749, recordBytes: 8375, wireBytes: 16_750 });
  t.strictSame(frameShape(33_165), { frameBytes: 33_165, recordBytes: 11_055, wireBytes: 33_165 });
  for (const size of PAYLOAD_SIZES.flatMap((bytes) => [packetBytes(bytes), clientFrameBytes(bytes)])) {
    const { wireBytes, recordBytes } = frameShape(size);
    t.ok(recordBytes <= 16_384 && wireBytes % recordBytes === 0 && wireBytes - size < 3, `${size}`);
  }
});

t.test('hello: byte for byte, and back', async (t) => {
  const terms = { networkId: NETWORK_ID, packetBytes: 2413 };
  t.equal(encodeHello('client', terms).toString('hex'), `4d58534b01010000${'0000098d'}${'03'.repeat(32)}`);
  t.equal(encodeHello('node', terms).byteLength, HELLO_BYTES);
  for (const kind of ['node', 'client'] as const) t.strictSame(decodeHello(encodeHello(kind, terms), terms), { kind });
  t.strictSame(decodeHello(encodeHello('node', terms).subarray(1), terms), { fault: 'bad-hello' });
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

t.test('the lateness histogram', async (t) => {
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

t.test('the alarm counts its orders in 32 bits, and minds neither their wrap nor a stop in between', async (t) => {
  const memory = new SharedArrayBuffer(Alarm.BYTES);
  const alarm = new Alarm(memory, 0);
  new Int32Array(memory)[0] = -1;
  let rings = 0;
  alarm.set(monotonicMs() - 1); // the count is 0 again
  alarm.run(monotonicMs, () => {
    rings += 1;
    alarm.stop();
  });
  t.equal(rings, 1);
  alarm.run(monotonicMs, () => t.fail('it was stopped'));
});

t.test('the alarm rings once for each order, and not before its time', async (t) => {
  const alarm = new Alarm(new SharedArrayBuffer(Alarm.BYTES), 0);
  const early: number[] = [];
  let deadlineMs = monotonicMs() + 5;
  let rings = 0;
  alarm.set(deadlineMs);
  alarm.run(monotonicMs, () => {
    early.push(deadlineMs - monotonicMs());
    rings += 1;
    // In the past, now, and later; then the end.
    deadlineMs = monotonicMs() + (rings % 3) * 2 - 2;
    if (rings === 9) alarm.stop();
    else alarm.set(deadlineMs);
  });
  t.equal(rings, 9);
  t.ok(Math.max(...early) < 0.01, `at most ${Math.max(...early)} ms early: the wait counts whole microseconds`);
});
