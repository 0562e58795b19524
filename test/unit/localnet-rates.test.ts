/** A local network gets rates that its machine carries: at most what was asked for, and no less than it could. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type MachineCosts, type NetworkRates, processorTime } from '../../cli/localnet/capacity.ts';
import { LocalnetConfig } from '../../cli/localnet/config.ts';
import { prepareFolder } from '../../cli/localnet/folder.ts';
import { measureMachine } from '../../cli/localnet/machine.ts';
import { chooseRates, fitRates, ratesWith } from '../../cli/localnet/rates.ts';
import { PAYLOAD_SIZES } from '../../lib/core/params.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { TWO_PROCESSORS as TWO } from '../support/machine-costs.ts';

const SHAPE = LocalnetConfig.parse({});
const ONE: MachineCosts = { ...TWO, processors: 1 };
/** The same machine with the crypto in JavaScript. */
const NOBLE: MachineCosts = {
  ...{ processors: 2, scalarMs: 0.0275, createMs: 6, createSurbMs: 4 },
  ...{ useSurbMs: 0.1, unwrapMs: 1.7, openReplyMs: 0.47 },
};

function slower(costs: MachineCosts, factor: number): MachineCosts {
  const times = Object.entries(costs).map(([name, cost]) => [name, name === 'processors' ? cost : factor * cost]);
  return Object.fromEntries(times) as unknown as MachineCosts;
}

const asked = (rate: number, replyRate: number): NetworkRates => ratesWith({ rate, replyRate, packetSize: 2048 });
const ratio = ({ rate, replyRate }: NetworkRates) => replyRate / rate;

t.test('the default rates stay as they are where the machine carries them', async (t) => {
  const rates = ratesWith(SHAPE);
  t.match(rates, { rate: 50, replyRate: 100, loopRate: 5, dropRate: 1, nodeLoopRate: 10 });
  for (const costs of [TWO, ONE, slower(TWO, 1.5)])
    t.match(fitRates(rates, SHAPE, costs), { rates, fits: true }, `${costs.processors} of ${costs.scalarMs} ms`);
  t.notOk(fitRates(rates, SHAPE, slower(ONE, 2)).fits);
});

t.test('rates that do not fit are lowered together, to about what the machine was seen to carry', async (t) => {
  for (const given of [asked(600, 1500), asked(300, 750), asked(2400, 6000)]) {
    const { rates, carried, fits } = fitRates(given, SHAPE, TWO);
    t.notOk(fits);
    t.ok(rates.rate > 0.8 * 200 && rates.rate < 1.2 * 200, `${rates.rate}`);
    t.ok(Math.abs(ratio(rates) - 2.5) < 0.02, 'in the ratio asked for');
    t.ok(Math.abs(rates.rate + rates.replyRate - carried) < 3, 'all that it carries');
    t.match(rates, { loopRate: 5, dropRate: 1, nodeLoopRate: 10 }, 'loops and drop packets have room');
  }
  t.ok(fitRates(asked(150, 375), SHAPE, TWO).fits);
});

t.test('what has been fitted fits, and a tenth more would not', async (t) => {
  for (const costs of [TWO, ONE, slower(TWO, 2), { ...TWO, processors: 0.7 }, { ...TWO, processors: 64 }]) {
    const { rates } = fitRates(asked(4000, 9000), SHAPE, costs);
    t.ok(fitRates(rates, SHAPE, costs).fits, `${rates.rate}`);
    t.notOk(fitRates({ ...rates, rate: 1.1 * rates.rate, replyRate: 1.1 * rates.replyRate }, SHAPE, costs).fits);
  }
});

t.test('more mixes, larger packets, slower processors and fewer of them carry less', async (t) => {
  const carriedBy = (costs: MachineCosts, shape: Partial<LocalnetConfig> = {}) =>
    fitRates(asked(600, 1500), { ...SHAPE, ...shape }, costs).carried;
  const all = carriedBy(TWO);
  t.ok(carriedBy(TWO, { mixesPerLayer: 4 }) < 0.9 * all);
  t.ok(carriedBy(TWO, { packetSize: 32_768 }) < 0.6 * all);
  t.ok(carriedBy(ONE) < all / 2);
  t.ok(carriedBy(slower(TWO, 2)) < all / 2);
});

t.test('with processors to spare, the thread that has most to do is the bound', async (t) => {
  const costs = { ...TWO, processors: 64 };
  const { rates, carried } = fitRates(asked(4000, 9000), SHAPE, costs);
  t.equal(carried, fitRates(asked(4000, 9000), SHAPE, { ...TWO, processors: 128 }).carried);
  const { all, ...threads } = processorTime(rates, SHAPE, costs);
  t.ok(all < 10, `${all} of 64`);
  t.ok(Math.max(...Object.values(threads)) < 0.9, 'of one processor');
});

t.test('where loops and drop packets alone would take the machine, they take half of it', async (t) => {
  const { rates, fits } = fitRates(asked(50, 100), SHAPE, NOBLE);
  t.notOk(fits);
  t.ok(rates.nodeLoopRate < 9 && rates.nodeLoopRate > 4, `${rates.nodeLoopRate}`);
  t.ok(Math.abs(rates.loopRate / rates.nodeLoopRate - 1 / 2) < 0.02, 'all in the same proportion');
  t.ok(rates.rate > 10 && rates.rate < 25, `${rates.rate}`);
  const { all } = processorTime(rates, SHAPE, NOBLE);
  t.ok(all < 0.75 * NOBLE.processors && all > 0.65 * NOBLE.processors, `${all}`);
});

t.test(
  'on the slowest machine packets enough for a connection remain, and never more than were asked for',
  async (t) => {
    const slowest = slower(NOBLE, 100);
    t.match(fitRates(asked(50, 100), SHAPE, slowest).rates, {
      rate: 2,
      replyRate: 4,
      loopRate: 0.25,
      nodeLoopRate: 0.5,
    });
    t.match(fitRates(asked(0.5, 1), SHAPE, slowest).rates, { rate: 0.5, replyRate: 1 });
    t.match(fitRates(asked(10_000, 0.1), SHAPE, ONE).rates, { replyRate: 0.1 }, 'without replies nothing would come');
  },
);

const measured = (costs: MachineCosts) => () => costs;
const configOf = (given: object): LocalnetConfig => LocalnetConfig.parse(given);

t.test('the user gets one line when rates were lowered, and nothing when they fit', async (t) => {
  t.equal(chooseRates(configOf({}), undefined, measured(TWO)).notice, undefined);
  const { rates, notice } = chooseRates(configOf({ rate: 600, replyRate: 1500 }), undefined, measured(TWO));
  const line = `this machine carries about 740 packets/s: rates 600:1500 lowered to ${rates.rate}:${rates.replyRate} (--keep-rates keeps them)`;
  t.equal(notice, line);
  t.match(
    chooseRates(configOf({}), undefined, measured(NOBLE)).notice,
    /^this machine carries about 4\d packets\/s: rates 50:100 lowered to 1\d\.\d+:\d+, loops and drop packets to [56]\d % \(.*\)$/,
  );
});

t.test('nodes send fewer loops of larger packets, two a second at least', async (t) => {
  const sent = PAYLOAD_SIZES.map((packetSize) => ratesWith({ ...SHAPE, packetSize }).nodeLoopRate);
  t.strictSame(sent, [10, 2.5, 2, 2]);
});

t.test('with keepRates nothing is measured and rates are as given', async (t) => {
  const unused = () => t.fail('measured') as never;
  const config = configOf({ rate: 600, replyRate: 1500, keepRates: true });
  t.strictSame(chooseRates(config, undefined, unused), { rates: asked(600, 1500), notice: undefined });
  t.strictSame(chooseRates(config, asked(600, 1500), unused), { rates: asked(600, 1500), notice: undefined });
  const moreLoops = { ...asked(600, 1500), nodeLoopRate: 20 };
  t.strictSame(chooseRates(config, moreLoops, unused).rates, asked(600, 1500), 'of a folder with more');
  t.throws(() => chooseRates({ ...config, dir: '/net' }, asked(300, 750), unused), {
    code: 'CONFIG',
    message: '/net holds a network with rates lowered to 300:750: use another --dir, or leave out --keep-rates',
  });
});

t.test(
  'the folder of a network keeps its rates, and its user hears when the machine has become too slow',
  async (t) => {
    const options = { dir: join(t.testdir(), 'net'), rate: 600, replyRate: 1500, socksPort: 0, statusPort: 0 };
    const directoryRates = () => {
      const text = readFileSync(join(options.dir, 'directory-1', 'config.json'), 'utf8');
      const { mainRate, replyRate, loopRate, dropRate, nodeLoopRate } = JSON.parse(text) as Record<string, number>;
      return { mainRate, replyRate, loopRate, dropRate, nodeLoopRate };
    };
    const start = async (costs: MachineCosts) => {
      const network = await prepareFolder(configOf(options), measured(costs));
      await network.release();
      return network.notice;
    };
    const first = await start(TWO);
    t.match(first, /rates 600:1500 lowered to/);
    const { rates } = fitRates(asked(600, 1500), SHAPE, TWO);
    const { rate: mainRate, ...others } = rates;
    t.strictSame(directoryRates(), { mainRate, ...others });

    t.equal(await start(slower(TWO, 0.1)), undefined);
    t.strictSame(directoryRates(), { mainRate, ...others }, 'a faster machine does not raise them');
    t.match(
      await start(ONE),
      /^this machine carries about \d+ packets\/s: too slow for the rates \d+:\d+ that .*net has; /,
    );
    t.strictSame(directoryRates(), { mainRate, ...others }, 'a slower one does not lower them');

    const file = join(options.dir, 'localnet.json');
    const { rates: _, ...older } = JSON.parse(readFileSync(file, 'utf8')) as { rates: unknown };
    writeFileSync(file, JSON.stringify(older));
    t.match(await start(TWO), /too slow for the rates 600:1500 that/, 'of a time when rates were as asked for');
    t.match(directoryRates(), { mainRate: 600, replyRate: 1500 });
  },
);

t.test('this machine is measured', async (t) => {
  const costs = measureMachine(configOf({}), createCrypto('fastest'));
  for (const [name, cost] of Object.entries(costs)) t.ok(cost > 0 && cost < 1e6, `${name} ${cost}`);
  t.ok(
    costs.unwrapMs > costs.scalarMs && costs.createMs > costs.unwrapMs,
    'an unwrap multiplies twice, a packet is made for five hops',
  );
});
