import { homedir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { loadConfig } from '../../lib/config/config.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { MAX_LISTENERS, ProxyConfig } from '../../proxy/config.ts';
import { IsolationTokens, type StreamOrigin } from '../../proxy/front/isolation.ts';
import { describeAddress, parseListener } from '../../proxy/front/listener.ts';
import { startProxy } from '../../proxy/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const crypto = createCrypto('fastest');

const DEFAULTS = {
  allowPrivate: false,
  safeSocks: false,
  extendedErrors: false,
  preferNoAuth: false,
  optimistic: false,
  isolateClients: true,
  isolateCredentials: true,
};
const parse = (text: string) => parseListener(text, DEFAULTS);

t.test('the address of a listener is read, and whether it is a loopback one', async (t) => {
  t.same(parse('127.0.0.1:1080').address, { kind: 'tcp', host: '127.0.0.1', port: 1080, loopback: true });
  t.match(parse('[::1]:0').address, { host: '::1', loopback: true });
  t.match(parse('localhost:1').address, { host: '127.0.0.1', loopback: true }, 'not left to the resolver');
  t.match(parse('127.9.9.9:1').address, { loopback: true });
  for (const remote of ['0.0.0.0:1', '192.168.0.2:1', '[::]:1', '[fe80::1]:1', 'myhost:1', '[::ffff:192.0.2.1]:1']) {
    t.match(parse(remote).address, { loopback: false }, remote);
  }
  t.same(parse('unix:/run/a b.sock').address, { kind: 'unix', path: '/run/a b.sock' });
  for (const text of ['127.0.0.1:1080', '[::1]:9', 'unix:/x']) t.equal(describeAddress(parse(text).address), text);
  for (const bad of ['', '1080', 'unix:', '127.0.0.1:65536', '::1:80']) {
    t.throws(() => parse(bad), { code: 'CONFIG' }, bad);
  }
});

t.test('a socket file may have any name: plus sign, comma and per cent sign have codes', async (t) => {
  const cases: readonly (readonly [text: string, path: string])[] = [
    ['unix:~/mixsocks.sock', join(homedir(), 'mixsocks.sock')],
    ['unix:/run/a%2Bb', '/run/a+b'],
    ['unix:/run/a%2cb%2bc', '/run/a,b+c'],
    ['unix:/run/100%', '/run/100%'],
    ['unix:/run/%20', '/run/%20'],
    ['unix:/run/%252B', '/run/%2B'],
    ['unix:/run/%25', '/run/%'],
  ];
  for (const [text, path] of cases) t.same(parse(text).address, { kind: 'unix', path }, text);
  for (const path of ['/a+b', '/a,b', '/%', '/%2B', '/%25', '/+,%+,%', '/a b', '/ü']) {
    const address = { kind: 'unix', path } as const;
    t.same(
      parse(`${describeAddress(address)}+safe-socks`),
      { ...parse('unix:/x+safe-socks'), ...{ address }, group: describeAddress(address) },
      path,
    );
    const { socksListen } = loadConfig(ProxyConfig, {
      flags: { dir: '/x', socksListen: `127.0.0.1:1,${describeAddress(address)}` },
      env: {},
    });
    t.same(
      socksListen.slice(1).map((text) => parse(text).address),
      [address],
      `${path} in a list of flags`,
    );
  }
});

t.test('a status page that other machines can reach is refused, unless it is meant', async (t) => {
  const components = { clock: new VirtualClock(), rng: seededRng(1), crypto, log: silentLog, metrics: new Metrics() };
  const start = (more: object) => startProxy(ProxyConfig.parse({ dir: t.testdir(), ...more }), components);
  for (const statusListen of ['0.0.0.0:0', '[::]:0', '192.168.0.2:1081']) {
    await t.rejects(start({ statusListen }), { code: 'CONFIG', message: /can be reached from other machines/ });
    // Goes on as far as its empty folder lets it.
    await t.rejects(start({ statusListen, allowRemote: true }), { message: /network\.json/ });
  }
  await t.rejects(start({ statusListen: 'localhost:0' }), { message: /network\.json/ });
});

t.test('the options of a listener are read', async (t) => {
  const given = parse('127.0.0.1:1080+safe-socks+extended-errors=yes+isolate-clients=no+optimistic+prefer-no-auth');
  t.match(given, {
    ...DEFAULTS,
    safeSocks: true,
    extendedErrors: true,
    isolateClients: false,
    optimistic: true,
    preferNoAuth: true,
  });
  const defaults = { ...DEFAULTS, safeSocks: true };
  t.match(parseListener('unix:/x', defaults), { safeSocks: true });
  t.match(parseListener('unix:/x+safe-socks=no', defaults), { safeSocks: false });
  t.throws(() => parse('127.0.0.1:1+save-socks'), { code: 'CONFIG', message: /did you mean 'safe-socks'/ });
  t.throws(() => parse('127.0.0.1:1+safe-socks=maybe'), { code: 'CONFIG', message: /yes or no/ });
  t.throws(() => parse('127.0.0.1:1+group'), { code: 'CONFIG', message: /group=NAME/ });
  t.throws(() => parse('127.0.0.1:1+toString'), { code: 'CONFIG' });
});

t.test('as configuration: a text, a list, or flags', async (t) => {
  const load = (value: unknown) => {
    const flags = { dir: '/x', socksListen: value };
    return loadConfig(ProxyConfig, { flags, env: {} }).socksListen;
  };
  t.same(load(undefined), ['127.0.0.1:1080']);
  t.same(load('127.0.0.1:1'), ['127.0.0.1:1']);
  t.same(load('127.0.0.1:1,unix:/x+safe-socks'), ['127.0.0.1:1', 'unix:/x+safe-socks']);
  t.same(ProxyConfig.parse({ dir: '/x', socksListen: '127.0.0.1:1' }).socksListen, ['127.0.0.1:1'], 'in a file');
  t.same(ProxyConfig.parse({ dir: '/x', socksListen: ['127.0.0.1:1', '[::1]:1'] }).socksListen.length, 2);
  t.throws(() => load([]), { code: 'CONFIG' });
  t.throws(() => load(new Array(MAX_LISTENERS + 1).fill('127.0.0.1:0')), { code: 'CONFIG' });
});

t.test('streams share an isolation token by the rules of their listener', async (t) => {
  const tokens = new IsolationTokens(seededRng(1));
  const origin: StreamOrigin = {
    listener: parse('127.0.0.1:1'),
    clientAddress: '127.0.0.1',
    protocol: 'socks5',
    credentials: undefined,
  };
  const token = (change: Partial<StreamOrigin> = {}) => tokens.tokenOf({ ...origin, ...change });
  t.equal(token(), token());
  t.equal(token({ protocol: 'http' }), token(), 'without credentials the protocol plays no role');
  const different = [
    token(),
    token({ clientAddress: '127.0.0.2' }),
    token({ listener: parse('127.0.0.1:2') }),
    token({ listener: parse('127.0.0.1:1+group=127.0.0.1:2') }),
    token({ credentials: '' }),
    token({ credentials: '\x01a\x01b' }),
    token({ credentials: '\x02ab\x00' }),
    token({ credentials: '\xff' }),
    token({ credentials: '\xfe' }),
    token({ credentials: 'a', protocol: 'http' }),
    token({ credentials: 'a' }),
    new IsolationTokens(seededRng(2)).tokenOf(origin),
  ];
  t.equal(new Set(different).size, different.length, 'all differ');
  t.equal(
    token({ listener: parse('127.0.0.1:1+group=g') }),
    token({ listener: parse('unix:/x+group=g') }),
    'one group',
  );
  const loose = parse('127.0.0.1:1+isolate-clients=no+isolate-credentials=no');
  t.equal(token({ listener: loose }), token({ listener: loose, clientAddress: '192.0.2.1', credentials: 'x' }));
  t.notOk(token({ credentials: 'password' }).includes('password'));
});
