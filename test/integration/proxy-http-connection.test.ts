import t, { type Test } from 'tap';
import { systemRng } from '../../lib/core/rng.ts';
import { DEFAULT_SESSION_PARAMS } from '../../lib/core/session-params.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { DEFAULT_FRONT_LIMITS } from '../../proxy/config.ts';
import { startFront } from '../../proxy/front/front.ts';
import { MAX_PARALLEL, MAX_PIPELINED } from '../../proxy/front/http/connection.ts';
import { MAX_HTTP_HEADER_BYTES } from '../../proxy/front/http/server.ts';
import { eventually, RawClient } from '../support/front-world.ts';
import { HttpClient } from '../support/http-site.ts';
import { ScriptedOpener, type ScriptedStream } from '../support/scripted-opener.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const BOUND = { host: '0.0.0.0', port: 0 };

/** A front over a scripted opener on a virtual clock, and one client of it. */
async function world(t: Test) {
  const clock = new VirtualClock();
  const opener = new ScriptedOpener();
  const metrics = new Metrics();
  const components = { clock, log: silentLog, metrics, rng: systemRng };
  const front = await startFront({ listen: '127.0.0.1:0', opener, components });
  t.teardown(() => front.stop());
  const client = async () => {
    const raw = await RawClient.connect(Number(front.listen.split(':')[1]));
    t.teardown(() => raw.socket.destroy());
    return new HttpClient(raw);
  };
  return { clock, opener, metrics, front, client, asked: await client() };
}

const get = (path: string, method = 'GET') => `${method} http://a.example${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

/** Plays the site of a stream: one response with this body. */
function respond(stream: ScriptedStream, body: string): void {
  stream.handlers.onOpened(BOUND);
  stream.handlers.onData(Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`));
}

t.test('pipelined requests run side by side and are answered in their order', async (t) => {
  const { asked, opener, front } = await world(t);
  asked.send(get('/1') + get('/2') + get('/3'));
  const streams = [await opener.stream(0), await opener.stream(1), await opener.stream(2)];
  for (const [i, stream] of streams.entries()) await stream.until(() => stream.written.includes(`GET /${i + 1} `));
  respond(streams[2] as ScriptedStream, 'three.');
  respond(streams[1] as ScriptedStream, 'two.');
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(asked.text, '', 'the first is not there yet');
  respond(streams[0] as ScriptedStream, 'one.');
  await asked.upTo('three.');
  t.match(front.streams(), { opened: 3, connections: 1 });
});

t.test('what is not safe runs alone, and no more than so many side by side', async (t) => {
  const { asked, opener } = await world(t);
  asked.send(get('/1') + get('/2', 'POST') + get('/3'));
  respond(await opener.stream(0), 'one.');
  await asked.upTo('one.');
  const post = await opener.stream(1);
  await post.until(() => post.written.includes('POST /2 '));
  t.equal(opener.streams.length, 2, 'the third waits');
  respond(post, 'two.');
  respond(await opener.stream(2), 'three.');
  await asked.upTo('three.');
  asked.send(Array.from({ length: MAX_PARALLEL + 2 }, (_, i) => get(`/${i}`)).join(''));
  await opener.stream(2 + MAX_PARALLEL);
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(opener.streams.length, 3 + MAX_PARALLEL);
});

t.test('too many pipelined requests end the connection behind those that were taken', async (t) => {
  const { asked, opener } = await world(t);
  asked.send(Array.from({ length: MAX_PIPELINED + 500 }, (_, i) => get(`/${i}`)).join(''));
  for (let i = 0; i < MAX_PIPELINED; i++) respond(await opener.stream(i), `body ${i}.`);
  t.equal(await asked.ending(), 'end');
  t.match(asked.text, /body 63\.HTTP\/1\.1 503 [\s\S]*Mixsocks-Error: LIMIT\r\n[\s\S]*Connection: close/);
  t.equal(asked.text.match(/^HTTP\/1\.1 /gm)?.length, 1, 'and nothing behind it');
  t.equal(opener.streams.length, MAX_PIPELINED);
});

t.test('a request may come byte by byte, behind empty lines, with our FIN right behind it', async (t) => {
  const { asked, opener } = await world(t);
  for (const byte of `\r\n\n${get('/slow')}`) {
    asked.send(byte);
    await new Promise(setImmediate);
  }
  asked.raw.socket.end();
  const stream = await opener.stream(0);
  await stream.until(() => stream.written.includes('GET /slow '));
  respond(stream, 'answer');
  await asked.upTo('answer');
  await asked.raw.until(() => asked.raw.ended);
});

t.test('a CONNECT waits for the responses before it', async (t) => {
  const { asked, opener } = await world(t);
  asked.send(`${get('/1')}CONNECT b.example:443 HTTP/1.1\r\n\r\nhello`);
  const first = await opener.stream(0);
  await first.until(() => first.written.includes('GET /1 '));
  t.equal(opener.streams.length, 1);
  respond(first, 'one.');
  await asked.upTo('one.');
  const tunnel = await opener.stream(1);
  t.match(tunnel.target, { host: 'b.example', port: 443 });
  tunnel.handlers.onOpened(BOUND);
  t.equal(await asked.upTo('\r\n\r\n'), 'HTTP/1.1 200 Connection established\r\n\r\n');
  await tunnel.until(() => tunnel.written.toString() === 'hello');
});

t.test('what is no HTTP gets a status behind the responses that are due, and the connection ends', async (t) => {
  const { client, opener, metrics } = await world(t);
  const asked = (await client()).send(`${get('/1')}nonsense\r\n\r\n`);
  respond(await opener.stream(0), 'one.');
  t.equal(await asked.ending(), 'end');
  t.match(asked.text, /one\.HTTP\/1\.1 400 [\s\S]*Mixsocks-Error: MALFORMED\r\n/);
  const large = (await client()).send(`GET http://a.example/ HTTP/1.1\r\nX: ${'x'.repeat(MAX_HTTP_HEADER_BYTES)}`);
  t.equal(await large.ending(), 'end');
  t.match(large.text, /^HTTP\/1\.1 431 /);
  for (const bad of ['GET http://a.example/\r\nX : 1\r\n\r\n', 'CONNECT a.example:1 HTTP/1.1\r\nX: 1\r\n y\r\n\r\n']) {
    const malformed = (await client()).send(bad);
    t.equal(await malformed.ending(), 'end');
    t.match(malformed.text, /^HTTP\/1\.1 400 /);
  }
  t.match(await metrics.text(), /handshakes_failed_total\{reason="MALFORMED"\} 4/);
});

t.test('a header that is too long gets no answer when it asks for a path: a page can send it', async (t) => {
  const { client } = await world(t);
  const long = 'x'.repeat(MAX_HTTP_HEADER_BYTES);
  for (const parts of [[`GET /${long}`], ['GE', 'T /', ` HTTP/1.1\r\nCookie: ${long}`], ['\r\nOPTIONS * ', long]]) {
    const asked = await client();
    for (const part of parts) {
      await new Promise((resolve) => asked.raw.socket.write(part, resolve));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await asked.raw.gone();
    t.equal(asked.text, '');
  }
  const site = await client();
  for (const part of ['GE', 'T http://a.example/ HTTP/1.1\r\nX: ', long]) {
    await new Promise((resolve) => site.raw.socket.write(part, resolve));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  t.equal(await site.ending(), 'end');
  t.match(site.text, /^HTTP\/1\.1 431 /);
});

t.test('a body that is no HTTP breaks its request off', async (t) => {
  const { asked, opener } = await world(t);
  asked.send('POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n');
  const stream = await opener.stream(0);
  await stream.until(() => stream.resetCode !== undefined);
  t.equal(await asked.ending(), 'end');
  t.match(asked.text, /^HTTP\/1\.1 400 .*MALFORMED/s);
});

t.test('an application that goes away takes its request along', async (t) => {
  const { asked, opener, front } = await world(t);
  asked.send(get('/1'));
  const stream = await opener.stream(0);
  asked.raw.socket.resetAndDestroy();
  await stream.until(() => stream.resetCode !== undefined);
  t.match(front.streams(), { abandoned: 1, open: 0 });
});

t.test('time-outs: for a header, for the exit, for the site, and between requests', async (t) => {
  const { client, clock, opener, metrics } = await world(t);
  const slow = (await client()).send('GET http://a.example/ HTT');
  await eventually(() => clock.pending >= 2);
  await new Promise((resolve) => setTimeout(resolve, 20));
  clock.advance(DEFAULT_FRONT_LIMITS.handshakeMs);
  await slow.raw.gone();
  t.match(await metrics.text(), /handshakes_failed_total\{reason="TIMEOUT"\} [12]/);

  const asked = (await client()).send(get('/1'));
  await opener.stream(0);
  clock.advance(DEFAULT_SESSION_PARAMS.openTimeoutMs);
  t.match(await asked.response('\n'), /^HTTP\/1\.1 504 .*Mixsocks-Error: TIMEOUT/s);
  await asked.upTo('try again\n');
  asked.send(get('/2'));
  const silent = await opener.stream(1);
  silent.handlers.onOpened(BOUND);
  await silent.until(() => silent.written.includes('GET /2 '));
  clock.advance(DEFAULT_SESSION_PARAMS.streamIdleMs);
  t.match(await asked.response('try again\n'), /^HTTP\/1\.1 504 /);
  clock.advance(DEFAULT_FRONT_LIMITS.httpIdleMs);
  t.equal(await asked.ending(), 'end');
});
