import { SocksClient } from 'socks';
import t, { type Test } from 'tap';
import { DEFAULT_SESSION_PARAMS } from '../../lib/core/session-params.ts';
import { Egress } from '../../network-requester/egress/egress.ts';
import { ExitPolicy } from '../../network-requester/policy/exit-policy.ts';
import { parseRules } from '../../network-requester/policy/exit-rules.ts';
import { startFront } from '../../proxy/front/front.ts';
import {
  connectRequest,
  eventually,
  GREETING,
  RawClient,
  startWorld,
  testComponents,
  type WorldOptions,
} from '../support/front-world.ts';
import { ScriptedOpener } from '../support/scripted-opener.ts';
import { SessionOpener } from '../support/sim/session-opener.ts';
import {
  type Announced,
  Associated,
  associate,
  dnsAddress,
  dnsAnswer,
  dnsQuery,
  UdpPeer,
  udpRequest,
} from '../support/udp.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

async function world(t: Test, options: WorldOptions = {}) {
  const started = await startWorld(options);
  t.teardown(() => started.stop());
  const metric = async (name: string, label: string) => {
    const text = await started.metrics.text();
    return Number(new RegExp(`${name}\\{${label}\\} (\\d+)`).exec(text)?.[1] ?? 0);
  };
  return {
    ...started,
    associate: (host?: string) => Associated.open(t, started.port, host),
    atProxy: (fate: string) => metric('proxy_datagrams_total', `fate="${fate}"`),
    atExit: (fate: string) => metric('requester_datagrams_total', `fate="${fate}"`),
  };
}

/** Polls an asynchronous condition. */
async function soon(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 2));
}

t.test('datagrams of every size go there and back, by address and by name', async (t) => {
  const { associate, front, egress } = await world(t);
  const echo = await UdpPeer.echo(t);
  const client = await associate();
  t.equal(client.relay.host, '127.0.0.1', 'an address that the client can reach');
  let index = 0;
  for (const host of ['127.0.0.1', 'localhost']) {
    for (const size of [0, 1, 512, 1400, 1401, 9000, 60_000]) {
      const sent = Buffer.alloc(size, index + 1);
      client.send(host, echo.port, sent);
      const { bytes, from } = await client.peer.datagram(index++);
      t.equal(from.port, client.relay.port);
      const expected = udpRequest('127.0.0.1', echo.port, sent);
      t.ok(bytes.equals(expected), `${host}, ${size} bytes: ${bytes.subarray(0, 12).toString('hex')}`);
    }
  }
  t.match(front.streams(), { open: 1, opened: 1 });
  t.equal(egress.counts().active, 1);
});

t.test('several sites share one association, and each answer names its site', async (t) => {
  const { associate } = await world(t);
  const sites = await Promise.all([UdpPeer.echo(t), UdpPeer.echo(t), UdpPeer.echo(t)]);
  const client = await associate();
  for (const [i, site] of sites.entries()) client.send('127.0.0.1', site.port, Buffer.from(`to ${i}`));
  await client.peer.datagram(2);
  const answers = client.peer.received.map(({ bytes }) => `${bytes.readUInt16BE(8)} ${bytes.subarray(10)}`);
  t.same(answers.sort(), sites.map((site, i) => `${site.port} to ${i}`).sort());
  const from = new Set(sites.map((site) => site.received[0]?.from.port));
  t.equal(from.size, 1, 'the exit uses one port for all of them');
});

t.test('IPv6 works as target and as the way to the proxy', async (t) => {
  const { associate } = await world(t, { front: { listen: '[::1]:0' } });
  const echo = await UdpPeer.echo(t, '::1');
  const client = await associate('::1');
  t.equal(client.relay.host, `${'0'.repeat(31)}1`);
  client.send('::1', echo.port, Buffer.from('six'));
  const { bytes } = await client.peer.datagram(0);
  t.equal(bytes.toString('hex', 0, 4), '00000004');
  t.equal(bytes.subarray(22).toString(), 'six');
});

t.test('npm socks associates and gets its answer', async (t) => {
  const { port } = await world(t);
  const echo = await UdpPeer.echo(t);
  const udp = await UdpPeer.open(t);
  const proxy = { host: '127.0.0.1', port, type: 5 } as const;
  const relayPort = await associate(t, proxy);
  const remoteHost = { host: '127.0.0.1', port: echo.port };
  udp.send(SocksClient.createUDPFrame({ remoteHost, data: Buffer.from('framed') }), relayPort);
  const { bytes } = await udp.datagram(0);
  t.match(SocksClient.parseUDPFrame(bytes), { frameNumber: 0, remoteHost, data: Buffer.from('framed') });
});

t.test('a DNS query is answered', async (t) => {
  const { associate } = await world(t);
  const server = await UdpPeer.open(t, '127.0.0.1', (peer, bytes, from) =>
    peer.send(dnsAnswer(bytes, '192.0.2.7'), from.port, from.address),
  );
  const client = await associate();
  client.send('127.0.0.1', server.port, dnsQuery(77, 'www.example.org'));
  const answer = (await client.peer.datagram(0)).bytes.subarray(10);
  t.equal(answer.readUInt16BE(0), 77);
  t.equal(dnsAddress(answer), '192.0.2.7');
});

t.test('an association works over a session that loses and reorders packets', async (t) => {
  const components = testComponents();
  const egress = new Egress({ components, allowPrivate: true });
  const session = new SessionOpener(egress.accept);
  const front = await startFront({ listen: '127.0.0.1:0', opener: session, components, allowPrivate: true });
  t.teardown(async () => {
    await front.stop();
    egress.stop();
    await session.stop();
  });
  const echo = await UdpPeer.echo(t);
  const client = await Associated.open(t, Number(front.listen.split(':').at(-1)));
  for (let i = 0; i < 100; i++) {
    client.send('localhost', echo.port, Buffer.alloc(i === 50 ? 20_000 : 1200, i));
    const restMs = session.sim.nowMs + 10;
    if (i % 5 === 4) await eventually(() => session.sim.nowMs > restMs); // as much as the session carries
  }
  await eventually(() => client.peer.received.length >= 75);
  await eventually(() => client.peer.received.some(({ bytes }) => bytes.byteLength > 20_000));
  for (const { bytes } of client.peer.received) {
    const data = bytes.subarray(10);
    t.ok(data.every((byte) => byte === data[0]) && data.byteLength === (data[0] === 50 ? 20_000 : 1200));
  }
  const seen = client.peer.received.map(({ bytes }) => bytes[10]);
  t.equal(new Set(seen).size, seen.length, 'none twice');
  client.control.socket.end();
  await eventually(() => egress.counts().active === 0 && session.streamsOpen() === 0);
});

t.test('datagrams that are dropped on the way out are counted', async (t) => {
  const { associate, atProxy } = await world(t, { front: { allowPrivate: false } });
  const client = await associate();
  const data = Buffer.from('x');
  client.send('198.18.0.1', 9, data); // not allowed: it is no address of the internet
  client.send('router.local', 9, data);
  client.send('hidden.onion', 9, data);
  client.send('a b', 9, data);
  client.send('8.8.8.8', 0, data);
  client.send('8.8.8.8', 9, data, 1);
  client.send('8.8.8.8', 9, data, 0x80);
  const relayed = (bytes: Buffer) => client.peer.send(bytes, client.relay.port);
  relayed(Buffer.alloc(0));
  relayed(Buffer.from([0, 0, 0, 1, 8, 8]));
  relayed(Buffer.from([0, 1, 0, 1, 8, 8, 8, 8, 0, 9]));
  relayed(Buffer.from([0, 0, 0, 2, 8, 8, 8, 8, 0, 9]));
  await soon(async () => (await atProxy('policy')) === 5);
  await soon(async () => (await atProxy('fragment')) === 2);
  await soon(async () => (await atProxy('malformed')) === 4);
  t.equal(await atProxy('up'), 0);
});

t.test('nobody but the client is heard', async (t) => {
  const { associate, atProxy } = await world(t);
  const echo = await UdpPeer.echo(t);
  const client = await associate();
  const stranger = await UdpPeer.open(t, '127.0.0.2');
  const request = udpRequest('127.0.0.1', echo.port, Buffer.from('evil'));
  stranger.send(request, client.relay.port);
  await soon(async () => (await atProxy('foreign')) === 1);
  client.send('127.0.0.1', echo.port, Buffer.from('good'));
  await client.peer.datagram(0);
  // From the first datagram on also the port is the client's: another user of its machine is somebody else.
  const neighbour = await UdpPeer.open(t);
  neighbour.send(request, client.relay.port);
  await soon(async () => (await atProxy('foreign')) === 2);
  client.send('127.0.0.1', echo.port, Buffer.from('good'));
  t.equal((await client.peer.datagram(1)).bytes.subarray(10).toString(), 'good');
  t.same([echo.received.length, stranger.received.length, neighbour.received.length], [2, 0, 0]);
});

t.test('the port of the request counts beside the own address of the client only', async (t) => {
  const { port } = await world(t, { front: { listen: '127.0.0.1:0' } });
  const { port: port6 } = await world(t, { front: { listen: '[::1]:0' } });
  const [site, site6] = [await UdpPeer.echo(t), await UdpPeer.echo(t, '::1')];
  const mapped = (...ipv4: number[]) => [...new Array<number>(10).fill(0), 255, 255, ...ipv4];
  const loopback6 = [...new Array<number>(15).fill(0), 1];
  const foreign: readonly (readonly [string, Announced['host']])[] = [
    ['zeros', [0, 0, 0, 0]],
    ['zeros of IPv6', new Array<number>(16).fill(0)],
    ['an IPv4 address of a site', [192, 0, 2, 7]],
    ['another loopback address', [127, 0, 0, 2]],
    ['an IPv4-mapped address of a site', mapped(192, 0, 2, 7)],
    ['an IPv6 address of a site', [0x20, 1, 0x0d, 0xb8, ...new Array<number>(11).fill(0), 1]],
    ['a name', 'stun.example.org'],
    ['a name of this machine, which is not looked up', 'localhost'],
    ['an empty name', ''],
  ];
  for (const [what, host] of foreign) {
    for (const [proxyPort, own, echo] of [
      [port, '127.0.0.1', site],
      [port6, '::1', site6],
    ] as const) {
      const client = await Associated.open(t, proxyPort, own, { host, port: 3478 });
      client.send(own === '::1' ? 'localhost' : own, own === '::1' ? site.port : echo.port, Buffer.from('hi'));
      t.equal((await client.peer.datagram(0)).bytes.subarray(-2).toString(), 'hi', `${what}, from ${own}`);
      client.control.socket.destroy();
    }
  }
  const ownAddress: readonly (readonly [string, Announced['host'], number, string])[] = [
    ['IPv4', [127, 0, 0, 1], port, '127.0.0.1'],
    ['IPv4-mapped', mapped(127, 0, 0, 1), port, '127.0.0.1'],
    ['IPv4 as text', '127.0.0.1', port, '127.0.0.1'],
    ['IPv6', loopback6, port6, '::1'],
  ];
  for (const [what, host, proxyPort, own] of ownAddress) {
    const sender = await UdpPeer.open(t, own);
    const client = await Associated.open(t, proxyPort, own, { host, port: sender.port });
    client.send('localhost', site.port, Buffer.from('from elsewhere'));
    sender.send(udpRequest('localhost', site.port, Buffer.from('own')), client.relay.port, own);
    t.equal((await sender.datagram(0)).bytes.subarray(-3).toString(), 'own', what);
    t.equal(client.peer.received.length, 0, `${what}: another port than the one announced is not the client`);
  }
});

t.test('noise does not take the association over', async (t) => {
  const { associate, atProxy } = await world(t);
  const echo = await UdpPeer.echo(t);
  const client = await associate();
  (await UdpPeer.open(t)).send(Buffer.from('noise'), client.relay.port);
  await soon(async () => (await atProxy('malformed')) === 1);
  client.send('127.0.0.1', echo.port, Buffer.from('mine'));
  t.equal((await client.peer.datagram(0)).bytes.subarray(10).toString(), 'mine');
});

t.test('the exit passes on only what was asked for', async (t) => {
  const { associate, atExit } = await world(t);
  const site = await UdpPeer.open(t);
  const other = await UdpPeer.open(t);
  const client = await associate();
  client.send('127.0.0.1', site.port, Buffer.from('hello'));
  const { from } = await site.datagram(0);
  other.send(Buffer.from('uninvited'), from.port);
  await soon(async () => (await atExit('foreign')) === 1);
  site.send(Buffer.from('welcome'), from.port);
  t.equal((await client.peer.datagram(0)).bytes.subarray(10).toString(), 'welcome');
  t.equal(client.peer.received.length, 1);
});

t.test("the exit's policy holds for each datagram", async (t) => {
  const closed = await UdpPeer.echo(t);
  const echo = await UdpPeer.echo(t);
  const { clock } = testComponents();
  const rules = parseRules(`reject *:${closed.port}\naccept *:*`);
  const policy = new ExitPolicy({ clock, allowPrivate: true, rules });
  const zone: Readonly<Record<string, readonly string[]>> = {
    'a.example': ['::1', '127.0.0.1'],
    'b.example': ['0.0.0.0'],
  };
  const resolve = async (name: string) => zone[name] ?? Promise.reject(new Error('none'));
  const { associate, atExit } = await world(t, { egress: { policy, resolver: { resolve, reverse: resolve } } });
  const client = await associate();
  client.send('127.0.0.1', closed.port, Buffer.from('x'));
  client.send('a.example', closed.port, Buffer.from('x'));
  client.send('b.example', echo.port, Buffer.from('x'));
  client.send('none.example', echo.port, Buffer.from('x'));
  client.send('a.example', echo.port, Buffer.from('open'));
  t.equal((await client.peer.datagram(0)).bytes.subarray(10).toString(), 'open', 'IPv4, when there is a choice');
  t.same([await atExit('policy'), await atExit('unresolved'), await atExit('up')], [3, 1, 1]);
  t.equal(closed.received.length, 0);
});

t.test('an exit that keeps out private addresses', async (t) => {
  const { associate, atExit } = await world(t, { egress: { allowPrivate: false } });
  const echo = await UdpPeer.echo(t);
  const client = await associate();
  client.send('127.0.0.1', echo.port, Buffer.from('x'));
  client.send('localhost', echo.port, Buffer.from('x'));
  await soon(async () => (await atExit('policy')) === 2);
  t.equal(echo.received.length, 0);
});

t.test('it ends with the connection that asked for it, and not before', async (t) => {
  for (const end of ['end', 'destroy', 'resetAndDestroy'] as const) {
    const { associate, front, egress } = await world(t);
    const echo = await UdpPeer.echo(t);
    const client = await associate();
    client.control.socket.write('what is said on it means nothing');
    client.send('127.0.0.1', echo.port, Buffer.from('1'));
    await client.peer.datagram(0);
    t.match(front.streams(), { open: 1 });
    client.control.socket[end]();
    await eventually(() => egress.counts().active === 0 && front.streams().open === 0);
    client.send('127.0.0.1', echo.port, Buffer.from('2'));
    await eventually(() => front.streams().connections === 0);
    t.equal(echo.received.length, 1, end);
  }
});

t.test('when the exit ends it, the client learns of it', async (t) => {
  const { associate, front, pairs } = await world(t);
  const client = await associate();
  pairs.opened[0]?.far.reset('LIMIT');
  await client.control.gone();
  t.equal(front.streams().open, 0);
});

t.test('an exit without UDP refuses', async (t) => {
  const { port } = await world(t, { egress: { allowUdp: false } });
  const raw = await RawClient.connect(port);
  t.teardown(() => raw.socket.destroy());
  raw.socket.write(Buffer.concat([GREETING, connectRequest([0, 0, 0, 0], 0, 3)]));
  t.equal((await raw.rest()).subarray(2).toString('hex'), '05070001000000000000');
});

/** A front whose other side is played by the test. */
async function scripted(t: Test, options: object = {}) {
  const opener = new ScriptedOpener();
  const clock = new VirtualClock();
  const components = { ...testComponents(), clock };
  const front = await startFront({ listen: '127.0.0.1:0', opener, components, allowPrivate: false, ...options });
  t.teardown(() => front.stop());
  const raw = await RawClient.connect(Number(front.listen.split(':').at(-1)));
  t.teardown(() => raw.socket.destroy());
  raw.socket.write(Buffer.concat([GREETING, connectRequest([0, 0, 0, 0], 0, 3)]));
  return { opener, front, raw, components, clock };
}

t.test('success is told when the requester has agreed', async (t) => {
  const { opener, raw } = await scripted(t);
  const stream = await opener.stream(0);
  t.match(stream.target, { kind: 'udp', host: '0.0.0.0', port: 0 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(raw.receivedBytes, 2, 'the method, and nothing else yet');
  stream.handlers.onOpened({ host: '0.0.0.0', port: 0 });
  const reply = (await raw.bytes(12)).subarray(2);
  t.equal(reply.toString('hex', 0, 8), '050000017f000001');
  stream.handlers.onReset('TIMEOUT');
  await raw.gone();
});

t.test('nonsense from the requester ends an association, and silence times out', async (t) => {
  const first = await scripted(t);
  const stream = await first.opener.stream(0);
  stream.handlers.onOpened({ host: '0.0.0.0', port: 0 });
  await first.raw.bytes(12);
  stream.handlers.onDatagram?.('no address', 1, Buffer.from('x'));
  t.equal(stream.resetCode, undefined, 'one datagram that makes no sense is lost');
  stream.handlers.onData(Buffer.from([0xff, 0xff, 0xff, 0xff]));
  await first.raw.gone();
  t.equal(stream.resetCode, 'MALFORMED');
  const second = await scripted(t);
  const silent = await second.opener.stream(0);
  second.clock.advance(DEFAULT_SESSION_PARAMS.openTimeoutMs);
  t.equal((await second.raw.rest()).subarray(2).toString('hex', 0, 2), '0506');
  t.equal(silent.resetCode, 'TIMEOUT');
});

t.test('safe-socks lets only names and name servers through', async (t) => {
  const { opener, raw } = await scripted(t, { safeSocks: true });
  const stream = await opener.stream(0);
  stream.handlers.onOpened({ host: '0.0.0.0', port: 0 });
  const port = (await raw.bytes(12)).readUInt16BE(10);
  const client = await UdpPeer.open(t);
  const send = (host: string, to: number) => client.send(udpRequest(host, to, Buffer.from('x')), port);
  send('8.8.8.8', 443);
  send('example.org', 443);
  send('9.9.9.9', 53);
  await stream.until(() => stream.datagrams.length === 2);
  t.same(
    stream.datagrams.map(({ host }) => host),
    ['example.org', '9.9.9.9'],
  );
});

t.test('large datagrams wait for room, and others are lost meanwhile', async (t) => {
  const { opener, raw, components } = await scripted(t);
  const stream = await opener.stream(0);
  stream.handlers.onOpened({ host: '0.0.0.0', port: 0 });
  const port = (await raw.bytes(12)).readUInt16BE(10);
  const client = await UdpPeer.open(t);
  stream.room = false;
  const large = udpRequest('example.org', 443, Buffer.alloc(5000));
  client.send(large, port);
  client.send(large, port);
  client.send(udpRequest('example.org', 443, Buffer.from('small')), port);
  await stream.until(() => stream.datagrams.length === 1);
  t.equal(stream.written.byteLength, 4 + 1 + 11 + 2 + 5000, 'one record');
  t.equal(stream.written.readUInt32BE(0), 1 + 11 + 2 + 5000);
  t.match(await components.metrics.text(), /proxy_datagrams_total\{fate="queue-full"\} 1/);
  stream.handlers.onDrain();
  client.send(large, port);
  await stream.until(() => stream.written.byteLength === 2 * (4 + 1 + 11 + 2 + 5000));
});
