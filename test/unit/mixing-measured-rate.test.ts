/** What a node takes its machine to carry: measured at the start, and then again and again. */
import { join } from 'node:path';
import t from 'tap';
import { createCrypto } from '../../lib/crypto/index.ts';
import { MEASUREMENTS, MeasuredRate } from '../../lib/mixing/accepted-rate.ts';
import { FairPolicer, openPolicedKeys } from '../../lib/mixing/index.ts';
import type { Components } from '../../lib/runtime/components.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const REAL = 6000;

/** A machine whose measurements show a share of what it carries; looked at once a second. */
function machineOf(firstShare: number) {
  const state = { share: firstShare, second: 0, lasted: [] as number[] };
  const measure = (mostMs: number) => {
    state.lasted.push(mostMs);
    return REAL * state.share;
  };
  const rate = new MeasuredRate(measure, monotonic(0));
  const run = (seconds: number, shareAt: (second: number) => number) => {
    for (let i = 0; i < seconds; i++) {
      state.second += 1;
      state.share = shareAt(state.second);
      rate.look(monotonic(1000 * state.second));
    }
  };
  return { rate, state, run };
}

t.test('a start that was disturbed is corrected by the first quiet moment', async (t) => {
  const { rate, run } = machineOf(2 / 3);
  t.equal(rate.perSecond, 4000);
  run(29, () => 2 / 3);
  t.equal(rate.perSecond, 4000);
  run(1, () => 1);
  t.equal(rate.perSecond, REAL);
});

t.test('noise for a while lowers nothing, nor noise in nine measurements of ten', async (t) => {
  const { rate, run } = machineOf(1);
  run(500, () => 0.3);
  t.equal(rate.perSecond, REAL);
  run(3600, (second) => (second % 100 === 0 ? 1 : 0.3));
  t.equal(rate.perSecond, REAL);
});

t.test('a machine that has become slower is slower within ten minutes, and faster again at once', async (t) => {
  const { rate, run } = machineOf(1);
  run(590, () => 0.5);
  t.equal(rate.perSecond, REAL);
  run(10, () => 0.5);
  t.equal(rate.perSecond, REAL / 2);
  run(10, () => 1);
  t.equal(rate.perSecond, REAL);
});

t.test('it measures for a moment every ten seconds, and not at all where a clock stands still', async (t) => {
  const { state, run } = machineOf(1);
  run(600, () => 1);
  t.equal(state.lasted.length, 1 + MEASUREMENTS);
  t.ok(state.lasted.slice(1).every((mostMs) => mostMs <= 2));
  const still = machineOf(Number.POSITIVE_INFINITY);
  still.run(600, () => Number.POSITIVE_INFINITY);
  t.equal(still.state.lasted.length, 1);
});

t.test('what a node accepts follows, and its metric', async (t) => {
  const clock = new VirtualClock();
  const real = createCrypto('fastest');
  const state = { costMs: 3 };
  const crypto: typeof real = {
    ...real,
    x25519: (...key) => {
      clock.advance(state.costMs);
      return real.x25519(...key);
    },
  };
  const metrics = new Metrics();
  const components = { clock, crypto, rng: seededRng(1), log: silentLog, metrics } as unknown as Components;
  const terms = { dir: join(t.testdir(), 'keys'), payloadBytes: 2048, replayMemoryMiB: 512, epochMs: 3_600_000 };
  const { policer, keys, look } = openPolicedKeys(components, { ...terms, maxPacketsPerSecond: 1000 });
  const first = policer.perSecond;
  t.ok(first < 200, `${first}`);
  state.costMs = 2;
  look(clock.nowMs());
  t.equal(policer.perSecond, first, 'not yet');
  clock.advance(10_000);
  look(clock.nowMs());
  t.ok(Math.abs(policer.perSecond - 1.5 * first) < 1e-6, `${policer.perSecond}`);
  t.match(await metrics.text(), new RegExp(`accepted_packets_per_second ${Math.floor(policer.perSecond)}`));
  state.costMs = 0.001;
  clock.advance(10_000);
  look(clock.nowMs());
  t.equal(policer.perSecond, 1000, 'the operator’s bound holds');
  t.ok(policer.mostIn(3_600_000) >= 3_600_000, 'and filters have room for it from the start');
  keys.close();
});

t.test(
  'a policer whose rate changes serves the past by the old rate, and its greater depth has to be earned',
  async (t) => {
    const policer = new FairPolicer<string>(100, monotonic(0), 1000);
    policer.setWeights(new Map([['a', 1]]));
    const burst = (nowMs: number) => {
      let accepted = 0;
      while (policer.admits(policer.link('a'), monotonic(nowMs))) accepted += 1;
      return accepted;
    };
    burst(10_000);
    policer.setRate(1000, monotonic(11_000)); // 66 are served, 450 of depth to be earned
    const atOnce = burst(11_000);
    t.ok(atOnce <= 66, `${atOnce}`);
    const later = burst(13_000);
    t.ok(later > 150 && later <= 516, `${later}`);
    policer.setRate(100, monotonic(13_000));
    t.equal(burst(13_000), 0);
    let accepted = 0;
    for (let nowMs = 13_010; nowMs <= 63_000; nowMs += 10) accepted += burst(nowMs);
    t.ok(accepted <= 5_000 && accepted > 4_500, `${accepted} in 50 s at 100 a second`);
    policer.setRate(5000, monotonic(63_000));
    t.equal(policer.perSecond, 1000, 'never more than it was made for');
  },
);
