import { createServer, get } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import t, { type Test } from 'tap';
import { joinHostPort, parseListen, splitHostPort } from '../../lib/address.ts';
import { isLoopbackName, LOCAL_HTTP_LIMITS, type Routes, serveLocalHttp } from '../../lib/http.ts';
import { silentLog } from '../../lib/log.ts';

const routes: Routes = {
  '/metrics': () => ({ body: 'mixsocks_up 1\n' }),
  '/echo': (query) => ({ type: 'application/json', body: JSON.stringify(Object.fromEntries(query)) }),
  '/broken': () => Promise.reject(new Error('inside')),
};

async function start(t: Test) {
  const server = await serveLocalHttp({ listen: '127.0.0.1:0', routes, log: silentLog });
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
    socket.on('error', reject);
  });
}

const ask = (port: number, line: string, host: string) =>
  raw(port, `${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

t.test('serves its routes to GET and HEAD', async (t) => {
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

t.test('refuses other methods, paths and hosts', async (t) => {
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

t.test('the address that was connected to is a name of its own', async (t) => {
  const server = await serveLocalHttp({ listen: '127.0.0.2:0', routes, log: silentLog });
  t.teardown(() => server.close());
  const page = await fetch(`${server.url}/metrics`);
  t.equal(page.status, 200);
  const forged = await new Promise<number>((resolve) => {
    get(`${server.url}/metrics`, { headers: { host: '127.0.0.3' } }, ({ statusCode = 0 }) => resolve(statusCode));
  });
  t.equal(forged, 403);
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

t.test('who takes too long is cut off', async (t) => {
  const limits = { headersTimeoutMs: 60, requestTimeoutMs: 120, idleTimeoutMs: 60, checkPeriodMs: 20 };
  const server = await serveLocalHttp({ listen: '127.0.0.1:0', routes, log: silentLog, limits });
  t.teardown(() => server.close());
  t.match(await raw(server.port, 'GET /metrics HTTP/1.1\r\nHost: loc'), /^HTTP\/1.1 408 /, 'an unfinished header');
  const kept = await raw(server.port, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
  t.match(kept, /^HTTP\/1.1 200 [\s\S]*mixsocks_up 1\n$/, 'a connection kept without another request');
});

t.test('connections beyond the bound are closed', async (t) => {
  const { port } = await start(t);
  const sockets = Array.from({ length: LOCAL_HTTP_LIMITS.connections }, () => connect(port, '127.0.0.1'));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
  t.equal(await raw(port, ''), '', 'dropped without an answer');
});

t.test('a taken port is a LISTEN error that names it', async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.teardown(() => other.close());
  const { port } = other.address() as AddressInfo;
  await t.rejects(serveLocalHttp({ listen: `127.0.0.1:${port}`, routes, log: silentLog }), {
    code: 'LISTEN',
    message: `cannot listen on 127.0.0.1:${port}: the port is in use by another program`,
  });
});

t.test('host:port', (t) => {
  t.strictSame(splitHostPort('127.0.0.1:0'), { host: '127.0.0.1', port: 0 });
  t.strictSame(splitHostPort('[::1]:65535'), { host: '::1', port: 65_535 });
  t.strictSame(splitHostPort('node-1.example.org:443'), { host: 'node-1.example.org', port: 443 });
  for (const bad of ['', '1080', ':1080', '::1:1080', '127.0.0.1:', '127.0.0.1:65536', 'a b:1', '[127.0.0.1]:1']) {
    t.equal(splitHostPort(bad), undefined, bad);
  }
  t.throws(() => parseListen('1080'), { code: 'CONFIG' });
  t.equal(joinHostPort('::1', 80), '[::1]:80');
  t.equal(joinHostPort('127.0.0.1', 80), '127.0.0.1:80');
  t.end();
});
