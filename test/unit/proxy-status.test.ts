import t from 'tap';
import { request } from 'undici';
import { RECENT_REQUESTS, RecentTimes } from '../../lib/access/status/recent-times.ts';
import { ReplyMeter } from '../../lib/access/status/reply-meter.ts';
import type { Status } from '../../lib/access/status/status.ts';
import { knownHealth, MIN_LOOPS_FOR_HEALTH } from '../../lib/access/status/status-of.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { startStatusServer } from '../../proxy/status/server.ts';
import { STATUS, WELL } from '../support/status-fixture.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const mixnode = { role: 'mixnode', layer: 1, health: null, excluded: false, loopsSent: 0, loopsReturned: 0 } as const;
/** Figures with more digits than are shown. */
const PRECISE: Status = {
  ...STATUS,
  uptimeSeconds: 1.23456,
  nodes: [
    { ...mixnode, name: 'mix-1-1' },
    { ...mixnode, name: 'gateway-1', role: 'gateway', layer: null, health: 2 / 3, loopsSent: 3, loopsReturned: 2 },
  ],
  rates: { ...STATUS.rates, main: { set: 50, measured: 49.87654 } },
};

t.test('the status server answers its paths to its own hosts', async (t) => {
  const metrics = new Metrics();
  metrics.counter('test_total', 'A counter').inc();
  const server = await startStatusServer({
    listen: '127.0.0.1:0',
    hosts: [],
    status: () => PRECISE,
    metrics,
    health: WELL,
    clock: new VirtualClock(),
    log: silentLog,
  });
  t.teardown(() => server.close());
  const status = await request(`${server.url}/status.json`);
  t.match(status.headers['content-type'], 'application/json');
  t.match(await status.body.json(), {
    ready: true,
    uptimeSeconds: 1.235,
    nodes: [{ layer: 1 }, { layer: null, health: 0.667 }],
    rates: { main: { set: 50, measured: 49.877 } },
    streams: { refused: { REFUSED: 2 } },
  });
  t.match(await (await request(`${server.url}/metrics`)).body.text(), 'mixsocks_test_total 1');
  const rebound = await request(`${server.url}/status.json`, { headers: { host: 'evil.example' } });
  t.equal(rebound.statusCode, 403, 'a web page cannot read it through DNS rebinding');
  await rebound.body.dump();
});

t.test('replies per second, over sessions that come and go', async (t) => {
  const clock = new VirtualClock();
  const session = () => {
    const counted = { packets: 0, stats: () => ({ packetsReceived: counted.packets }) };
    return counted;
  };
  const [first, second] = [session(), session()];
  let sessions = [first];
  const meter = new ReplyMeter(clock, () => sessions);
  meter.start();
  t.equal(meter.perSecond(), 0);
  for (let i = 0; i < 4; i++) {
    first.packets += 100;
    clock.advance(1000);
  }
  t.equal(meter.perSecond(), 100);
  sessions = [second];
  for (let i = 0; i < 6; i++) {
    second.packets += 50;
    clock.advance(1000);
  }
  t.equal(meter.perSecond(), 70, 'four seconds at 100, six at 50; the end of a session takes nothing back');
  clock.advance(10_000);
  t.equal(meter.perSecond(), 0, 'only the last ten seconds count');
  meter.stop();
  t.equal(clock.pending, 0);
});

t.test('replies are counted by requester', async (t) => {
  const clock = new VirtualClock();
  const session = (requester: string) => {
    const counted = { requester, packets: 0, stats: () => ({ packetsReceived: counted.packets }) };
    return counted;
  };
  const [near, far, other] = [session('near'), session('far'), session('near')];
  const meter = new ReplyMeter(
    clock,
    () => [near, far, other],
    ({ requester }) => requester,
  );
  meter.start();
  for (let i = 0; i < 5; i++) {
    near.packets += 20;
    far.packets += 50;
    other.packets += 30;
    clock.advance(1000);
  }
  t.equal(meter.perSecondFrom('near'), 50);
  t.equal(meter.perSecondFrom('far'), 50);
  t.equal(meter.perSecondFrom('nobody'), 0);
  t.equal(meter.perSecond(), 100);
  meter.stop();
});

t.test('the times of the last requests, by bucket and quantile', async (t) => {
  const times = new RecentTimes();
  t.match(times.status(), { medianMs: null, p90Ms: null });
  for (const timeMs of [40, 100, 101, 250, 90_000]) times.record(timeMs);
  const { upperMs, counts, medianMs, p90Ms } = times.status();
  t.strictSame(upperMs.slice(0, 3), [100, 200, 300]);
  t.strictSame([counts.slice(0, 4), counts.at(-1)], [[2, 1, 1, 0], 1], 'a bound belongs to its bucket');
  t.strictSame([medianMs, p90Ms], [101, 90_000]);
  for (let i = 0; i < RECENT_REQUESTS; i++) times.record(250);
  t.strictSame(times.status().counts.slice(0, 4), [0, 0, RECENT_REQUESTS, 0], 'only the last ones count');
  t.equal(times.status().counts.at(-1), 0);
});

t.test('a total is a counter that is read when the metrics are', async (t) => {
  const metrics = new Metrics();
  let missed = 3;
  metrics.totalOf('slots_missed_total', 'Missed slots', () => missed);
  t.match(await metrics.text(), /# TYPE mixsocks_slots_missed_total counter\nmixsocks_slots_missed_total 3\n/);
  missed = 5;
  t.match(await metrics.text(), /\nmixsocks_slots_missed_total 5\n/, 'and not added up');
});

t.test('health is not known before there were loops enough, however few of them were lost', async (t) => {
  t.equal(knownHealth(1, 0), null);
  t.equal(knownHealth(0.4, MIN_LOOPS_FOR_HEALTH - 1), null);
  t.equal(knownHealth(0.4, MIN_LOOPS_FOR_HEALTH), 0.4);
});
