import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { z } from 'zod';
import { DirectoryConfig } from '../../directory/config.ts';
import { GatewayConfig } from '../../gateway/config.ts';
import { type ConfigSchema, type ConfigSources, loadConfig, optionsOf } from '../../lib/config/config.ts';
import { editDistance, nearestName } from '../../lib/config/nearest-name.ts';
import { MixnodeConfig } from '../../mixnode/config.ts';
import { RequesterConfig } from '../../network-requester/config.ts';
import { ProxyConfig } from '../../proxy/config.ts';

const Schema = z.strictObject({
  dir: z.string().default('.').describe('folder of the keys'),
  networkFile: z.string().describe('the network'),
  meanDelayMs: z.number().positive().default(15).describe('mean delay'),
  maxStreams: z.number().int().min(1).default(1024),
  allowPrivate: z.boolean().default(false).describe('allow private ranges'),
  downlink: z.enum(['steady', 'burst']).default('steady'),
  peers: z.array(z.string()).default([]),
  family: z.string().optional(),
});

const none: ConfigSources = { flags: {}, env: {} };
const load = (sources: Partial<ConfigSources>) => loadConfig(Schema, { ...none, ...sources });

function file(t: Test, content: unknown): string {
  const path = join(t.testdir(), 'config.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

t.test('options are derived from the schema', (t) => {
  const options = optionsOf(Schema);
  t.match(options[2], {
    key: 'meanDelayMs',
    flag: '--mean-delay-ms',
    variable: 'MIXSOCKS_MEAN_DELAY_MS',
    kind: 'number',
    description: 'mean delay',
    required: false,
    defaultValue: 15,
  });
  t.match(options[1], { key: 'networkFile', required: true, kind: 'string' });
  t.match(options[3], { kind: 'number', defaultValue: 1024 });
  t.match(options[4], { kind: 'boolean', defaultValue: false });
  t.strictSame(options[5]?.choices, ['steady', 'burst']);
  t.match(options[6], { kind: 'list' });
  t.match(options[7], { required: false, defaultValue: undefined, kind: 'string' });
  t.end();
});

t.test('a flag beats the environment, which beats the file, which beats the default', (t) => {
  const path = file(t, { networkFile: '/n.json', meanDelayMs: 20, maxStreams: 5, downlink: 'burst' });
  const env = { MIXSOCKS_MEAN_DELAY_MS: '30', MIXSOCKS_MAX_STREAMS: '6', MIXSOCKS_FAMILY: '' };
  const config = load({ file: path, env, flags: { meanDelayMs: '40', family: undefined } });
  t.strictSame(config, {
    dir: '.',
    networkFile: '/n.json',
    meanDelayMs: 40,
    maxStreams: 6,
    allowPrivate: false,
    downlink: 'burst',
    peers: [],
  });
  t.end();
});

t.test('a fallback beats the default of the schema and nothing else', (t) => {
  const fallbacks = { networkFile: '/fallback.json', meanDelayMs: 99, strange: 1 };
  t.match(load({ fallbacks }), { networkFile: '/fallback.json', meanDelayMs: 99 });
  t.match(load({ fallbacks, flags: { meanDelayMs: '1' }, env: { MIXSOCKS_NETWORK_FILE: 'e' } }), {
    networkFile: 'e',
    meanDelayMs: 1,
  });
  t.end();
});

t.test('a text becomes a value of the kind that the schema says', (t) => {
  const flags = { networkFile: 'n', allowPrivate: 'yes', peers: 'a, b', meanDelayMs: '1.5' };
  t.match(load({ flags }), { allowPrivate: true, peers: ['a', 'b'], meanDelayMs: 1.5 });
  t.match(load({ flags: { networkFile: 'n', allowPrivate: true } }), { allowPrivate: true });
  t.match(load({ flags: { networkFile: 'n' }, env: { MIXSOCKS_ALLOW_PRIVATE: '0' } }), { allowPrivate: false });
  t.end();
});

t.test('paths in a config file are relative to it, elsewhere to where the user stands', (t) => {
  const path = file(t, { networkFile: '../network.json' });
  t.equal(load({ file: path }).networkFile, join(path, '../../network.json'));
  t.equal(load({ file: path, flags: { networkFile: 'here.json' } }).networkFile, 'here.json');
  t.end();
});

t.test('a wrong option gives one line that names its source', (t) => {
  const path = file(t, { networkFile: 'n', meanDelay: 20 });
  const wrong: [Partial<ConfigSources>, string | RegExp][] = [
    [{ file: path }, `unknown key "meanDelay" in ${path}; did you mean "meanDelayMs"?`],
    [{}, 'networkFile is missing: give --network-file, MIXSOCKS_NETWORK_FILE or "networkFile" in the config file'],
    [{ flags: { meanDelayMs: 'fast' } }, "--mean-delay-ms: 'fast' is not a number"],
    [{ flags: { meanDelayMs: '' } }, "--mean-delay-ms: '' is not a number"],
    [{ flags: { meanDelayMs: '1e3' } }, "--mean-delay-ms: '1e3' is not a number"],
    [{ env: { MIXSOCKS_ALLOW_PRIVATE: 'maybe' } }, "MIXSOCKS_ALLOW_PRIVATE: 'maybe' is not true or false"],
    [{ flags: { networkFile: 'n', meanDelayMs: '-1' } }, /^--mean-delay-ms: Too small/],
    [{ flags: { networkFile: 'n' }, env: { MIXSOCKS_MAX_STREAMS: '1.5' } }, /^MIXSOCKS_MAX_STREAMS: .*int/],
    [{ flags: { networkFile: 'n', downlink: 'brust' } }, /^--downlink: .*; did you mean "burst"\?$/],
  ];
  for (const [sources, message] of wrong) t.throws(() => load(sources), { code: 'CONFIG', message });
  t.end();
});

t.test('a config file that is not a JSON object is refused', (t) => {
  for (const content of ['{ "dir": ', '[]', 'null', '"x"']) {
    const path = file(t, content);
    const message = new RegExp(`^${path} (is not JSON|must hold one JSON object)[^\\n]*$`);
    t.throws(() => load({ file: path }), { code: 'CONFIG', message });
  }
  t.throws(() => load({ file: t.testdir() }), { code: 'CONFIG', message: / is a folder, not a file$/ });
  t.throws(() => load({ file: join(t.testdir(), 'none.json') }), { message: /networkFile is missing/ });
  t.throws(() => load({ file: file(t, { networkFile: 7 }) }), { message: /^"networkFile" in .*config\.json: Invalid/ });
  t.end();
});

t.test('the nearest known name is suggested for one that is misspelt', (t) => {
  const known = ['meanDelayMs', 'maxStreams', 'downlink', 'socksListen'];
  t.equal(nearestName('mean-delay-ms', known), 'meanDelayMs');
  t.equal(nearestName('maxSteams', known), 'maxStreams');
  t.equal(nearestName('donwlink', known), 'downlink');
  t.equal(nearestName('socks', known), 'socksListen');
  t.equal(nearestName('colour', known), undefined);
  t.equal(nearestName('x', []), undefined);
  t.equal(editDistance('ab', 'ba'), 1);
  t.equal(editDistance('', 'abc'), 3);
  t.equal(editDistance('kitten', 'sitting'), 3);
  t.end();
});

t.test('an address that is none is a fault of its option, whichever role has it', (t) => {
  const wrong: readonly (readonly [ConfigSchema, Readonly<Record<string, unknown>>, RegExp | string])[] = [
    [
      MixnodeConfig,
      { listen: '127.0.0.1:80x' },
      "--listen: '127.0.0.1:80x' is not an address: write host:port, as 127.0.0.1:1080",
    ],
    [MixnodeConfig, { listen: ['127.0.0.1:1', ''] }, /^--listen: '' is not an address: .* at 1$/],
    [MixnodeConfig, { listen: 5 }, '--listen: expected a text, or a list of texts'],
    [MixnodeConfig, { listen: [] }, /^--listen: Too small/],
    [MixnodeConfig, { advertise: 'http://x:1' }, /^--advertise: 'http:\/\/x:1' is not an address/],
    [GatewayConfig, { metricsListen: 'x' }, /^--metrics-listen: 'x' is not an address/],
    [RequesterConfig, { metricsListen: '1080' }, /^--metrics-listen: '1080' is not an address/],
    [DirectoryConfig, { listen: 'localhost' }, /^--listen: 'localhost' is not an address/],
    [DirectoryConfig, { metricsListen: '::1:80' }, /^--metrics-listen: '::1:80' is not an address/],
    [ProxyConfig, { socksListen: '[::1]:x' }, /^--socks-listen: '\[::1\]:x' is not an address/],
    [
      ProxyConfig,
      { socksListen: '127.0.0.1:1080+safe-sock' },
      /^--socks-listen: .*there is no option 'safe-sock' of a listener/,
    ],
    [ProxyConfig, { socksListen: ['unix:'] }, /^--socks-listen: 'unix:' names no file/],
    [ProxyConfig, { statusListen: '127.0.0.1:65536' }, /^--status-listen: '127.0.0.1:65536' is not an address/],
  ];
  for (const [schema, given, message] of wrong) {
    const flags = { dir: 'd', networkFile: 'n', name: 'x', ...given };
    t.throws(() => loadConfig(schema, { flags, env: {} }), { code: 'CONFIG', message });
  }
  t.end();
});
