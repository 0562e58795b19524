import t from 'tap';
import { type ErrorCode, MixError } from '../../lib/core/errors.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { DEFAULT_SESSION_PARAMS } from '../../lib/core/session-params.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { DEFAULT_FRONT_LIMITS } from '../../proxy/config.ts';
import { startFront } from '../../proxy/front/front.ts';
import { connectRequest, eventually, GREETING, RawClient } from '../support/front-world.ts';
import { BOUND, failure, SUCCESS, world } from '../support/scripted-front.ts';
import { ScriptedOpener } from '../support/scripted-opener.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

t.test('success is told when the stream is open, and not before', async (t) => {
  const { asking, front } = await world(t);
  const { raw, stream } = await asking();
  t.match(stream.target, { kind: 'tcp', host: 'example.org', port: 443 });
  raw.socket.write('more');
  await stream.until(() => stream.written.byteLength === 4);
  t.equal(raw.receivedBytes, 0, 'no reply yet');
  stream.handlers.onOpened({ host: '2001:db8::7', port: 1 });
  t.equal((await raw.bytes(22)).toString('hex'), '0500000420010db80000000000000000000000070001');
  t.match(front.streams(), { connections: 1, open: 1, opened: 1 });
});

t.test('early data is written in the same turn as the open', async (t) => {
  const { client, opener } = await world(t);
  const raw = await client();
  raw.socket.write(Buffer.concat([GREETING, connectRequest('example.org', 80), Buffer.from('GET / HTTP/1.0')]));
  const stream = await opener.stream(0);
  t.equal(stream.written.toString(), 'GET / HTTP/1.0');
});

t.test('data that overtakes the opened message follows the success reply', async (t) => {
  const { asking } = await world(t);
  const { raw, stream } = await asking();
  stream.handlers.onData(Buffer.from('body'));
  stream.handlers.onFin();
  stream.handlers.onOpened(BOUND);
  t.same(await raw.rest(), Buffer.concat([SUCCESS, Buffer.from('body')]));
});

t.test('a request that comes byte by byte is understood', async (t) => {
  const { client, opener } = await world(t);
  const raw = await client();
  for (const byte of Buffer.concat([GREETING, connectRequest([93, 184, 216, 34], 80), Buffer.from('x')])) {
    raw.socket.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  const stream = await opener.stream(0);
  t.match(stream.target, { host: '93.184.216.34', port: 80 });
  await stream.until(() => stream.written.toString() === 'x');
});

t.test('every refusal has its reply and ends the connection', async (t) => {
  const table: [ErrorCode, number][] = [
    ['POLICY', 2],
    ['NET_UNREACHABLE', 3],
    ['NOT_FOUND', 4],
    ['HOST_UNREACHABLE', 4],
    ['REFUSED', 5],
    ['TIMEOUT', 6],
    ['LIMIT', 1],
    ['SESSION_CLOSED', 1],
  ];
  const { client, opener, front } = await world(t);
  for (const [code, reply] of table) {
    opener.refusal = code;
    const raw = await client();
    raw.socket.write(Buffer.concat([GREETING, connectRequest('example.org', 443)]));
    t.same(await raw.rest(), Buffer.concat([Buffer.from([5, 0]), failure(reply)]), code);
    raw.socket.end();
    await raw.closed;
    t.equal(raw.error, undefined, 'an orderly end');
  }
  t.match(front.streams(), { opened: 0, open: 0, refused: { REFUSED: 1, NOT_FOUND: 1 } });
});

t.test('a reset before the opening is a failure too, and what cannot be opened at all', async (t) => {
  const { asking, client, opener } = await world(t);
  const { raw, stream } = await asking();
  stream.handlers.onReset('SESSION_CLOSED');
  t.same(await raw.rest(), failure(1));
  opener.error = new MixError('NO_GATEWAY', 'none');
  const other = await client();
  other.socket.write(Buffer.concat([GREETING, connectRequest('example.org', 443)]));
  t.same(await other.rest(), Buffer.concat([Buffer.from([5, 0]), failure(3)]));
});

t.test('a refusal on the spot is the only answer, and the connection ends', async (t) => {
  const { client, opener } = await world(t);
  opener.instantRefusal = 'LIMIT';
  const raw = await client();
  raw.socket.write(Buffer.concat([GREETING, connectRequest('example.org', 443), Buffer.from('early')]));
  t.same(await raw.rest(), Buffer.concat([Buffer.from([5, 0]), failure(1)]));
  const stream = await opener.stream(0);
  t.equal(stream.written.byteLength, 0, 'nothing is written to what was refused');
});

t.test('what must not leave the machine does not reach the opener', async (t) => {
  const { client, opener } = await world(t);
  const hosts: [string | number[], number][] = [
    ['localhost', 2],
    [[127, 0, 0, 1], 2],
    [[169, 254, 169, 254], 2],
    ['::1', 2],
    [[...new Array<number>(10).fill(0), 255, 255, 10, 0, 0, 1], 2],
    ['abc.onion', 2],
    ['a\0b.example', 8],
    ['', 8],
    ['user@example.org', 8],
  ];
  for (const [host, reply] of hosts) {
    const raw = await client();
    raw.socket.write(Buffer.concat([GREETING, connectRequest(host, 80)]));
    t.same(await raw.rest(), Buffer.concat([Buffer.from([5, 0]), failure(reply)]), JSON.stringify(host));
  }
  const raw = await client();
  raw.socket.write(Buffer.concat([GREETING, connectRequest('example.org', 0)]));
  t.same(await raw.rest(), Buffer.concat([Buffer.from([5, 0]), failure(5)]), 'port 0');
  t.same(opener.streams, []);
});

t.test('private destinations are asked for when allowed, link-local ones never', async (t) => {
  const { client, opener } = await world(t, { allowPrivate: true });
  const raw = await client();
  raw.socket.write(Buffer.concat([GREETING, connectRequest([...new Array<number>(15).fill(0), 1], 80)]));
  t.match((await opener.stream(0)).target, { host: '::1' });
  for (const host of [
    [169, 254, 169, 254],
    [0, 0, 0, 0],
    [224, 0, 0, 1],
  ]) {
    const other = await client();
    other.socket.write(Buffer.concat([GREETING, connectRequest(host, 80)]));
    t.same(await other.rest(), Buffer.concat([Buffer.from([5, 0]), failure(2)]), host.join('.'));
  }
});

t.test('SOCKS4, SOCKS4a and HTTP CONNECT on the same port: success, early data, failure', async (t) => {
  const { client, opener, front } = await world(t);
  const table: [string, Buffer | string, string, string][] = [
    ['SOCKS4', Buffer.from([4, 1, 0, 80, 93, 184, 216, 34, 0]), '005a000000000000', '005b000000000000'],
    ['SOCKS4a', Buffer.from('\x04\x01\x00\x50\0\0\0\x01user\0example.org\0'), '005a000000000000', '005b000000000000'],
    ['HTTP', 'CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\n\r\n', '200 Connection established', '502 '],
  ];
  const text = (bytes: Buffer) => (bytes[0] === 0 ? bytes.toString('hex', 0, 8) : bytes.toString());
  for (const [name, request, success, failed] of table) {
    const index = opener.streams.length;
    const raw = await client();
    raw.socket.write(Buffer.concat([Buffer.from(request), Buffer.from('early')]));
    const stream = await opener.stream(index);
    t.equal(stream.written.toString(), 'early', `${name}: early data in the same turn`);
    t.equal(stream.target.port, 80);
    stream.handlers.onOpened(BOUND);
    await raw.until(() => raw.receivedBytes >= 8);
    t.match(text(raw.received), success, name);
    stream.handlers.onReset('RESET');

    opener.refusal = 'REFUSED';
    const refused = await client();
    refused.socket.write(request);
    t.match(text(await refused.rest()), failed, name);
    opener.refusal = undefined;
  }
  t.match(front.streams(), { opened: 3, refused: { REFUSED: 3 } });
});

t.test('an HTTP failure names its code; a browser gets a page; TLS gets nothing', async (t) => {
  const { client, opener } = await world(t);
  opener.error = new MixError('NO_CONSENSUS', 'none');
  const ask = async (text: string) => {
    const raw = await client();
    raw.socket.write(text);
    return (await raw.rest()).toString();
  };
  const failed = await ask('CONNECT example.org:443 HTTP/1.1\r\n\r\n');
  t.match(failed, /^HTTP\/1\.1 503 .*\r\nMixsocks-Error: NO_CONSENSUS\r\n.*\r\n\r\nNO_CONSENSUS: /s);
  t.match(await ask('CONNECT localhost:443 HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 403 .*Mixsocks-Error: POLICY/s);
  const plain = await ask('GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n');
  t.match(plain, /^HTTP\/1\.1 503 .*\r\nMixsocks-Error: NO_CONSENSUS\r\n.*\r\n\r\nNO_CONSENSUS: /s);
  t.equal(await ask('\x16\x03\x01'), '');
});

t.test('a client that is too slow, or a stream that does not open, is ended in time', async (t) => {
  const { clock, client, asking, metrics } = await world(t);
  const silent = await client();
  const slow = await client();
  slow.socket.write(GREETING);
  await slow.bytes(2);
  clock.advance(DEFAULT_FRONT_LIMITS.handshakeMs - 1);
  t.notOk(silent.ended || slow.ended);
  clock.advance(1);
  await Promise.all([silent.gone(), slow.gone()]);
  t.match(await metrics.text(), /handshakes_failed_total\{reason="TIMEOUT"\} 2/);

  const { raw, stream } = await asking();
  clock.advance(DEFAULT_SESSION_PARAMS.openTimeoutMs);
  t.same(await raw.rest(), failure(6));
  t.equal(stream.resetCode, 'TIMEOUT', 'the requester need not go on');
  stream.handlers.onOpened(BOUND);
  t.notOk(raw.socket.closed, 'we wait for the client to close');
  clock.advance(DEFAULT_FRONT_LIMITS.failureLingerMs);
  raw.socket.resume().end();
  await raw.closed;
});

t.test('a half-close of the application closes half of the stream', async (t) => {
  const { open } = await world(t);
  const { raw, stream } = await open();
  raw.socket.end('request');
  await stream.until(() => stream.ended);
  t.equal(stream.written.toString(), 'request');
  stream.handlers.onData(Buffer.from('answer'));
  stream.handlers.onFin();
  t.equal((await raw.rest()).toString(), 'answer');
  await raw.closed;
  t.equal(stream.resetCode, undefined);
  t.equal(stream.consumed, 6);
});

t.test('a half-close of the stream closes half of the connection', async (t) => {
  const { open, front } = await world(t);
  const { raw, stream } = await open();
  stream.handlers.onFin();
  t.equal((await raw.rest()).byteLength, 0);
  raw.socket.write('still here');
  await stream.until(() => stream.written.toString() === 'still here');
  raw.socket.end();
  await stream.until(() => stream.ended);
  await raw.closed;
  await eventually(() => front.streams().open === 0);
  t.equal(stream.resetCode, undefined);
});

t.test('a reset goes through both ways', async (t) => {
  const { open, metrics } = await world(t);
  const first = await open();
  first.stream.handlers.onReset('RESET');
  await first.raw.closed;
  t.equal(first.raw.error?.code, 'ECONNRESET');
  const second = await open();
  second.raw.socket.resetAndDestroy();
  await second.stream.until(() => second.stream.resetCode === 'RESET');
  t.match(await metrics.text(), /streams_ended_total\{outcome="stream-reset"\} 1/);
  t.match(await metrics.text(), /streams_ended_total\{outcome="socket-reset"\} 1/);
});

t.test('an application that closes while it is being sent to', async (t) => {
  const { open } = await world(t);
  const { raw, stream } = await open();
  raw.socket.end();
  await stream.until(() => stream.ended);
  raw.socket.destroy();
  await raw.closed;
  const chunk = Buffer.alloc(1_000_000);
  for (let i = 0; i < 10; i++) stream.handlers.onData(chunk);
  await stream.until(() => stream.stopCode !== undefined);
  t.equal(stream.resetCode, undefined, 'what it had sent before its FIN still goes to the site');
  await stream.until(() => stream.consumed === 10_000_000);
});

t.test('an application that gives up while the stream opens ends it', async (t) => {
  const { asking, front } = await world(t);
  const { raw, stream } = await asking();
  raw.socket.resetAndDestroy();
  await stream.until(() => stream.resetCode !== undefined);
  t.match(front.streams(), { abandoned: 1, open: 0, opened: 0 });
  stream.handlers.onOpened(BOUND);
  t.match(front.streams(), { opened: 0 }, 'too late');
});

t.test('nothing about a destination is logged at info or above, nor counted', async (t) => {
  const lines: string[] = [];
  const note = (fields: object, message: string) => lines.push(JSON.stringify(fields) + message);
  const log = { ...silentLog, info: note, warn: note, error: note, child: () => log };
  const opener = new ScriptedOpener();
  const metrics = new Metrics();
  const components = { clock: new VirtualClock(), log, metrics, rng: systemRng };
  const front = await startFront({ listen: '127.0.0.1:0', opener, components, allowPrivate: false });
  opener.refusal = 'REFUSED';
  for (const host of ['secret.example', 'localhost', 'bad host', '198.51.100.7']) {
    const raw = await RawClient.connect(Number(front.listen.split(':')[1]));
    raw.socket.end(Buffer.concat([GREETING, connectRequest(host, 4242)]));
    await raw.rest();
  }
  const text = lines.join('\n') + (await metrics.text()) + JSON.stringify(front.streams());
  for (const word of ['secret', 'localhost', 'bad host', '198.51', '4242']) t.notMatch(text, word);
  await front.stop();
});

t.test('an address that cannot be had is named', async (t) => {
  const { front } = await world(t);
  const start = (listen: string) => {
    const components = { clock: new VirtualClock(), log: silentLog, metrics: new Metrics(), rng: systemRng };
    return startFront({ listen, opener: new ScriptedOpener(), components, allowPrivate: false });
  };
  await t.rejects(start(front.listen), { code: 'LISTEN' });
  await t.rejects(start('nowhere'), { code: 'CONFIG' });
});
