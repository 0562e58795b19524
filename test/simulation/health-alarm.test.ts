import t, { type Test } from 'tap';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { exponential } from '../../lib/core/rng.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import type { Topology } from '../../lib/directory/index.ts';
import { LoopLedger, MAX_LOSS_DELAY_MS } from '../../lib/endpoint/loop-ledger.ts';
import { LOOP_LATE_MS } from '../../lib/mixing/index.ts';
import { alarmThreshold, HONEST_SHARE, LoopAlarm, SETTLE_MS, SILENT_START_MS } from '../../lib/mixing/loop-alarm.ts';
import { LoopDriver } from '../../lib/node/loop-driver.ts';
import { NodeMetrics } from '../../lib/node/metrics.ts';
import { Sphinx } from '../../lib/sphinx/index.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { nodeEntry, smallTopology } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const RATE = 10;

/** An alarm that has settled; loops come at RATE, each bad with the probability given to `run`. */
function settled(seed: number) {
  const rng = seededRng(seed);
  const alarm = new LoopAlarm(RATE);
  let nowMs = 0;
  const run = (loops: number, badShare: number) => {
    const changes: { what: string; loop: number }[] = [];
    for (let loop = 1; loop <= loops; loop++) {
      nowMs += 1000 / RATE;
      const what = alarm.decided(rng.uniform() >= badShare, monotonic(nowMs));
      if (what !== undefined) changes.push({ what, loop });
    }
    return changes;
  };
  run((2 * SETTLE_MS * RATE) / 1000, 0);
  return { alarm, run };
}

/** Loops until the alarm, over many runs: the median and the slowest. */
function detection(badShare: number): { median: number; slowest: number } {
  const loops = Array.from({ length: 50 }, (_, seed) => {
    const { run } = settled(seed);
    return run(3_000, badShare)[0]?.loop ?? Number.POSITIVE_INFINITY;
  });
  loops.sort((a, b) => a - b);
  return { median: loops[25] ?? 0, slowest: loops.at(-1) ?? 0 };
}

t.test('detection takes the number of loops that the arithmetic says', async (t) => {
  t.ok(Math.abs(alarmThreshold(RATE) - 25.0) < 0.05);
  t.strictSame(detection(1), { median: 11, slowest: 11 }, 'total blocking: 11 loops, 1.1 s at 10 per second');
  for (const [share, expected, limit] of [
    [0.5, 30, 100],
    [0.3, 104, 300],
    [0.15, 355, 1200],
  ] as const) {
    const { median, slowest } = detection(share);
    t.ok(median > 0.6 * expected && median < 1.4 * expected, `${share}: median ${median}, expected ${expected}`);
    t.ok(slowest <= limit, `${share}: slowest ${slowest}`);
  }
});

t.test('an honest network raises no alarm in a day', async (t) => {
  const { alarm, run } = settled(1);
  t.strictSame(run(24 * 3600 * RATE, HONEST_SHARE), []);
  t.notOk(alarm.raised);
});

t.test('false alarms keep their bound, seen where they are frequent enough to be counted', async (t) => {
  const loopsPerHour = 1000;
  const falseAlarm = 0.1;
  const alarm = new LoopAlarm(loopsPerHour / 3600, falseAlarm);
  const rng = seededRng(4);
  const hours = 600;
  let alarms = 0;
  for (let i = 0; i < hours * loopsPerHour; i++) {
    if (alarm.decided(rng.uniform() >= HONEST_SHARE, monotonic(SILENT_START_MS + 3600 * i)) === 'raised') alarms += 1;
  }
  t.ok(alarms <= falseAlarm * hours, `${alarms} in ${hours} hours`);
  t.ok(alarms > 0, 'and the bound is not idle');
});

t.test('it is raised once and ends when loops have been good for long enough', async (t) => {
  const { alarm, run } = settled(2);
  t.equal(run(500, 1).length, 1, 'one onset');
  t.ok(alarm.raised);
  t.strictSame(run(10, 0), [], 'a few returns end nothing');
  const [ended, ...more] = run(1000, 0);
  t.equal(ended?.what, 'ended');
  t.strictSame(more, []);
  t.equal(run(50, 1)[0]?.what, 'raised', 'and it can come again');
});

t.test('loops that are all lost from the first one on are bad, not perfect', async (t) => {
  const alarm = new LoopAlarm(RATE);
  let raisedAtMs = Number.POSITIVE_INFINITY;
  for (let nowMs = 0; nowMs < 2 * SILENT_START_MS; nowMs += 1000 / RATE) {
    if (alarm.decided(false, monotonic(nowMs)) === 'raised') raisedAtMs = nowMs;
  }
  t.ok(raisedAtMs >= SILENT_START_MS, 'a network that starts is given a minute');
  t.ok(raisedAtMs < SILENT_START_MS + 2000);
});

t.test('a network that is still coming up does not alarm', async (t) => {
  const alarm = new LoopAlarm(RATE);
  for (let nowMs = 0; nowMs < 30_000; nowMs += 100) alarm.decided(false, monotonic(nowMs));
  alarm.decided(true, monotonic(30_000));
  for (let nowMs = 30_000; nowMs < 30_000 + SETTLE_MS; nowMs += 100) alarm.decided(nowMs % 300 === 0, monotonic(nowMs));
  t.notOk(alarm.raised);
});

const crypto = createCrypto('fastest');

/** A mix whose loops come back through a network of the test's making. */
function watchedMix(t: Test) {
  const rng = seededRng(5);
  const clock = new VirtualClock();
  const sphinx = new Sphinx(crypto, rng);
  const publicKey = crypto.x25519Base(rng.bytes(32));
  const plain = smallTopology(2);
  const keyed = (list: typeof plain.gateways) => list.map((node) => ({ ...node, sphinxKey: () => publicKey }));
  const topology = {
    ...plain,
    layers: plain.layers.map(keyed),
    gateways: keyed(plain.gateways),
  } as unknown as Topology;
  const metrics = new Metrics();
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (_fields, message) => warnings.push(message) };
  const address = nodeEntry(900, { role: 'mixnode', layer: 2 }).address;
  /** What the network does with a packet: delivers it after so long, or loses it. */
  let travelMs: () => number | undefined = () => 4 + exponential(rng, 45);
  /** A loop as it comes home: the header that is known again. The way there is other tests' business. */
  const driver: LoopDriver = new LoopDriver({
    clock,
    rng,
    log,
    address,
    positionIn: () => 2,
    epochMs: 3_600_000,
    topology: () => topology,
    metrics: new NodeMetrics(metrics),
    sphinx: {
      createLoop: (options: Parameters<Sphinx['createLoop']>[0]) => {
        const made = sphinx.createLoop(options);
        const delayMs = options.route.reduce((sum, hop) => sum + Number(hop.delayNs) / 1e6, 0);
        const extraMs = travelMs();
        if (extraMs !== undefined) {
          const packet = new Uint8Array(made.packet.byteLength);
          packet.set(made.recovery.gamma, 32);
          clock.after(delayMs + extraMs, () => driver.loops.receive(packet, clock.nowMs()));
        }
        return made;
      },
      recover: () => new Uint8Array(0),
    } as unknown as Sphinx,
  });
  driver.start(() => {});
  t.teardown(() => driver.stop());
  /** Milliseconds until the alarm is raised, `limitMs` at most. */
  const alarmWithin = (limitMs: number): number => {
    const startMs = clock.nowMs();
    while (!driver.alarm.raised && clock.nowMs() - startMs < limitMs) clock.advance(100);
    return driver.alarm.raised ? clock.nowMs() - startMs : Number.POSITIVE_INFINITY;
  };
  return {
    clock,
    rng,
    driver,
    warnings,
    alarmWithin,
    gauge: async () => Number(/^mixsocks_node_loop_alarm (\d)/m.exec(await metrics.text())?.[1]),
    network: (next: () => number | undefined) => {
      travelMs = next;
    },
  };
}

t.test('a mix that is isolated and flooded raises its alarm within ten seconds, once', async (t) => {
  const mix = watchedMix(t);
  mix.clock.advance(30_000);
  t.equal(await mix.gauge(), 0);
  t.strictSame(mix.warnings, []);
  // n-1: everything that others send is held back, the attacker's own packets flow in at full rate
  mix.network(() => undefined);
  const flood = () => {
    mix.driver.loops.receive(mix.rng.bytes(400), mix.clock.nowMs());
    mix.clock.after(2, flood);
  };
  flood();
  const tookMs = mix.alarmWithin(10_000);
  t.ok(tookMs <= 6_000, `${tookMs} ms`);
  mix.clock.advance(10_000);
  t.equal(mix.warnings.length, 1);
  t.equal(await mix.gauge(), 1);
  mix.network(() => 5);
  mix.clock.advance(60_000);
  t.equal(await mix.gauge(), 0, 'over');
});

t.test('loops that are only held back count like lost ones', async (t) => {
  const mix = watchedMix(t);
  mix.clock.advance(30_000);
  mix.network(() => LOOP_LATE_MS + 1_500);
  t.ok(mix.alarmWithin(10_000) <= 6_000);
  t.equal(mix.driver.loops.counts.lost, 0, 'none is lost');
});

t.test('blocking half the traffic, and a stealthy attack on a fifth, take longer and are found', async (t) => {
  for (const [share, limitMs] of [
    [0.5, 15_000],
    [0.2, 90_000],
  ] as const) {
    const mix = watchedMix(t);
    mix.clock.advance(30_000);
    mix.network(() => (mix.rng.uniform() < share ? undefined : 5));
    const tookMs = mix.alarmWithin(limitMs);
    t.ok(tookMs <= limitMs, `${share}: ${tookMs} ms`);
  }
});

t.test('a client raises it too, and not for loops over a node that it has excluded', async (t) => {
  const gone = nodeEntry(1, { role: 'mixnode', layer: 2 });
  const fine = nodeEntry(2, { role: 'mixnode', layer: 2 });
  const ledger = new LoopLedger();
  ledger.alarm.setRate(5);
  let nowMs = 0;
  const loopsOver = (node: typeof gone, count: number, returns: boolean) => {
    for (let i = 0; i < count; i++) {
      const id = ledger.sent([node], monotonic(nowMs), 50);
      if (returns) ledger.returned(id, monotonic(nowMs + 60));
      nowMs += 200;
      ledger.sweep(monotonic(nowMs));
    }
  };
  loopsOver(fine, 200, true);
  const startMs = nowMs;
  while (!ledger.alarm.raised && nowMs < startMs + 20_000) loopsOver(fine, 1, false);
  t.ok(nowMs - startMs <= 5_000, `total blocking after ${nowMs - startMs} ms at 5 loops a second`);
  loopsOver(fine, 500, true);
  t.notOk(ledger.alarm.raised);

  const excluding = new LoopLedger();
  excluding.health.excludes = (node) => node.id === (gone.id as IdentityHex);
  for (const [node, returns] of [
    [fine, true],
    [gone, false],
  ] as const) {
    for (let i = 0; i < 100; i++) {
      const id = excluding.sent([node], monotonic(i * 200), 50);
      if (returns) excluding.returned(id, monotonic(i * 200 + 60));
    }
    excluding.sweep(monotonic(40_000 + MAX_LOSS_DELAY_MS));
  }
  t.notOk(excluding.alarm.raised, 'the reason is known');
});
