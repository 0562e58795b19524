/**
 * A clock that is wrong is named as the reason, with its size, and not the authorities.
 * @module
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { httpDateMs } from '../../lib/core/clock.ts';
import { laterMs } from '../../lib/core/units.ts';
import { ClockCheck } from '../../lib/directory/client/clock-check.ts';
import { DirectoryClient, type Transport } from '../../lib/directory/index.ts';
import { type Log, silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { crypto, testNetwork } from '../support/signed-documents.ts';
import { unix } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = unix(Date.UTC(2026, 0, 1));

function check(aheadMs: readonly number[], epochMs = HOUR_MS): string | undefined {
  const clock = new ClockCheck(epochMs);
  for (const [i, ms] of aheadMs.entries()) clock.observe(`http://a${i}`, laterMs(NOW_MS, -ms), NOW_MS);
  return clock.fault;
}

t.test('a difference is named by its size and direction', async (t) => {
  t.match(check([24 * HOUR_MS]), /probably wrong, 1 day ahead of the directory's: set the date/);
  t.match(check([-HOUR_MS]), /, 1 hour behind the directory's/);
  t.match(check([-(26 * HOUR_MS + 60_000)]), /, 1 day and 2 hours behind/);
  t.match(check([31_000]), /, 31 seconds ahead of/);
  t.match(check([365 * 24 * HOUR_MS]), /, 365 days ahead of/);
  t.equal(check([30_000]), undefined, 'what is tolerated is no fault');
  t.equal(check([-30_000]), undefined);
  t.match(check([-5_000], 20_000), /5 seconds behind/, 'a network with short epochs tolerates less');
});

t.test('most authorities decide, and one that lies about the time does not', async (t) => {
  t.equal(check([]), undefined);
  t.equal(check([0, 24 * HOUR_MS, 100]), undefined);
  t.match(check([HOUR_MS, HOUR_MS, -9 * HOUR_MS]), /1 hour ahead/);
  const clock = new ClockCheck(HOUR_MS);
  for (let i = 0; i < 100; i++) clock.observe('http://liar', unix(0), NOW_MS);
  clock.observe('http://a', NOW_MS, NOW_MS);
  clock.observe('http://b', NOW_MS, NOW_MS);
  t.equal(clock.fault, undefined, 'an authority counts once, however often it answers');
});

t.test('an answer without a date, or with one that is none, says nothing', async (t) => {
  const clock = new ClockCheck(HOUR_MS);
  clock.observe('http://a', httpDateMs(undefined), NOW_MS);
  clock.observe('http://a', httpDateMs('yesterday'), NOW_MS);
  clock.observe('http://a', httpDateMs(['a', 'b']), NOW_MS);
  t.equal(clock.fault, undefined);
  t.equal(httpDateMs('Thu, 01 Jan 2026 00:00:00 GMT'), NOW_MS);
});

t.test('a member says once that its clock is wrong, and gives it as the reason', async (t) => {
  const virtual = new VirtualClock();
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 100) {
      virtual.advance(100);
      await nextTurn();
    }
  };
  let aheadMs = 24 * HOUR_MS;
  const said: string[] = [];
  const log: Log = { ...silentLog, error: (_fields, message) => said.push(message), child: () => log };
  const transport: Transport = {
    send: async () => ({ status: 404, text: 'not yet', dateMs: laterMs(virtual.wallMs(), -aheadMs) }),
    close: async () => {},
  };
  const components = { clock: virtual, rng: seededRng(1), crypto, log, metrics: new Metrics() };
  const client = new DirectoryClient({ network: testNetwork(1, 1, 60), components, transport });
  t.teardown(() => client.stop());
  await client.start();
  const waiting = t.rejects(client.waitForTopology(5_000), { code: 'NO_CONSENSUS', message: /1 day ahead/ });
  await pass(10_000);
  await waiting;
  t.equal(said.length, 1, 'however often it asks');
  t.match(client.clockFault, /1 day ahead/);
  aheadMs = 0;
  await pass(60_000);
  t.equal(client.clockFault, undefined, 'and stops when the clock is set right');
});
