import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { MixError } from '../../lib/core/errors.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { type Log, silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { type FrontOptions, startFront } from '../../proxy/front/front.ts';
import { LEAK_WARNING_PERIOD_MS } from '../../proxy/front/leak-warning.ts';
import { connectRequest, eventually, GREETING, RawClient } from '../support/front-world.ts';
import { ScriptedOpener } from '../support/scripted-opener.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const SUCCESS = Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
const failure = (reply: number) => Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]);
const LOOPBACK = '127.0.0.1:0';

/** A short path: a socket address has little room. */
function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'mixsocks-front-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  return dir;
}

/** A front with these listeners over a scripted opener. */
async function world(t: Test, options: Partial<FrontOptions> & Pick<FrontOptions, 'listen'>) {
  const clock = new VirtualClock();
  const opener = new ScriptedOpener();
  const metrics = new Metrics();
  const warnings: string[] = [];
  const note = (fields: object, message: string) => warnings.push(JSON.stringify(fields) + message);
  const log: Log = { ...silentLog, info: note, warn: note, error: note, child: () => log };
  const front = await startFront({ opener, components: { clock, log, metrics, rng: systemRng }, ...options });
  t.teardown(() => front.stop());
  const client = async (index = 0) => {
    const listen = front.listens[index] ?? '';
    const [host, port] = listen.split(':');
    const raw = await (host === 'unix' ? RawClient.connect(listen.slice(5)) : RawClient.connect(Number(port), host));
    t.teardown(() => raw.socket.destroy());
    return raw;
  };
  /** Sends a handshake in one piece; the reply without the method selection, when the connection was refused. */
  const ask = async (host: string | number[], index = 0) => {
    const raw = await client(index);
    raw.socket.write(Buffer.concat([GREETING, connectRequest(host, 443)]));
    t.same(await raw.bytes(2), Buffer.from([5, 0]));
    return raw;
  };
  /** The isolation token of a stream opened with this handshake. */
  const tokenOf = async (handshake: Buffer | string, index = 0) => {
    const at = opener.streams.length;
    const raw = await client(index);
    raw.socket.write(handshake);
    return (await opener.stream(at)).target.isolation;
  };
  return { clock, opener, metrics, warnings, front, client, ask, tokenOf };
}

t.test('a socket file is for its owner only, works like a port, and goes away', async (t) => {
  const path = join(folder(t), 'socks');
  const before = process.umask();
  const { ask, opener, front } = await world(t, { listen: `unix:${path}` });
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(process.umask(), before, 'the umask is as it was');
  t.same(front.listen, `unix:${path}`);
  const raw = await ask('example.org');
  (await opener.stream(0)).handlers.onOpened({ host: '0.0.0.0', port: 0 });
  t.same(await raw.bytes(10), SUCCESS);
  await front.stop();
  t.throws(() => statSync(path), { code: 'ENOENT' });
});

t.test('a socket file that was left behind is replaced; another file is not', async (t) => {
  const dir = folder(t);
  const stale = join(dir, 'stale');
  const left = createServer();
  await new Promise<void>((resolve) => left.listen(join(dir, 'old'), resolve));
  renameSync(join(dir, 'old'), stale); // so that closing does not remove it
  await new Promise((resolve) => left.close(resolve));
  const { ask } = await world(t, { listen: `unix:${stale}` });
  await ask('example.org');
  await t.rejects(world(t, { listen: `unix:${stale}` }), { code: 'LISTEN', message: /another program does/ });
  await ask('example.net');
  const file = join(dir, 'file');
  writeFileSync(file, 'precious');
  await t.rejects(world(t, { listen: `unix:${file}` }), { code: 'LISTEN', message: /no socket/ });
  t.equal(readFileSync(file, 'utf8'), 'precious');
  await t.rejects(world(t, { listen: `unix:${dir}/none/x` }), { code: 'LISTEN', message: /no such folder/ });
  await t.rejects(world(t, { listen: `unix:${file}/x` }), { code: 'LISTEN', message: /no such folder/ });
  await t.rejects(world(t, { listen: `unix:${dir}/${'x'.repeat(120)}` }), { code: 'LISTEN', message: /103 bytes/ });
});

t.test('addresses of other machines are refused unless they are meant', async (t) => {
  for (const listen of ['0.0.0.0:0', '[::]:0', '192.0.2.1:0', 'some-host:0']) {
    await t.rejects(world(t, { listen: [LOOPBACK, listen] }), { code: 'CONFIG', message: /--allow-remote/ }, listen);
  }
  const { warnings, ask } = await world(t, { listen: '0.0.0.0:0', allowRemote: true });
  t.match(warnings.join(), /other machines/);
  await ask('example.org');
});

t.test('when one address cannot be had, none is kept', async (t) => {
  const { front } = await world(t, { listen: LOOPBACK });
  const path = join(folder(t), 'socks');
  await t.rejects(world(t, { listen: [`unix:${path}`, front.listen] }), { code: 'LISTEN' });
  t.throws(() => statSync(path), { code: 'ENOENT' });
});

t.test('each listener has its own options', async (t) => {
  const { ask, opener } = await world(t, {
    listen: [LOOPBACK, `${LOOPBACK}+safe-socks`, `${LOOPBACK}+extended-errors`, `${LOOPBACK}+allow-private`],
  });
  opener.error = new MixError('LIMIT', 'full');
  t.same(await (await ask('example.org', 0)).rest(), failure(1));
  t.same(await (await ask('example.org', 2)).rest(), failure(0xf6), 'extended errors');
  t.same(await (await ask([93, 184, 216, 34], 0)).rest(), failure(1), 'addresses are let through');
  t.same(await (await ask([93, 184, 216, 34], 1)).rest(), failure(2), 'safe socks');
  t.same(await (await ask('93.184.216.34', 1)).rest(), failure(2), 'also as a name, as Chromium sends it');
  t.same(await (await ask('127.1', 1)).rest(), failure(2));
  t.same(await (await ask('example.org', 1)).rest(), failure(1), 'names are fine');
  t.same(await (await ask('127.0.0.1', 0)).rest(), failure(2));
  t.same(await (await ask('127.0.0.1', 3)).rest(), failure(1), 'allow-private');
});

t.test('safe socks in the other protocols', async (t) => {
  const { client } = await world(t, { listen: `${LOOPBACK}+safe-socks` });
  const socks4 = await client();
  socks4.socket.write(Buffer.from([4, 1, 0, 80, 93, 184, 216, 34, 0]));
  t.equal((await socks4.rest()).toString('hex'), '005b000000000000');
  const http = await client();
  http.socket.write('CONNECT [2606:2800:21f::1]:443 HTTP/1.1\r\n\r\n');
  t.match((await http.rest()).toString(), /^HTTP\/1\.1 403 .*Mixsocks-Error: UNSAFE/s);
});

t.test('an address in place of a name is warned of: rarely, and without saying which', async (t) => {
  const { ask, clock, warnings, metrics, opener } = await world(t, { listen: LOOPBACK, allowPrivate: true });
  opener.refusal = 'REFUSED';
  await (await ask('example.org')).rest();
  await (await ask([127, 0, 0, 1])).rest();
  t.same(warnings, [], 'names, and addresses that no resolver gave');
  for (let i = 0; i < 5; i++) await (await ask([93, 184, 216, 34])).rest();
  t.equal(warnings.length, 1);
  clock.advance(LEAK_WARNING_PERIOD_MS);
  await (await ask('93.184.216.35')).rest();
  t.equal(warnings.length, 2);
  t.match(warnings[1], '"streams":5', 'those that were not told of');
  t.notMatch(warnings.join(), /93\.184|443/);
  t.match(await metrics.text(), /addresses_for_names_total\{protocol="socks5"\} 6/);
});

t.test('an optimistic listener promises at once, and breaks its word with a reset', async (t) => {
  const { ask, opener, front } = await world(t, { listen: `${LOOPBACK}+optimistic` });
  const good = await ask('example.org');
  t.same(await good.bytes(10), SUCCESS, 'before the stream is open');
  const stream = await opener.stream(0);
  stream.handlers.onOpened({ host: '0.0.0.0', port: 0 });
  stream.handlers.onData(Buffer.from('hello'));
  t.equal((await good.bytes(5)).toString(), 'hello', 'and not a second time');
  const bad = await ask('example.org');
  t.same(await bad.bytes(10), SUCCESS);
  (await opener.stream(1)).handlers.onRefused('REFUSED');
  await bad.closed;
  t.equal(bad.error?.code, 'ECONNRESET');
  t.same(await (await ask('localhost')).rest(), failure(2), 'what is clear at once is told');
  t.match(front.streams(), { opened: 1, refused: { REFUSED: 1, POLICY: 1 } });
});

t.test('what keeps streams apart: listener, client address, credentials of every protocol', async (t) => {
  const { tokenOf } = await world(t, { listen: [LOOPBACK, LOOPBACK.replace('127.0.0.1', '127.0.0.2')] });
  const plain = Buffer.concat([GREETING, connectRequest('example.org', 443)]);
  const login = (user: string, password: string) =>
    Buffer.concat([
      Buffer.from([5, 2, 0, 2, 1, user.length, ...Buffer.from(user), password.length, ...Buffer.from(password)]),
      connectRequest('example.org', 443),
    ]);
  const http = (field: string) => `CONNECT example.org:443 HTTP/1.1\r\n${field}\r\n\r\n`;
  const socks4a = (user: string) => Buffer.from(`\x04\x01\x00\x50\0\0\0\x01${user}\0example.org\0`, 'latin1');
  const alice = await tokenOf(login('alice', 'x'));
  t.equal(await tokenOf(login('alice', 'x')), alice);
  t.equal(await tokenOf(plain), await tokenOf(http('Host: x')), 'none is none in any protocol');
  t.equal(await tokenOf(plain), await tokenOf(socks4a('')));
  const all = [
    alice,
    await tokenOf(plain),
    await tokenOf(plain, 1),
    await tokenOf(login('alice', 'y')),
    await tokenOf(login('alic', 'ex')),
    await tokenOf(login('', '')),
    await tokenOf(http('Proxy-Authorization: Basic YWxpY2U6eA==')),
    await tokenOf(socks4a('alice')),
  ];
  t.equal(new Set(all).size, all.length);
});

t.test('the cap on connections is one for all listeners', async (t) => {
  const { client, ask, metrics } = await world(t, {
    listen: [LOOPBACK, `unix:${join(folder(t), 'socks')}`],
    limits: { connections: 2 },
  });
  const first = await client(0);
  await ask('example.org', 1);
  await (await client(0)).gone();
  await (await client(1)).gone();
  t.match(await metrics.text(), /handshakes_failed_total\{reason="LIMIT"\} 2/);
  first.socket.destroy();
  await eventually(() => first.socket.closed);
  for (let tries = 0, ok = false; !ok && tries < 200; tries++) {
    const next = await client(1);
    next.socket.write(GREETING);
    ok = await next.bytes(2).then(
      () => true,
      () => false,
    );
  }
  t.pass('and room again');
});
