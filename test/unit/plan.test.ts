/** `mixsocks plan`: sizes and traffic by hand, anonymity beside the simulator, and laws that hold for any number of users. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { packetsAt } from '../../cli/localnet/capacity.ts';
import { anonymityOf, epsilonOf } from '../../cli/plan/anonymity.ts';
import { planText } from '../../cli/plan/index.ts';
import { type Plan, planFor, RECORD_BYTES, wireBytes } from '../../cli/plan/plan.ts';
import { DEFAULT_PARAMS, type TrafficClass } from '../../lib/core/params.ts';
import { arrivalRatePerMix, type OwnNetwork, sourcesOf } from '../../research/anonymity/own-network.ts';
import { TWO_PROCESSORS as costs } from '../support/machine-costs.ts';
import { key32, records } from '../support/signed-documents.ts';

const params = { ...DEFAULT_PARAMS, meanDelayMs: 40 };
const standard = DEFAULT_PARAMS.classes.standard as TrafficClass;
const fast = DEFAULT_PARAMS.classes.fast as TrafficClass;
const plan = (users: number, differs: { traffic?: TrafficClass; mixingTarget?: number } = {}): Plan =>
  planFor({ users, traffic: standard, params, costs, ...differs });

const isNear = (value: number, wanted: number, share = 1e-9) => Math.abs(value - wanted) <= share * Math.abs(wanted);

t.test('ten users, by hand', async (t) => {
  const { mixes, gateways, exits, user, anonymity, ...whole } = plan(10);
  t.match(whole, { users: 10, nodes: 10, mixesPerLayer: 2, usersPerGateway: 5, linksOfMix: 6, beyond: [] });
  t.match([mixes.count, gateways.count, exits.count], [6, 2, 2]);
  // 10 × (50 + 100 + 5 + 1) of users, 2 × 6 of exits, 8 × 10 loops of nodes; by two, less one's own loops
  t.equal(mixes.packetsPerSecond, (1560 + 12 + 80) / 2 - 10);
  t.equal(exits.packetsPerSecond, 5 * 50 + 5);
  t.equal(anonymity.poolPackets, 816 * 0.04);
  // A packet of 2413 bytes, a TLS record around it, two segments of TCP
  t.equal(wireBytes(2413), 2413 + 22 + 2 * 52);
  t.equal(mixes.inBitsPerSecond, 8 * 2539 * 826);
  t.equal(mixes.outBitsPerSecond, mixes.inBitsPerSecond);
  t.equal(user.outBitsPerSecond, 8 * 2571 * 56);
  t.equal(user.inBitsPerSecond, 8 * 2571 * 132);
  t.equal(user.monthlyBytes, 2571 * 188 * 30 * 86_400);
  // From layer 3, users and exits; to layer 1, users and exits
  const fromClients = 5 * 56 + 5 * 100 + 6;
  t.equal(gateways.inBitsPerSecond, 8 * (826 * 2539 + fromClients * 2571));
  t.equal(gateways.outBitsPerSecond, 8 * ((fromClients + 10) * 2539 + (5 * 132 + 255) * 2571));
});

t.test('packets per mix are those of the simulator', async (t) => {
  for (const proxies of [1, 7, 500]) {
    const shape = { mixesPerLayer: 3, gateways: 2, requesters: 4, packetSize: 2048, proxies };
    const { deliveryRate: _, ...traffic } = standard;
    const own: OwnNetwork = {
      ...{ proxies, requesters: 4, gateways: 2, layers: 3, mixesPerLayer: 3, corruptMixes: 0 },
      ...{ meanDelayMs: 15, traffic, nodeLoopRate: 10 },
    };
    const { mainRate: rate, ...rates } = traffic;
    const { mixnode } = packetsAt({ rate, ...rates, nodeLoopRate: 10 }, shape);
    t.ok(isNear(mixnode, arrivalRatePerMix(own, sourcesOf(own))), `${proxies} proxies`);
  }
});

t.test('anonymity is near what the simulator measured for the networks of docs/ANONYMITY.md', async (t) => {
  // proxies, delay, pool, one mix, end to end, to requesters, sender: two mixes a layer, one requester
  for (const [users, meanDelayMs, pool, single, end, exits, sender] of [
    [2, 15, 2.8, 2.9, 5.08, 3.3, 0.9],
    [10, 15, 12.2, 5.02, 7.21, 5.55, 3.18],
    [100, 15, 117.5, 8.31, 10.55, 8.91, 6.48],
    [500, 15, 585.5, 10.63, 12.86, 11.21, 8.8],
    [20, 50, 79.7, 7.75, 9.97, 8.31, 4.27],
    [500, 50, 1951.7, 12.37, 14.6, 12.95, 8.92],
    [100, 200, 1566.6, 12.05, 14.28, 12.63, 6.63],
  ] as const) {
    const perMix = (1000 * pool) / meanDelayMs;
    const found = anonymityOf({
      ...{ users, meanDelayMs, perMix, perLayer: 2 * perMix, mainRate: 50 },
      toRequesters: 50 * users + 5,
    });
    const name = `${users} users, ${meanDelayMs} ms`;
    const isClose = (value: number, wanted: number) => Math.abs(value - wanted) < 0.2;
    t.ok(isClose(found.singleMixBits, single), `${name}: one mix ${found.singleMixBits}`);
    t.ok(isClose(found.endToEndBits, end), `${name}: end to end ${found.endToEndBits}`);
    t.ok(isClose(found.toRequesterBits, exits), `${name}: to exits ${found.toRequesterBits}`);
    t.ok(Math.abs(found.senderBits - sender) < 0.06, `${name}: sender ${found.senderBits}`);
  }
});

t.test('ε is what was simulated, and sinks with the packets of a user in a layer', async (t) => {
  t.ok(isNear(epsilonOf(2), 0.186));
  t.ok(isNear(epsilonOf(10), 0.023));
  t.ok(epsilonOf(7) < 0.059 && epsilonOf(7) > 0.023);
  for (let x = 0.01; x < 1000; x *= 1.1) t.ok(epsilonOf(x) > epsilonOf(1.1 * x), `at ${x}`);
  t.equal(plan(1).anonymity.epsilon, null, 'one user has nobody to be taken for');
});

t.test(
  'from one to ten million users nothing shrinks, nothing is overloaded, and the least network stands',
  async (t) => {
    for (const traffic of [standard, fast]) {
      let before: Plan | undefined;
      for (let users = 1; users <= 10_000_000; users = Math.ceil(users * 1.7)) {
        const now = plan(users, { traffic });
        const { mixes, gateways, exits, mixesPerLayer } = now;
        t.ok(mixesPerLayer >= 2 && gateways.count >= 2 && exits.count >= 2, `${users}: the least network`);
        for (const { processors } of [mixes, gateways, exits]) t.ok(processors <= 0.7, `${users}: ${processors}`);
        t.ok(now.usersPerGateway <= 1000 && now.usersPerGateway * traffic.deliveryRate <= 20_000);
        t.ok(exits.count * 20_000 >= users * traffic.replyRate);
        const sizes = (one: Plan) => [
          one.mixesPerLayer,
          one.gateways.count,
          one.exits.count,
          one.anonymity.endToEndBits,
        ];
        if (before !== undefined) for (const [i, size] of sizes(before).entries()) t.ok((sizes(now)[i] ?? 0) >= size);
        before = now;
      }
    }
  },
);

t.test('one node fewer of a kind would be too few', async (t) => {
  for (const users of [500, 40_000]) {
    const { mixesPerLayer, mixes, gateways, exits } = plan(users);
    for (const [count, { processors }] of [
      [mixesPerLayer, mixes],
      [gateways.count, gateways],
      [exits.count, exits],
    ] as const)
      t.ok((processors * count) / (count - 1) > 0.69, `${count} of ${users} users: ${processors}`);
  }
});

t.test('a mixing target chooses the delay from 40 to 200 ms, and says when that is not enough', async (t) => {
  t.match(plan(10, { mixingTarget: 20 }), { meanDelayMs: 40, targetReached: true });
  const chosen = plan(10, { mixingTarget: 100 });
  t.ok(isNear(chosen.meanDelayMs, 100_000 / 816));
  t.ok(isNear(chosen.anonymity.poolPackets, 100) && chosen.targetReached);
  t.match(plan(10, { mixingTarget: 300 }), { meanDelayMs: 200, targetReached: false });
  t.match(planText(plan(10, { mixingTarget: 300 }), 'standard', costs), /mixing target is not reached/);
  t.equal(plan(10).targetReached, null);
});

t.test('a machine that is too slow for a node of its own loops is refused', async (t) => {
  const slow = Object.fromEntries(Object.entries(costs).map(([name, value]) => [name, 300 * value]));
  t.throws(() => planFor({ users: 10, traffic: standard, params, costs: slow as unknown as typeof costs }), {
    code: 'LIMIT',
  });
});

t.test('bounds that a large network is beyond are named', async (t) => {
  t.same(plan(10_000).beyond, []);
  t.match(plan(1_000_000).beyond, [/nodes: a consensus lists 4,096/, /^a consensus of \d+ MiB/, /links at a mix/]);
});

t.test('a record of a node takes as many bytes as are reckoned', async (t) => {
  const sizes = records(500_000).map((record) => {
    const third = { epoch: 500_002, key: key32(3) };
    return JSON.stringify({ ...record, sphinxKeys: [...record.sphinxKeys, third] }).length;
  });
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  t.ok(isNear(RECORD_BYTES, mean, 0.2), `${mean}`);
});

t.test('docs/PLANNING.md has the numbers of these plans', async (t) => {
  const page = readFileSync(new URL('../../docs/PLANNING.md', import.meta.url), 'utf8');
  const whole = (value: number) => Math.round(value).toLocaleString('en-US');
  for (const users of [10, 100, 1000, 10_000, 1_000_000]) {
    const { nodes, mixesPerLayer, gateways, exits, anonymity, linksOfMix } = plan(users);
    const { poolPackets, toRequesterBits, senderBits, epsilon } = anonymity;
    const cells = [users, nodes, mixesPerLayer, gateways.count, exits.count, linksOfMix, poolPackets].map(whole);
    const bits = [toRequesterBits, senderBits].map((value) => value.toFixed(1));
    const row = `| ${[...cells, ...bits, epsilon?.toFixed(2)].join(' | ')} |`;
    t.ok(page.includes(row), row);
  }
});
