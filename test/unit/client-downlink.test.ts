import t from 'tap';
import { lawTimes } from '../../lib/core/delay-law.ts';
import { Downlink } from '../../lib/endpoint/downlink.ts';
import { DownlinkWatch, EXCUSED_MS } from '../../lib/endpoint/downlink-watch.ts';
import { HealthReports } from '../../lib/endpoint/health/health-reports.ts';
import { PathHealth } from '../../lib/endpoint/health/path-health.ts';
import { EndpointMetrics } from '../../lib/endpoint/metrics.ts';
import type { ClientLinkStats } from '../../lib/link/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { monotonic } from '../support/units.ts';

const RATE = 132;
const STEP_MS = 250;

interface Second {
  /** Frames per second of each kind. */
  readonly padding: number;
  readonly replies: number;
  readonly foreign?: number;
}

/** A gateway that sends as `at` says; what the watch finds in each review. */
function watched(at: (ms: number) => Second, seconds: number, watch = new DownlinkWatch()) {
  const counts = { padding: 0, packets: 0, recognised: 0 };
  const slowMs: number[] = [];
  const floodedMs: number[] = [];
  for (let ms = 0; ms < seconds * 1000; ms += STEP_MS) {
    const { padding, replies, foreign = 0 } = at(ms);
    counts.padding += (padding * STEP_MS) / 1000;
    counts.packets += ((replies + foreign) * STEP_MS) / 1000;
    counts.recognised += (replies * STEP_MS) / 1000;
    const sinceMs = watch.review({ ...counts }, RATE, monotonic(ms));
    if (sinceMs !== undefined) floodedMs.push(ms);
    if (watch.isSlow) slowMs.push(ms);
  }
  return { slowMs, floodedMs, measured: watch.measured };
}

const HEALTHY: Second = { padding: 27, replies: 105 };

t.test('a gateway that keeps its clock is in order', async (t) => {
  const { slowMs, floodedMs, measured } = watched(() => HEALTHY, 120);
  t.strictSame([slowMs, floodedMs], [[], []]);
  t.ok(Math.abs(measured - RATE) < 1);
});

t.test('a gateway below 0.95 of its rate is found within a minute, and found well again', async (t) => {
  const { slowMs } = watched((ms) => (ms > 40_000 && ms < 100_000 ? { padding: 10, replies: 105 } : HEALTHY), 160);
  t.ok((slowMs[0] ?? 0) > 40_000 && (slowMs[0] ?? Infinity) < 80_000, `${slowMs[0]}`);
  t.ok((slowMs.at(-1) ?? 0) < 135_000);
  t.strictSame(watched(() => ({ padding: 22, replies: 105 }), 120).slowMs, [], '0.962 is enough');
});

t.test('the clock may start late, and a machine that stood still accuses nobody', async (t) => {
  t.strictSame(watched((ms) => (ms < 20_000 ? { padding: 0, replies: 0 } : HEALTHY), 100).slowMs, []);
  const watch = new DownlinkWatch();
  const counts = { padding: 0, packets: 0, recognised: 0 };
  const slowMs: number[] = [];
  for (let ms = 0; ms < 200_000; ms += ms % 20_000 === 0 ? 5_000 : STEP_MS) {
    counts.padding += ms % 20_000 === 5_000 ? 3 : RATE / 4; // little comes after a standstill
    watch.review({ ...counts }, RATE, monotonic(ms));
    if (watch.isSlow) slowMs.push(ms);
  }
  t.strictSame(slowMs, []);
});

t.test('replies and loops at the full rate and no padding for two seconds are a flood', async (t) => {
  const { floodedMs } = watched((ms) => (ms >= 10_000 && ms < 20_000 ? { padding: 0, replies: RATE } : HEALTHY), 40);
  t.equal(floodedMs[0], 11_750, 'two seconds after the last padding');
  t.ok((floodedMs.at(-1) ?? 0) <= 20_000);
});

t.test('a gateway cannot feign a flood: neither by silence, nor with packets of its own', async (t) => {
  t.strictSame(watched(() => ({ padding: 0, replies: 105 }), 60).floodedMs, [], 'it leaves padding out');
  t.strictSame(watched(() => ({ padding: 0, replies: 105, foreign: 27 }), 60).floodedMs, [], 'it sends garbage');
});

t.test('floods excuse losses for a minute, and for a tenth of the time after', async (t) => {
  const { floodedMs } = watched(() => ({ padding: 0, replies: RATE }), 600);
  const excusedMs = floodedMs.length * STEP_MS;
  t.ok(excusedMs > EXCUSED_MS && excusedMs < EXCUSED_MS + 600_000 / 9 + 2_000, `${excusedMs}`);
  t.ok(floodedMs.filter((ms) => ms < 60_000).length > 200);
});

t.test('a flood excuses what was sent a way before it, by the law of what is under way', async (t) => {
  const excusedFrom = (meanDelayMs: number) => {
    const health = new PathHealth();
    let fromMs = Number.NaN;
    health.excuse = (since) => {
      fromMs = since;
    };
    const reports = new HealthReports(silentLog, new EndpointMetrics(new Metrics()));
    const downlink = new Downlink('clock', health, reports, () => {});
    const law = { meanDelayMs, mixHops: 3 };
    let received = 0;
    for (let ms = 0; ms < 10_000; ms += STEP_MS) {
      for (let i = 0; i < (RATE * STEP_MS) / 1000; i++, received++) downlink.onRecognised();
      const link = { state: 'up', padding: ms < 5_000 ? ms : 5_000, received } as ClientLinkStats;
      downlink.review(link, RATE, law, monotonic(ms));
    }
    return fromMs;
  };
  const added = lawTimes({ meanDelayMs: 160, mixHops: 3 }).oneWayQuantileMs;
  t.ok(added > 1_700, 'three mixes of 200 ms delay a packet by so much more than three of 40');
  t.ok(Math.abs(excusedFrom(40) - excusedFrom(200) - added) < 1e-6, `${excusedFrom(40)}, ${excusedFrom(200)}`);
});
