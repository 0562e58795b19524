import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import t from 'tap';
import { z } from 'zod';
import { LocalnetConfig } from '../../cli/localnet/config.ts';
import { configOf, slotsOf } from '../../cli/localnet/plan.ts';
import { checkFree, freePorts, ownAddresses } from '../../cli/localnet/ports.ts';
import { addOptions, givenFlags } from '../../cli/options.ts';
import { errorLine, exitCodesHelp } from '../../cli/report.ts';
import { ROLES } from '../../cli/roles.ts';
import { formatStatus } from '../../cli/status-text.ts';
import { REASONS } from '../../lib/access/troubles/reasons.ts';
import { loadConfig, optionsOf } from '../../lib/config/config.ts';
import { ERRORS, MixError } from '../../lib/core/errors.ts';
import { hasAddress } from '../../lib/net/own-address.ts';
import type { Status } from '../../proxy/index.ts';
import { CONFIGURATION_PAGE, configurationPage } from '../support/configuration-page.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { STATUS } from '../support/status-fixture.ts';

t.test("commander's options are those of the schema", (t) => {
  const schema = z.strictObject({
    meanDelayMs: z.number().default(15).describe('mean delay'),
    allowPrivate: z.boolean().default(false),
    downlink: z.enum(['steady', 'burst']).default('steady'),
  });
  const parse = (...args: string[]) => {
    const command = new Command().exitOverride().configureOutput({ writeErr: () => {} });
    addOptions(command, schema);
    return givenFlags(command.parse(args, { from: 'user' }));
  };
  t.strictSame(parse(), {});
  t.strictSame(parse('--mean-delay-ms', '20', '--allow-private'), { meanDelayMs: '20', allowPrivate: true });
  t.strictSame(parse('--no-allow-private', '--downlink=burst'), { allowPrivate: false, downlink: 'burst' });
  t.throws(() => parse('--mean-delay', '3'), { code: 'commander.unknownOption' });
  t.end();
});

t.test('every role: flags and keys are one to one, and every key says what it is', async (t) => {
  for (const role of ROLES) {
    const { schema } = await role.load();
    const command = new Command();
    addOptions(command, schema);
    for (const option of optionsOf(schema)) {
      const found = command.options.find((one) => one.long === option.flag);
      t.equal(found?.attributeName(), option.key, `${role.name} ${option.flag}`);
      t.ok(option.description.length > 5, `${role.name} ${option.key} has a description`);
    }
  }
});

t.test('docs/CONFIGURATION.md is what the schemas say', async (t) => {
  const hint = 'else: npx tsx test/support/configuration-page.ts';
  t.equal(readFileSync(CONFIGURATION_PAGE, 'utf8'), await configurationPage(), hint);
});

t.test('errors are one line with advice', (t) => {
  t.equal(
    errorLine(new MixError('NO_GATEWAY', 'two\nlines'), 'mixsocks proxy'),
    `mixsocks proxy: two lines (${ERRORS.NO_GATEWAY.help})`,
  );
  t.equal(errorLine(new MixError('CONFIG', 'x is wrong'), 'mixsocks'), 'mixsocks: x is wrong');
  t.match(errorLine(new Error('boom'), 'mixsocks'), /boom \(this is a defect/);
  const nested = errorLine(new MixError('INTERNAL', `a: b (${ERRORS.INTERNAL.help})`), 'mixsocks');
  t.equal(nested.split('defect').length, 2, 'advice is given once');
  for (const { exitCode } of Object.values(ERRORS)) {
    t.match(exitCodesHelp(), new RegExp(`^ +${exitCode} {2}\\S`, 'm'), `exit code ${exitCode} is documented`);
  }
  t.end();
});

t.test('a local network is planned with the nodes and ports that its options say', async (t) => {
  const config = loadConfig(LocalnetConfig, { flags: { mixesPerLayer: '1', gateways: '1', rate: '7' }, env: {} });
  const slots = slotsOf(config);
  t.strictSame(
    slots.map(({ name }) => name),
    ['directory-1', 'mix-1-1', 'mix-2-1', 'mix-3-1', 'gateway-1', 'requester-1', 'proxy-1'],
  );
  for (const slot of slots) {
    const node = { ...slot, dir: '/net', address: '127.7.0.3', ports: { listen: 1, metrics: 2 }, identity: undefined };
    const role = await ROLES.find(({ name }) => name === slot.role)?.load();
    if (role === undefined) throw new Error(`no role ${slot.role}`);
    const parsed = role.schema.safeParse({ dir: '/net/x', ...configOf(node, config, 'a'.repeat(64)) });
    t.ok(parsed.success, `${slot.name}: ${parsed.error?.message}`);
    if (slot.role === 'directory') t.match(parsed.data, { mainRate: 7, minMixesPerLayer: 1, listen: '127.0.0.1:1' });
    else t.equal((parsed.data as { outboundAddress?: string }).outboundAddress, '127.7.0.3');
    if (slot.layer !== undefined) t.match(parsed.data, { listen: ['127.7.0.3:1'], metricsListen: '127.0.0.1:2' });
    if (slot.role === 'proxy') t.match(parsed.data, { socksListen: ['127.0.0.1:1'], statusListen: '127.0.0.1:2' });
  }
});

t.test('each node of a local network has an address of loopback, where the system has more than one', async (t) => {
  const names = ['mix-1-1', 'gateway-1', 'proxy-1'];
  const addresses = await ownAddresses(names, seededRng(1), async () => true);
  t.strictSame(Object.keys(addresses), names);
  t.equal(new Set(Object.values(addresses)).size, 3);
  for (const address of Object.values(addresses)) t.match(address, /^127\.(?!0)\d+\.\d+\.[123]$/);
  t.strictSame(await ownAddresses(names, seededRng(1), async () => false), {}, 'macOS');
  t.notOk(await hasAddress('192.0.2.1'));
  t.ok(await hasAddress('127.0.0.1'));
  const config = loadConfig(LocalnetConfig, { flags: {}, env: {} });
  for (const slot of slotsOf(config)) {
    const node = { ...slot, dir: '/net', address: '127.0.0.1', ports: { listen: 1, metrics: 2 }, identity: undefined };
    t.notMatch(JSON.stringify(configOf(node, config, 'a'.repeat(64))), /outboundAddress/, 'then the system chooses');
  }
});

t.test('free ports are distinct and below the ephemeral range; a taken one is named', async (t) => {
  const ports = await freePorts('127.0.0.1', 20, seededRng(1));
  t.equal(new Set(ports).size, 20);
  t.ok(ports.every((port) => port >= 10_240 && port < 32_768));
  await checkFree('127.0.0.1', 0);
  await checkFree('127.0.0.1', ports[0] ?? 0);
  const others = await freePorts('127.0.0.1', 20, seededRng(1)); // as by another process, whose nodes are down
  t.equal(new Set([...ports, ...others]).size, 40, 'what was found once is not found again');
});

t.test('the status is shown as text', (t) => {
  const node = { role: 'mixnode', layer: 1, excluded: false, loopsSent: 10, loopsReturned: 9 } as const;
  const mixing = {
    arrivalsPerSecond: 111,
    poolPackets: 1.67,
    othersPackets: 0.5,
    aloneShare: 0.07,
    enough: false,
    proxiesWanted: 8,
    delayWantedMs: 91,
    perUserPackets: 0.75,
    perUserEnough: false,
    perUserDelayMs: 40,
  };
  const opening = { upperMs: [100, 500, null], counts: [6, 3, 1], medianMs: 80.4, p90Ms: 444 };
  const status: Status = {
    ...STATUS,
    nodes: [
      { ...node, name: 'mix-1-10', health: 0.2, excluded: true },
      { ...node, name: 'mix-1-2', health: 0.9 },
    ],
    rates: { ...STATUS.rates, main: { set: 50, measured: 49.96 } },
    replies: [{ requester: 'requester-1', set: 100, measured: 99 }],
    slotsMissed: 12,
    memory: { usedBytes: 3_400_000, budgetBytes: 512_000_000 },
    troubles: {
      minutes: 10,
      verdict: '3 refused, slow or broken off in the last 10 minutes, all because of the exit.',
      reasons: [
        {
          reason: 'exit-refused',
          ...REASONS['exit-refused'],
          count: 3,
          what: ['3 connections refused'],
          secondsAgo: 200,
        },
      ],
    },
    streams: { connections: 2, open: 1, opened: 5, refused: { POLICY: 3 }, abandoned: 0, opening },
    sessions: [],
    surbs: { created: 1, used: 2, expired: 3, inFlight: 4, stock: 5.25, target: 6 },
    loops: { sent: 10, returned: 9, alarm: false },
    mixing,
  };
  const text = formatStatus(status);
  t.match(text, /^mixsocks 1\.2\.3: SOCKS5 on 127\.0\.0\.1:1080, ready, up 5 min$/m);
  t.match(text, /^gateway {2}gateway-1, link up, key exchange X25519MLKEM768$/m);
  t.match(text, /^main +50 {5}50\.0$/m);
  t.match(text, /^ {2}from requester-1 +100 +99$/m);
  t.match(text, /^mixing {3}about 1\.7 packets .* 0\.5 of them not yours: FEW; 8 more users or a mean delay of 91 ms/m);
  t.match(text, /^packets {2}2048 bytes, mean delay 15 ms at each mix$/m);
  const chosen = { ...status, network: { ...status.network, meanDelayMs: 62, mixingTarget: 60 } };
  t.match(formatStatus(chosen), /mean delay 62 ms at each mix, chosen each epoch for 60 packets in a mix$/m);
  t.match(text, /^ticks without a packet, seen as gaps: 12$/m);
  t.match(text, /^memory of queues: 3 of 512 MB$/m);
  t.match(text, /^loops {4}9 of 10 own loops returned$/m);
  t.match(formatStatus({ ...status, loops: { sent: 90, returned: 9, alarm: true } }), /returned: ALARM, too few/);
  t.match(text, /mix-1-2 .*90 %.*\nmix-1-10 .*20 %, excluded/);
  t.match(text, /0\.75 packets are in a layer at a time, .*\n.*--mean-delay-ms 40/);
  const many = { ...status, mixing: { ...mixing, perUserEnough: true } };
  t.notMatch(formatStatus(many), /--mean-delay-ms/);
  t.match(
    text,
    /^path health: layer 1 90 %, layer 2 not yet known, layer 3 not yet known/m,
    'avoided nodes do not count',
  );
  t.match(
    text,
    /^time to open: half within 80 ms, 9 of 10 within 444 ms\n +0\.1 s {2}#{30} {2}6\n +0\.5 s {2}#{15} +3\n +more {2}#{5} +1$/m,
  );
  const none = { ...opening, counts: [0, 0, 0], medianMs: null, p90Ms: null };
  t.match(formatStatus({ ...status, streams: { ...status.streams, opening: none } }), /no request yet/);
  t.match(text, /^streams: connections 2, open 1, opened 5, refused \(POLICY 3\), abandoned 0$/m);
  t.match(formatStatus({ ...status, ready: false, gateway: null, epoch: null }), /NOT READY[\s\S]*gateway {2}none/);
  t.end();
});
