import { createServer, get } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import t, { type Test } from 'tap';
import type { Clock } from '../../lib/core/clock.ts';
import { joinHostPort, parseListen, splitHostPort } from '../../lib/net/address.ts';
import { WAITING_MS } from '../../lib/net/connection-bounds.ts';
import { hostList, isLoopbackName, MAX_LISTED_HOSTS } from '../../lib/net/host-header.ts';
import { LOCAL_HTTP_LIMITS, type Routes, serveLocalHttp } from '../../lib/net/http.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const routes: Routes = {
  '/metrics': () => ({ body: 'mixsocks_up 1\n' }),
  '/echo': (query) => ({ type: 'application/json', body: JSON.stringify(Object.fromEntries(query)) }),
  '/broken': () => Promise.reject(new Error('inside')),
};

const hosts = { listed: [], flag: '--metrics-hosts' } as const;

async function start(t: Test, listed: readonly string[] = [], clock?: Clock) {
  const own = { ...hosts, listed };
  const server = await serveLocalHttp({
    listen: '127.0.0.1:0',
    hosts: own,
    routes,
    log: silentLog,
    ...(clock && { clock }),
  });
  t.teardown(() => server.close());
  return server;
}

/** Sends raw bytes and collects everything until the server closes. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let got = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.setEncoding('latin1');
    socket.on('data', (part: string) => {
      got += part;
    });
    socket.on('close', () => resolve(got));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error); // closed over what was still on its way
    });
  });
}

const ask = (port: number, line: string, host: string) =>
  raw(port, `${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

t.test('a server answers GET and HEAD of its routes', async (t) => {
  const { url, port } = await start(t);
  const page = await fetch(`${url}/metrics`);
  t.equal(page.status, 200);
  t.equal(await page.text(), 'mixsocks_up 1\n');
  t.strictSame(await (await fetch(`${url}/echo?a=1&b=x%20y`)).json(), { a: '1', b: 'x y' });
  const head = await ask(port, 'HEAD /metrics', 'localhost');
  t.match(head, /^HTTP\/1.1 200 /);
  t.match(head, /content-length: 14\r\n/i);
  t.notMatch(head, /mixsocks_up/);
});

t.test('other methods, paths and hosts are refused', async (t) => {
  const { url, port } = await start(t);
  t.equal((await fetch(`${url}/metrics`, { method: 'POST', body: 'x' })).status, 405);
  t.equal((await fetch(`${url}/nothing`)).status, 404);
  t.equal((await fetch(`${url}/toString`)).status, 404);
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:80', '10.0.0.1', '']) {
    t.match(await ask(port, 'GET /metrics', host), /^HTTP\/1.1 4\d\d /, host);
    t.notMatch(await ask(port, 'GET /metrics', host), /mixsocks_up/, host);
  }
  for (const host of ['localhost', `localhost:${port}`, '127.0.0.1:1', '[::1]:8080', 'LOCALHOST']) {
    t.match(await ask(port, 'GET /metrics', host), /^HTTP\/1.1 200 /, host);
  }
  t.notOk(isLoopbackName(undefined));
});

const FOREIGN = [
  'Sec-Fetch-Site: cross-site',
  'Sec-Fetch-Site: same-site',
  'sec-fetch-site: Same-Origin',
  'Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site',
  'Sec-Fetch-Site: same-origin, cross-site',
  'Origin: null',
  'Origin: ',
  'Origin: http://evil.example',
  'Origin: https://localhost:9',
  'Origin: http://localhost:90',
  'Origin: http://127.0.0.1:9',
  'Origin: http://localhost:9.evil.example',
  'Origin: http://localhost:9@evil.example',
  'Origin: http://localhost:9 http://evil.example',
  'Origin: http://localhost:9\r\nOrigin: http://evil.example',
  'ORIGIN: http://evil.example',
  'Referer: http://evil.example/localhost:9/',
  'Referer: http://localhost/',
  'Referer: nonsense',
  `${Array.from({ length: 80 }, (_, n) => `X-${n}: 1\r\n`).join('')}Sec-Fetch-Site: cross-site`,
  'Sec-Fetch-Site: none\r\nOrigin: http://evil.example',
  'Sec-Fetch-Site: same-origin\r\nReferer: http://evil.example/',
];

const OWN = [
  'Accept: */*',
  'Sec-Fetch-Site: none',
  'Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost:9\r\nReferer: http://localhost:9/page',
  'Origin: http://LOCALHOST:9',
  'Sec-Fetch-Mode: cors\r\nAccept-Language: *',
];

t.test('a request that a page of another origin causes gets a closed connection, whatever it asks for', async (t) => {
  const { port } = await start(t);
  const lines = ['GET /metrics', 'GET /nothing', 'HEAD /metrics', 'OPTIONS /metrics', 'POST /metrics', 'CONNECT a:1'];
  for (const line of lines) {
    for (const host of ['localhost:9', 'evil.example:9']) {
      for (const fields of FOREIGN) t.equal(await ask(port, line, `${host}\r\n${fields}`), '', `${line}, ${fields}`);
    }
  }
  const more = [
    'GET /metrics HTTP/1.0\r\nOrigin: http://evil.example\r\n\r\n',
    'POST /metrics HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n',
    'GET /metrics HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\nExpect: nothing\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\nCookie: ${'x'.repeat(20_000)}\r\n\r\n`,
    'GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nOrigin: http://localhost\r\n\r\n',
    '\x16\x03\x01\x02\0\x01\0',
  ];
  for (const text of more) t.equal(await raw(port, text), '', text.slice(0, 100));
});

t.test('no answer may be used by a page of another origin, and who is none of a browser gets one', async (t) => {
  const { port } = await start(t);
  const policy = /^Cross-Origin-Resource-Policy: same-origin\r$/im;
  for (const fields of OWN) {
    const answer = await ask(port, 'GET /metrics', `localhost:9\r\n${fields}`);
    t.match(answer, /^HTTP\/1.1 200 [\s\S]*mixsocks_up 1\n$/, fields);
    t.match(answer, policy, fields);
  }
  const statuses: Readonly<Record<string, number>> = {
    'GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n': 404,
    'GET /broken HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n': 500,
    'PUT /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n': 405,
    'GET /metrics HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n': 403,
    'GET /metrics HTTP/1.0\r\n\r\n': 403,
    'GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n': 400,
    'GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n': 400,
    'GET /metrics HTTP/1.1\r\nHost : localhost\r\n\r\n': 400,
  };
  for (const [text, status] of Object.entries(statuses)) {
    const answer = await raw(port, text);
    t.equal(Number(answer.split(' ')[1]), status, text);
    t.match(answer, policy, text);
  }
});

t.test('a browser that asks by a name that is not listed learns nothing: a page could read it', async (t) => {
  const { port } = await start(t, ['mixproxy']);
  t.equal(await ask(port, 'GET /metrics', 'evil.example:9\r\nAccept-Language: en'), '');
  t.equal(await ask(port, 'GET /metrics', 'evil.example:9\r\nReferer: http://evil.example:9/'), '');
  t.match(await ask(port, 'GET /metrics', 'mixproxy:9\r\nAccept-Language: en'), /^HTTP\/1.1 200 /);
  t.match(await ask(port, 'GET /metrics', 'evil.example:9'), /^HTTP\/1.1 403 /);
});

t.test('the address that was connected to is a name of its own', async (t) => {
  const server = await serveLocalHttp({ listen: '127.0.0.2:0', hosts, routes, log: silentLog });
  t.teardown(() => server.close());
  const page = await fetch(`${server.url}/metrics`);
  t.equal(page.status, 200);
  const forged = await new Promise<number>((resolve) => {
    get(`${server.url}/metrics`, { headers: { host: '127.0.0.3' } }, ({ statusCode = 0 }) => resolve(statusCode));
  });
  t.equal(forged, 403);
});

t.test(
  'names and addresses that are listed are answered to, on any port; others are refused, and told the option',
  async (t) => {
    const { port } = await start(t, ['mixproxy', 'Mix_Proxy.example', '203.0.113.9', '2001:db8::9', '[2001:db8::a]']);
    const accepted = [
      'mixproxy',
      'mixproxy:9100',
      'MixProxy:1',
      'mixproxy.:9100',
      'mix_proxy.EXAMPLE',
      '203.0.113.9:9100',
      '[2001:db8:0::9]:9100',
      '[2001:DB8::A]',
      'localhost:1',
      `127.0.0.1:${port}`,
    ];
    for (const host of accepted) t.match(await ask(port, 'GET /metrics', host), /^HTTP\/1.1 200 /, host);
    const refused = [
      'evil.example:9100',
      'mixproxy.evil.example',
      'evil.mixproxy',
      'mixproxy evil.example',
      'mixproxy:9100:1',
      'mixproxy@evil.example',
      '203.0.113.10',
      '[203.0.113.9',
      '',
    ];
    for (const host of refused) {
      const answer = await ask(port, 'GET /metrics', host);
      t.match(answer, /^HTTP\/1.1 403 [\s\S]*--metrics-hosts/, host);
      t.notMatch(answer, /mixsocks_up/, host);
    }
  },
);

t.test('a list of hosts holds names and addresses, without ports, schemes and wildcards', (t) => {
  t.strictSame(hostList.parse(undefined), []);
  for (const good of ['mixproxy', 'a.b.example', 'a_b', '203.0.113.9', '::1', '[2001:db8::1]', 'name.']) {
    t.ok(hostList.safeParse([good]).success, good);
  }
  for (const bad of ['', '*', '*.example', 'a:1', '203.0.113.9:9100', 'http://a', 'a b', 'a,b', '[a]', 'a..b', '.']) {
    t.notOk(hostList.safeParse([bad]).success, bad);
  }
  t.notOk(hostList.safeParse(new Array(MAX_LISTED_HOSTS + 1).fill('a')).success);
  t.end();
});

t.test('a route that throws answers 500 without the reason', async (t) => {
  const { url } = await start(t);
  const page = await fetch(`${url}/broken`);
  t.equal(page.status, 500);
  t.notMatch(await page.text(), /inside/);
});

t.test('headers beyond the bound are refused', async (t) => {
  const { port } = await start(t);
  const big = `GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(LOCAL_HTTP_LIMITS.headerBytes)}\r\n\r\n`;
  t.match(await raw(port, big), /^HTTP\/1.1 431 /);
});

t.test('a client that takes too long is cut off', async (t) => {
  const limits = { headersTimeoutMs: 60, requestTimeoutMs: 120, idleTimeoutMs: 60, checkPeriodMs: 20 };
  const server = await serveLocalHttp({ listen: '127.0.0.1:0', hosts, routes, log: silentLog, limits });
  t.teardown(() => server.close());
  t.match(await raw(server.port, 'GET /metrics HTTP/1.1\r\nHost: loc'), /^HTTP\/1.1 408 /, 'an unfinished header');
  const kept = await raw(server.port, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
  t.match(kept, /^HTTP\/1.1 200 [\s\S]*mixsocks_up 1\n$/, 'a connection kept without another request');
});

t.test('connections beyond the bound are closed', async (t) => {
  const clock = new VirtualClock(0);
  const { port } = await start(t, [], clock);
  const sockets = Array.from({ length: LOCAL_HTTP_LIMITS.connections }, () => connect(port, '127.0.0.1'));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
  const answer = raw(port, '');
  // connections are accepted in their order: when a later one, of another source, has its answer, ours is there
  await new Promise((resolve) => get({ port, localAddress: '127.0.0.2' }, resolve));
  clock.advance(WAITING_MS);
  t.equal(await answer, '', 'dropped without an answer');
});

t.test('a taken port is a LISTEN error that names it', async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.teardown(() => other.close());
  const { port } = other.address() as AddressInfo;
  await t.rejects(serveLocalHttp({ listen: `127.0.0.1:${port}`, hosts, routes, log: silentLog }), {
    code: 'LISTEN',
    message: `cannot listen on 127.0.0.1:${port}: the port is in use`,
  });
});

t.test('an IPv6 address stands in brackets in the error and in the URL', async (t) => {
  const server = await serveLocalHttp({ listen: '[::1]:0', hosts, routes, log: silentLog });
  t.teardown(() => server.close());
  t.equal(server.url, `http://[::1]:${server.port}`);
  await t.rejects(serveLocalHttp({ listen: `[::1]:${server.port}`, hosts, routes, log: silentLog }), {
    message: `cannot listen on [::1]:${server.port}: the port is in use`,
  });
});

t.test('host:port is split, and what is not of this form is refused', (t) => {
  t.strictSame(splitHostPort('127.0.0.1:0'), { host: '127.0.0.1', port: 0 });
  t.strictSame(splitHostPort('[::1]:65535'), { host: '::1', port: 65_535 });
  t.strictSame(splitHostPort('node-1.example.org:443'), { host: 'node-1.example.org', port: 443 });
  for (const bad of ['', '1080', ':1080', '::1:1080', '127.0.0.1:', '127.0.0.1:65536', 'a b:1', '[127.0.0.1]:1']) {
    t.equal(splitHostPort(bad), undefined, bad);
  }
  t.throws(() => parseListen('1080'), { code: 'CONFIG' });
  t.equal(joinHostPort('::1', 80), '[::1]:80');
  t.equal(joinHostPort('example.org', 80), 'example.org:80');
  t.equal(joinHostPort('127.0.0.1', 80), '127.0.0.1:80');
  t.end();
});
