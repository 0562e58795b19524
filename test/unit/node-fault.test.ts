import t from 'tap';
import { LocalnetConfig } from '../../cli/localnet/config.ts';
import { faultsOf } from '../../cli/localnet/faults.ts';
import { slotsOf } from '../../cli/localnet/plan.ts';
import { FaultInjector, faultText, NO_FAULT, parseFault } from '../../lib/node/index.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { MixnodeConfig } from '../../mixnode/index.ts';
import { seededRng } from '../support/seeded-rng.ts';

const PACKETS = 4000;

/** Sends packets of zeros through a fault; how many were lost, doubled and changed. */
async function injectMany(plan: string) {
  const metrics = new Metrics();
  const faults = new FaultInjector(parseFault(plan), seededRng(5), metrics);
  const seen = { lost: 0, doubled: 0, changed: 0, left: 0, mostBits: 0 };
  for (let i = 0; i < PACKETS; i++) {
    const copies = faults.inject(Buffer.alloc(64));
    seen.left += copies.length;
    if (copies.length === 0) seen.lost += 1;
    if (copies.length === 2) seen.doubled += 1;
    for (const copy of copies) {
      const bits = copy.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
      seen.mostBits = Math.max(seen.mostBits, bits);
      seen.changed += bits;
    }
  }
  const text = await metrics.text();
  const counted = (kind: string) => Number(new RegExp(`faults_injected_total{kind="${kind}"} (\\d+)`).exec(text)?.[1]);
  return { seen, counted };
}

t.test('each fault strikes with its probability and is counted', async (t) => {
  const { seen, counted } = await injectMany('drop=0.05,duplicate=0.2,corrupt=0.1,delay-ms=7');
  const near = (count: number, of: number, probability: number, what: string) => {
    const deviation = Math.sqrt(of * probability * (1 - probability));
    t.ok(Math.abs(count - of * probability) < 4 * deviation, `${what}: ${count} of ${of}`);
  };
  near(seen.lost, PACKETS, 0.05, 'lost');
  near(seen.doubled, PACKETS - seen.lost, 0.2, 'doubled');
  t.equal(seen.mostBits, 1);
  near(seen.changed, seen.left, 0.1, 'changed'); // copies apart: a change of one that showed in both would count twice
  t.equal(counted('drop'), seen.lost);
  t.equal(counted('duplicate'), seen.doubled);
  t.equal(counted('corrupt'), seen.changed);
  t.equal(counted('delay'), seen.left);
});

t.test('without faults everything passes as it is', async (t) => {
  const { seen } = await injectMany('drop=0');
  t.strictSame(seen, { lost: 0, doubled: 0, changed: 0, left: PACKETS, mostBits: 0 });
});

t.test('plans are read strictly and written back', (t) => {
  t.strictSame(parseFault('drop=0.05, delay-ms = 100'), { ...NO_FAULT, drop: 0.05, delayMs: 100 });
  for (const text of ['drop=0.5', 'drop=1,delay-ms=2.5,duplicate=0.25,corrupt=0.125', 'drop=0']) {
    t.equal(faultText(parseFault(text)), text);
  }
  const wrong: [string, RegExp][] = [
    ['drp=0.1', /unknown fault 'drp'; did you mean drop\?/],
    ['', /unknown fault ''/],
    ['drop', /drop is a number from 0 to 1, not ''/],
    ['drop=5%', /not '5%'/],
    ['drop=1.5', /from 0 to 1, not '1.5'/],
    ['drop=-1', /not '-1'/],
    ['drop=0=1', /not '0=1'/],
    ['delay-ms=100000', /delay-ms is a number from 0 to 60000/],
    ['drop=0.1,,', /unknown fault ''/],
  ];
  for (const [text, message] of wrong) t.throws(() => parseFault(text), { code: 'CONFIG', message }, text);
  const config = { dir: '.', networkFile: 'n', name: 'm', layer: 1 };
  t.equal(MixnodeConfig.parse({ ...config, fault: 'drop=0.5' }).fault, 'drop=0.5');
  t.match(MixnodeConfig.safeParse({ ...config, fault: 'drop=2' }).error?.issues[0]?.message, /from 0 to 1/);
  t.end();
});

t.test('faults are given to the nodes that their pattern names', (t) => {
  const slots = slotsOf(LocalnetConfig.parse({}));
  const of = (...given: string[]) => Object.fromEntries(faultsOf(given, slots));
  t.strictSame(of('mix-1-2:drop=0.5,corrupt=0.1'), { 'mix-1-2': 'drop=0.5,corrupt=0.1' });
  t.strictSame(Object.keys(of('mixes:drop=0.1')).length, 6);
  t.strictSame(of('mix-2-*:drop=0.1', 'mix-2-1:delay-ms=5'), { 'mix-2-1': 'delay-ms=5', 'mix-2-2': 'drop=0.1' });
  t.strictSame(of('gateways:duplicate=1'), { 'gateway-1': 'duplicate=1', 'gateway-2': 'duplicate=1' });
  // As the environment has it: one text, cut at its commas.
  t.strictSame(of('mix-1-1:drop=0.5', 'delay-ms=5', 'gateway-1:drop=1'), {
    'mix-1-1': 'drop=0.5,delay-ms=5',
    'gateway-1': 'drop=1',
  });
  const wrong: [string, RegExp][] = [
    ['mix-4-1:drop=1', /no node is called 'mix-4-1'; did you mean mix-/],
    ['mix.1.1:drop=1', /no node is called/],
    ['proxy-1:drop=1', /only mixes and gateways take faults, not proxy-1/],
    ['drop=1', /'drop=1' is not NAME:drop=F/],
    ['mixes:drop=7', /--fault mixes:drop=7: drop is a number from 0 to 1/],
  ];
  for (const [text, message] of wrong) t.throws(() => of(text), { code: 'CONFIG', message }, text);
  t.end();
});
