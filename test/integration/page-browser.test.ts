/**
 * The status page in a real browser. Its scripts are compiled modules, so the server is the compiled one too.
 * @module
 */
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { request } from 'undici';
import type { Status } from '../../lib/access/status/status.ts';
import { REASONS } from '../../lib/access/troubles/reasons.ts';
import { systemClock } from '../../lib/core/clock.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { Browser, type Page } from '../support/browser.ts';
import { findChromium } from '../support/installed-browsers.ts';
import { reservedPort } from '../support/ports.ts';
import { STATUS, WELL } from '../support/status-fixture.ts';

type StatusModule = typeof import('../../proxy/status/server.ts');
const compiled = new URL('../../dist/proxy/status/', import.meta.url);
const { startStatusServer } = (await import(new URL('server.js', compiled).href)) as StatusModule;

/** A status server whose status the test changes. */
async function serve(t: Test, first: Status = STATUS, listen = '127.0.0.1:0') {
  const served = { status: first };
  const server = await startStatusServer({
    listen,
    hosts: [],
    status: () => served.status,
    metrics: new Metrics(),
    health: WELL,
    clock: systemClock,
    log: silentLog,
  });
  t.teardown(() => server.close());
  return Object.assign(served, server);
}

t.test('every file of the page is served with its type and a strict policy', async (t) => {
  const { url } = await serve(t);
  const types: Readonly<Record<string, string>> = {
    '/': 'text/html; charset=utf-8',
    '/page/style.css': 'text/css; charset=utf-8',
    '/page/live.js': 'text/javascript; charset=utf-8',
    '/history.json': 'application/json',
    '/proxy.pac': 'application/x-ns-proxy-autoconfig',
  };
  for (const [path, type] of Object.entries(types)) {
    const reply = await request(url + path);
    await reply.body.dump();
    t.equal(reply.statusCode, 200, path);
    t.equal(reply.headers['content-type'], type, path);
    t.match(reply.headers['content-security-policy'], /^default-src 'none'; script-src 'self'; style-src 'self'/, path);
    t.equal(reply.headers['cross-origin-resource-policy'], 'same-origin', path);
    const rebound = await request(url + path, { headers: { host: 'evil.example' } });
    await rebound.body.dump();
    t.equal(rebound.statusCode, 403, `${path} for a page that rebinds its name to this machine`);
  }
  t.match(await (await request(`${url}/proxy.pac`)).body.text(), 'SOCKS5 127.0.0.1:1080');
  for (const path of ['/page/../status.js', '/page/index.js', '/page/dom.js']) {
    const reply = await request(url + path);
    await reply.body.dump();
    t.equal(reply.statusCode, 404, path);
  }
});

t.test('every module that a module of the page imports is served', async (t) => {
  const { url } = await serve(t);
  const seen = new Set(['live.js']);
  for (const name of seen) {
    const reply = await request(`${url}/page/${name}`);
    const source = await reply.body.text();
    t.equal(reply.statusCode, 200, name);
    t.equal(source, readFileSync(new URL(`page/browser/${name}`, compiled), 'utf8'), name);
    for (const [, next = ''] of source.matchAll(/from '\.\/([a-z]+\.js)'/g)) seen.add(next);
  }
  t.ok(seen.size > 5);
});

const chromium = findChromium();
const options = chromium === undefined ? { skip: 'NO CHROMIUM' } : {};

t.test('the status page works in a browser', options, async (t) => {
  const browser = Browser.launch(t, chromium ?? '');
  const visible = 'document.body.innerText';

  t.test('it follows the status and keeps what the reader does', async (t) => {
    const evil = `<img src=/x onerror="document.title='pwned'">`;
    const nodes = STATUS.nodes.map((node, i) => (i === 0 ? { ...node, name: evil } : node));
    const served = await serve(t, { ...STATUS, nodes });
    const page = await browser.newPage();
    await page.goto(`${served.url}/`);
    t.equal(await page.evaluate('document.title'), 'ready · mixsocks');
    t.match(await page.evaluate(visible), /49\.8 per second/);
    t.ok(await page.evaluate(`${visible}.includes(${JSON.stringify(evil)})`), 'the name is text');
    t.equal(await page.evaluate('document.images.length'), 0);

    await page.evaluate(`document.querySelector('details').open = true; window.code = document.querySelector('.lead code');
      getSelection().selectAllChildren(window.code)`);
    served.status = {
      ...served.status,
      rates: { ...STATUS.rates, main: { set: 50, measured: 12.3 } },
      streams: { ...STATUS.streams, open: 77 },
    };
    await page.until(`/12\\.3 per second[^]*off its clock/.test(${visible}) && /77 open/.test(${visible})`);
    t.equal(await page.evaluate("document.querySelector('details').open"), true, 'opened details stay open');
    t.equal(await page.evaluate('getSelection().toString()'), '127.0.0.1:1080', 'a selection stays');
    t.equal(await page.evaluate("window.code === document.querySelector('.lead code')"), true, 'nothing was rebuilt');

    const trouble = { reason: 'exit-refused', ...REASONS['exit-refused'], count: 3 } as const;
    const what = ['2 connections refused', '1 look-up refused'];
    const show = (verdict: string, ...secondsAgo: number[]) => {
      const reasons = secondsAgo.map((seconds) => ({ ...trouble, what, secondsAgo: seconds }));
      served.status = { ...served.status, troubles: { minutes: 10, verdict, reasons } };
    };
    show('All because of the exit.', 7);
    const section = "document.getElementById('troubles').parentElement.innerText";
    await page.until(`/All because of the exit/.test(${section})`);
    const text = String(await page.evaluate(section));
    for (const part of [trouble.where, trouble.words, trouble.remedy, what.join(', '), '7 s ago'])
      t.ok(text.includes(part), part);
    await page.evaluate("window.row = document.querySelector('.troubles li')");
    show('All because of the exit.', 9);
    await page.until(`/9 s ago/.test(${section})`);
    t.equal(await page.evaluate("window.row === document.querySelector('.troubles li')"), true, 'the row is the same');
    show('Nothing was refused.');
    await page.until("document.querySelector('.troubles') === null");

    served.status = { ...served.status, ready: false, gateway: null, nodes: [], sessions: [], mixing: null };
    await page.until(`/No gateway could be used yet/.test(${visible})`);
    t.equal(await page.evaluate('document.title'), 'not ready · mixsocks');
    served.status = STATUS;
    await page.until(`/Ready/.test(${visible}) && /mix-3-1/.test(${visible})`);

    t.strictSame(page.complaints, [], 'no error, and nothing that the policy had to stop');
    const elsewhere = page.requests.filter(
      (asked) => !asked.startsWith(`${served.url}/`) && !asked.startsWith('data:'),
    );
    t.strictSame(elsewhere, [], 'nothing from another origin');
    await checkPolicy(t, page);
  });

  t.test('it says so when the proxy is gone, and when it is back', async (t) => {
    const listen = `127.0.0.1:${await reservedPort()}`;
    const served = await serve(t, STATUS, listen);
    const page = await browser.newPage();
    await page.goto(`${served.url}/`);
    const stale = "!document.getElementById('stale').hidden";
    t.equal(await page.evaluate(stale), false);
    await served.close();
    await page.until(stale);
    t.equal(await page.evaluate('document.title'), 'no answer · mixsocks');
    await serve(t, STATUS, listen);
    await page.until(`!(${stale})`);
  });

  t.test('it can be read without scripts', async (t) => {
    const { url } = await serve(t);
    const page = await browser.newPage();
    await page.send('Emulation.setScriptExecutionDisabled', { value: true });
    await page.goto(`${url}/`);
    t.match(
      await page.evaluate(visible),
      /Ready[\s\S]*Is it me\?[\s\S]*49\.8 per second[\s\S]*mix-2-1[\s\S]*packets in a mix/,
    );
    t.match(await page.evaluate("document.querySelector('meta[http-equiv=refresh]').content"), /^\d+$/);
  });

  t.test('it fits a telephone, and the dark', async (t) => {
    const { url } = await serve(t);
    const page = await browser.newPage();
    await page.resize(360, 800);
    await page.goto(`${url}/`);
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360, 'no scrolling to the side');
    const ground = 'getComputedStyle(document.body).backgroundColor';
    const colours: unknown[] = [];
    for (const value of ['light', 'dark']) {
      await page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
      colours.push(await page.evaluate(ground));
    }
    t.strictSame(colours, ['rgb(244, 245, 247)', 'rgb(15, 19, 24)']);
    t.ok((await page.screenshot()).byteLength > 10_000);
  });
});

/** What gets into the document all the same cannot run, load or send. */
async function checkPolicy(t: Test, page: Page): Promise<void> {
  await page.evaluate(`{
    const script = document.createElement('script');
    script.textContent = 'window.pwned = true';
    const image = document.createElement('img');
    image.src = '/x';
    image.setAttribute('onerror', 'window.pwned = true');
    document.body.append(script, image);
  }`);
  t.equal(await page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"), 'refused');
  t.equal(await page.evaluate('window.pwned'), undefined);
  for (const rule of ['script-src', 'img-src', 'connect-src']) {
    t.ok(
      page.complaints.some((text) => text.includes(rule)),
      `stopped by ${rule}`,
    );
  }
}
