/**
 * A web page that its user merely opened tries to find out whether mixsocks runs on this machine: it asks the ports on
 * loopback in every way in which a browser lets a page ask. What it can see of the status port and of the SOCKS port is
 * what it sees of any program that closes connections at once.
 */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { startStatusServer } from '../../proxy/status/server.ts';
import { Browser } from '../support/browser.ts';
import { startWorld } from '../support/front-world.ts';
import { findChromium } from '../support/installed-browsers.ts';
import { STATUS, WELL } from '../support/status-fixture.ts';

const PATH = '/status.json';

/** Runs in the page: every way to ask, and what the page can see of the answer. */
const PROBES = `
const outcome = (promise) => Promise.resolve(promise).then((seen) => String(seen), (error) => 'error ' + error.name);
const seenOf = (response) => response.type + ' ' + response.status;
const element = (tag, fields) => new Promise((resolve) => {
  const made = Object.assign(document.createElement(tag), fields);
  made.onload = () => resolve('load');
  made.onloadedmetadata = () => resolve('metadata');
  made.onerror = () => resolve('error');
  document.body.append(made);
});
const timingOf = (url) => performance.getEntriesByName(url)
  .map(({ responseStatus, transferSize, decodedBodySize, nextHopProtocol }) =>
    [responseStatus, transferSize, decodedBodySize, nextHopProtocol].join('/')).join();
const socket = (url) => new Promise((resolve) => {
  const made = new WebSocket(url);
  made.onopen = () => resolve('open');
  made.onclose = ({ code }) => resolve('close ' + code);
});
const events = (url) => new Promise((resolve) => {
  const made = new EventSource(url);
  made.onopen = () => resolve('open');
  made.onerror = () => { made.close(); resolve('error'); };
});
const worker = (url) => new Promise((resolve) => {
  const code = 'try { importScripts(' + JSON.stringify(url) + '); postMessage("ran") } catch (e) { postMessage(e.name) }';
  const made = new Worker(URL.createObjectURL(new Blob([code])));
  made.onmessage = ({ data }) => resolve(data);
});
const frame = (url, post) => new Promise((resolve) => {
  const made = Object.assign(document.createElement('iframe'), { name: 'frame' + Math.random() });
  if (!post) made.src = url;
  document.body.append(made);
  // An error page of the browser loads too, and has no frames either.
  const look = () => { let seen; try { seen = made.contentDocument ? 'readable' : 'closed' } catch { seen = 'closed' }
    resolve(seen + ' ' + made.contentWindow.length); made.remove(); };
  made.onload = look;
  if (!post) return;
  made.onload = null;
  const form = Object.assign(document.createElement('form'), { action: url, method: 'post', target: made.name });
  document.body.append(form);
  made.addEventListener('load', look);
  form.submit();
});
window.probe = async (origin, path) => {
  const url = origin + path;
  const seen = {
    cors: await outcome(fetch(url).then(seenOf)),
    noCors: await outcome(fetch(url, { mode: 'no-cors' }).then(seenOf)),
    noReferrer: await outcome(fetch(url, { mode: 'no-cors', referrerPolicy: 'no-referrer' }).then(seenOf)),
    credentials: await outcome(fetch(url, { mode: 'no-cors', credentials: 'include' }).then(seenOf)),
    head: await outcome(fetch(url, { method: 'HEAD', mode: 'no-cors' }).then(seenOf)),
    post: await outcome(fetch(url, { method: 'POST', mode: 'no-cors', body: 'x' }).then(seenOf)),
    preflight: await outcome(fetch(url, { headers: { 'X-Mixsocks': '1' } }).then(seenOf)),
    longPreflight: await outcome(fetch(url, { headers: Object.fromEntries(Array.from({ length: 900 }, (_, i) => ['x-' + 'y'.repeat(30) + i, '1'])) }).then(seenOf)),
    longUrl: await outcome(fetch(url + '?' + 'x'.repeat(40000), { mode: 'no-cors' }).then(seenOf)),
    tls: await outcome(fetch(url.replace('http:', 'https:'), { mode: 'no-cors' }).then(seenOf)),
    redirected: await outcome(fetch('/to?' + encodeURIComponent(url), { mode: 'no-cors' }).then(seenOf)),
    image: await element('img', { src: url }),
    script: await element('script', { src: url }),
    module: await element('script', { src: url, type: 'module' }),
    style: await element('link', { href: url, rel: 'stylesheet' }),
    preload: await element('link', { href: url, rel: 'preload', as: 'image' }),
    video: await element('video', { src: url, preload: 'metadata' }),
    object: await element('object', { data: url }),
    worker: await outcome(worker(url)),
    webSocket: await socket(url.replace('http:', 'ws:')),
    eventSource: await events(url),
    frame: await frame(url),
    form: await frame(url, true),
  };
  navigator.sendBeacon(url, 'x');
  return { ...seen, timing: timingOf(url) };
};
`;

/** The attacker's site; it redirects where its page wants. */
async function startSite(t: Test): Promise<number> {
  const site = createHttpServer((request, response) => {
    const to = request.url?.startsWith('/to?') === true ? decodeURIComponent(request.url.slice(4)) : undefined;
    if (to !== undefined) response.writeHead(302, { Location: to });
    else response.writeHead(200, { 'Content-Type': 'text/html' });
    response.end(`<!doctype html><body><script>${PROBES}</script>`);
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  t.teardown(() => site.closeAllConnections() ?? site.close());
  return portOf(site);
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

/** The proxy's two ports as they are, with the bytes that each sends. */
async function startPorts(t: Test) {
  const status = await startStatusServer({
    listen: '127.0.0.1:0',
    hosts: [],
    status: () => STATUS,
    metrics: new Metrics(),
    health: WELL,
    clock: systemClock,
    log: silentLog,
  });
  const world = await startWorld();
  t.teardown(() => Promise.all([status.close(), world.stop()]));
  return { status: status.port, socks: world.port };
}

interface Between {
  readonly port: number;
  /** Bytes that went from the port to the browser. */
  answered: number;
  connections: number;
}

/** Stands before a port and counts; `up` and `down` may change what passes. */
async function between(t: Test, port: number, up = same, down = same): Promise<Between> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    counted.connections += 1;
    const served = connect(port, '127.0.0.1');
    for (const socket of [client, served]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    client.on('data', (bytes) => served.write(up(bytes.toString('latin1')), 'latin1'));
    served.on('data', (bytes) => {
      counted.answered += bytes.byteLength;
      client.write(down(bytes.toString('latin1')), 'latin1');
    });
    client.on('close', () => served.destroy());
    served.on('close', () => client.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const counted = { port: portOf(server), answered: 0, connections: 0 };
  return counted;
}

const same = (text: string) => text;
/** The defence switched off: the port cannot see who asks, and nothing is said to the browser. */
const withoutFields = (text: string) =>
  text
    .replace(/^(sec-fetch-site|origin|referer|accept-language):.*\r\n/gim, '')
    .replace(/^Host:.*$/im, 'Host: localhost');
const withoutPolicy = (text: string) => text.replace(/^Cross-Origin-Resource-Policy:.*\r\n/gim, '');

/** A program that closes each connection at its first bytes. */
async function startCloser(t: Test): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).on('data', () => socket.destroy()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return portOf(server);
}

const chromium = findChromium();

t.test('no page finds out that mixsocks runs', chromium === undefined ? { skip: 'NO CHROMIUM' } : {}, async (t) => {
  const site = await startSite(t);
  const { status, socks } = await startPorts(t);
  const browser = Browser.launch(t, chromium ?? '', ['--host-resolver-rules=MAP *.example 127.0.0.1']);
  const closer = await between(t, await startCloser(t));

  const report = async (origin: string, host: string, port: number) => {
    const page = await browser.newPage();
    await page.goto(`${origin}:${site}/`);
    return (await page.evaluate(`probe('http://${host}:${port}', '${PATH}')`)) as Record<string, string>;
  };

  for (const [relation, origin] of [
    ['another site', 'http://evil.example'],
    ['another port of this machine', 'http://127.0.0.1'],
    ['another name of this machine', 'http://localhost'],
  ] as const) {
    const nothing = await report(origin, '127.0.0.1', closer.port);
    for (const [name, port] of [
      ['status', status],
      ['socks', socks],
    ] as const) {
      const watched = await between(t, port);
      t.strictSame(await report(origin, '127.0.0.1', watched.port), nothing, `${name} port, page of ${relation}`);
      t.ok(watched.connections > 15, `${watched.connections} connections`);
      t.equal(watched.answered, 0, 'not a byte');
    }
  }

  t.test('a name that is made to lead to this machine learns no more', async (t) => {
    for (const port of [status, socks]) {
      const watched = await between(t, port);
      const page = await browser.newPage();
      await page.goto(`http://evil.example:${site}/`);
      await page.evaluate(`fetch('http://evil.example:${watched.port}/status.json').catch(() => {})`);
      // Of the same origin: as when the page itself came from this name and port, before the name was changed.
      const own = await browser.newPage();
      await own.goto(`http://evil.example:${watched.port}/status.json`).catch(() => {});
      t.ok(watched.connections > 1);
      t.equal(watched.answered, 0);
    }
  });

  t.test('a link leads nowhere either', async (t) => {
    for (const port of [status, socks]) {
      const watched = await between(t, port);
      const page = await browser.newPage();
      await page.goto(`http://evil.example:${site}/`);
      await page.evaluate(`location.href = 'http://127.0.0.1:${watched.port}/'`);
      while (watched.connections === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      await page.until(`location.href !== 'http://evil.example:${site}/'`);
      t.equal(watched.answered, 0);
    }
  });

  t.test('the person at the browser sees both', async (t) => {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${status}/`);
    t.match(await page.evaluate('document.body.innerText'), /Ready/);
    t.match(await page.evaluate("fetch('/status.json').then((answer) => answer.text())"), /"ready": true/);
    await page.goto(`http://localhost:${socks}/`);
    t.match(await page.evaluate('document.body.innerText'), /the port of mixsocks/);
  });

  t.test('without the defence a page sees it in many ways', async (t) => {
    const nothing = await report('http://evil.example', '127.0.0.1', closer.port);
    for (const port of [status, socks]) {
      const open = await between(t, port, withoutFields, withoutPolicy);
      const seen = await report('http://evil.example', '127.0.0.1', open.port);
      const telling = Object.keys(seen).filter((way) => seen[way] !== nothing[way]);
      t.ok(telling.length > 5, `${telling.length} of ${Object.keys(seen).length} ways: ${telling.join(', ')}`);
      t.ok(open.answered > 0);
    }
  });
});
