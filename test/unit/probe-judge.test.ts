import t from 'tap';
import { exponential } from '../../lib/core/rng.ts';
import { FRAME_RECORD_BYTES, FrameFinder, FrameTimes } from '../../research/probe/frame-times.ts';
import { boundsFor, judge } from '../../research/probe/judge.ts';
import { gapsOf } from '../../research/probe/statistics.ts';
import { seededRng } from '../support/seeded-rng.ts';

const FRAMES = 10_000;
const RATE = 105;

function poisson(seed: number, ratePerSecond = RATE): number[] {
  const rng = seededRng(seed);
  return Array.from({ length: FRAMES }, () => exponential(rng, 1000 / ratePerSecond));
}

const verdict = (gapsMs: readonly number[], resolutionMs = 0, idleGapsMs = poisson(100)) =>
  judge({
    flow: 'proxy departures',
    condition: 'downloading',
    setRate: RATE,
    gapsMs,
    idleGapsMs,
    resolutionMs,
  });

/** Times as a recorder notes them that takes whatever came until `readEveryMs` after it was woken in one read. */
function merged(gapsMs: readonly number[], readAfterMs: number): number[] {
  let nowMs = 0;
  let readMs = 0;
  const noted = gapsMs.map((gap) => {
    nowMs += gap;
    if (nowMs > readMs) readMs = nowMs + readAfterMs;
    return readMs;
  });
  return gapsOf([0, ...noted]);
}

t.test('flows that keep their clocks hold', async (t) => {
  for (const seed of [1, 2, 3]) t.ok(verdict(poisson(seed)).holds, `seed ${seed}`);
});

t.test('a gateway that delivers by its clock holds; one that delivers what comes is rejected', async (t) => {
  const rng = seededRng(20);
  const late = Array.from({ length: FRAMES }, () => rng.uniform());
  const period = late.map((lateMs, i) => 1000 / RATE + lateMs - (late[i - 1] ?? 0));
  const delivered = (gapsMs: readonly number[]) =>
    judge({
      flow: 'proxy arrivals',
      condition: 'downloading',
      setRate: RATE,
      gapsMs,
      idleGapsMs: period,
      resolutionMs: 0,
    });
  t.ok(delivered(period).holds);
  t.notOk(delivered(poisson(21)).holds, 'packets as they come');
  t.notOk(delivered(period.map((gap, i) => (i % 40 === 0 ? 2 * gap : gap))).holds, 'a tick in 40 that is left out');
});

t.test('what broken builds send is rejected', async (t) => {
  const rng = seededRng(9);
  const twins = poisson(4).flatMap((gap) => ((rng.bytes(1)[0] as number) < 64 ? [gap, 0.02] : [gap]));
  t.notOk(verdict(twins).holds, 'a second frame at one tick in four, as departures by load make');
  t.notOk(verdict(twins, 0.5).holds, 'also for a recorder that cannot tell how close the two are');
  t.notOk(verdict(poisson(5, 50)).holds, 'idle slots that go elsewhere');
  t.notOk(verdict(poisson(6, RATE * 0.92)).holds, 'clocks that slow down under load by a twelfth');
  t.notOk(verdict(poisson(7).map((gap, i) => gap * (i % 40 < 4 ? 0.4 : 1.066))).holds, 'bursts of four');
  const late = poisson(8).map((gap) => (gap < 2 ? gap / 4 : gap + 0.31));
  t.notOk(verdict(late).holds, 'departures that wait for one another');
});

t.test("a recorder's own error is not held against the flow, and hides little", async (t) => {
  const noted = merged(poisson(10), 0.4);
  const row = verdict(noted, 0.4, merged(poisson(101), 0.4));
  t.ok(row.rawDistance > 0.03, `${row.rawDistance}: frames taken in one read seem to leave together`);
  t.ok(row.holds, `${row.distance} where it can tell`);
});

t.test('few frames are given the room of chance, many are not', async (t) => {
  t.strictSame(boundsFor(10_000), { maxDistance: 0.02, minP: 0.001, maxCorrelation: 0.033 });
  t.equal(boundsFor(1_000_000).maxDistance, 0.02);
  t.equal(boundsFor(1_000_000).maxCorrelation, 0.03);
  t.ok(boundsFor(400).maxDistance < 0.1);
});

t.test('frames are found in a stream however it is cut, and nothing else is', async (t) => {
  const record = (bytes: number) => {
    const record = Buffer.alloc(5 + bytes, 0x17);
    record.writeUInt16BE(bytes, 3);
    return record;
  };
  const stream = Buffer.concat([100, FRAME_RECORD_BYTES, 1, FRAME_RECORD_BYTES].map(record));
  for (const step of [1, 3, 4, 1000, stream.byteLength]) {
    const times = new FrameTimes();
    const finder = new FrameFinder(times);
    for (let at = 0; at < stream.byteLength; at += step) {
      finder.push(stream.subarray(at, at + step), Math.min(at + step, stream.byteLength));
    }
    const ends = [5 + 100 + 5 + FRAME_RECORD_BYTES, stream.byteLength];
    const seen = ends.map((end) => Math.min(Math.ceil(end / step) * step, stream.byteLength));
    t.strictSame(times.slice(0), seen, `steps of ${step}: a frame has passed with its last byte`);
  }
});
