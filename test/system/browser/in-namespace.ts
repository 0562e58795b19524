/**
 * Runs inside a network namespace, with the path of a browser in BROWSER: `mixsocks browser` opens a page that tries whatever
 * a page can to get past the proxy. Every packet that leaves loopback is counted, and every connection.
 * @module
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { joinHostPort } from '../../../lib/net/address.ts';
import type { Metrics } from '../../../lib/telemetry/metrics.ts';
import { Egress } from '../../../network-requester/egress/egress.ts';
import { startFront } from '../../../proxy/front/front.ts';
import { testComponents } from '../../support/front-world.ts';
import { MAIN, until } from '../../support/localnet.ts';
import { counts, makeNetwork, since } from '../../support/network-namespace.ts';
import { makeUserFolders, spawnAsUser } from '../../support/ordinary-user.ts';
import { StreamPairs } from '../../support/stream-pair.ts';
import { AHEAD, SITE, type Site, startSite, TOLERATED, TRIED } from './site.ts';

const PROGRAM = process.env.BROWSER ?? '';
const IS_FIREFOX = basename(PROGRAM).startsWith('firefox');
const START_TIMEOUT_MS = 240_000;
/** Connections that a browser gives up at once. */
const GIVEN_UP = 3;
/** After the page is done: what a browser does on its own comes in the first seconds. */
const WATCH_MS = 8000;

interface Proxy {
  readonly port: number;
  readonly site: Site;
  /** `host:port` of every request. */
  readonly asked: string[];
  readonly metrics: Metrics;
}

/** A front whose exit connects every name under `.test`, port 80, to one site, and refuses all others. */
async function startProxy(t: Test): Promise<Proxy> {
  const components = testComponents();
  const site = await startSite();
  const egress = new Egress({ components, allowPrivate: true });
  const asked: string[] = [];
  const opener = new StreamPairs((stream, kind, host, port, session) => {
    asked.push(joinHostPort(host, port));
    if (host.endsWith('.test') && port === 80) return egress.accept(stream, kind, '127.0.0.1', site.port, session);
    stream.refuse('POLICY', components.clock.nowMs());
    return { onData() {}, onFin() {}, onReset() {}, onDrain() {} };
  });
  const front = await startFront({ listen: '127.0.0.1:0', opener, components, allowPrivate: true });
  t.teardown(async () => {
    await front.stop();
    egress.stop();
    site.close();
  });
  return { port: Number(front.listen.split(':')[1]), site, asked, metrics: components.metrics };
}

/** Connections that the front has taken: those that asked for something, and those that did not. */
async function taken({ asked, metrics }: Proxy): Promise<number> {
  const lines = (await metrics.text()).split('\n');
  const failed = lines.filter((line) => line.includes('proxy_handshakes_failed_total{'));
  return asked.length + failed.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** The process `root` and those that it started, by id and command line. */
function processesOf(root: number): { pid: number; args: string }[] {
  const lines = spawnSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' }).stdout.split('\n');
  const all = lines.map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? []);
  const found = new Set([root]);
  for (let size = 0; size < found.size; ) {
    size = found.size;
    for (const [, pid, parent] of all) if (found.has(Number(parent))) found.add(Number(pid));
  }
  return all.flatMap(([, pid, , args = '']) => (found.has(Number(pid)) ? [{ pid: Number(pid), args }] : []));
}

/** What shows pages dies, as a defect of the browser lets it: a report of a crash holds its memory. */
async function crashPages(root: number): Promise<number> {
  const pages = () => processesOf(root).filter(({ args }) => /--type=renderer|-contentproc.* tab$/.test(args));
  const crashed = pages().map(({ pid }) => pid);
  for (const pid of crashed) process.kill(pid, 'SIGABRT');
  await until('they are gone', START_TIMEOUT_MS, () => pages().every(({ pid }) => !crashed.includes(pid)));
  return crashed.length;
}

t.setTimeout(600_000);
await makeNetwork();

t.test('mixsocks browser: not one packet leaves but to the proxy', async (t) => {
  const proxy = await startProxy(t);
  const user = makeUserFolders(t);
  const start = counts();
  const command = [process.execPath, MAIN, 'browser', IS_FIREFOX ? '--firefox' : '--chromium'];
  const options = ['--proxy', `127.0.0.1:${proxy.port}`, `http://${SITE}/`, '--', '--headless'];
  const child = spawnAsUser([...command, ...options], user);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  await until('the page has tried everything', START_TIMEOUT_MS, () => {
    if (child.exitCode !== null) throw new Error(`it ended with code ${child.exitCode}: ${stderr}`);
    return proxy.site.reports.done === 'yes';
  });
  t.comment(JSON.stringify(proxy.site.reports, undefined, 2));
  t.match(stderr, /is open; everything goes through the proxy at 127\.0\.0\.1:\d+\n$/);
  const [folder = ''] = readdirSync(user.temporary);
  const owner = statSync(join(user.temporary, folder));
  t.equal(owner.mode & 0o777, 0o700, 'the profile is for its owner alone');
  await sleep(WATCH_MS);

  t.match(since(start), { packets: 0, datagrams: 0 }, 'nothing leaves loopback, and nobody sends a datagram');
  for (const destination of TRIED) t.ok(proxy.asked.includes(destination), `${destination} was asked of the proxy`);
  for (const destination of AHEAD) t.notOk(proxy.asked.includes(destination), `${destination}: nothing is done ahead`);
  const own = (destination: string) => /^(127\.0\.0\.1|\[::1\]|(a\.)?localhost):/.test(destination);
  const known = [...TRIED, ...TOLERATED];
  t.same(
    proxy.asked.filter((destination) => !known.includes(destination) && !own(destination)),
    [],
    'the browser asks for nothing on its own',
  );
  t.equal(proxy.site.requests.filter((request) => request.endsWith('/direct')).length, 0, 'loopback is out of reach');
  t.notMatch(proxy.site.reports.webrtc, /candidate/, 'WebRTC finds no way');
  // Each was one to the relay of the login and one from there to the front; the command tries the proxy once itself.
  // One that was given up before it asked for anything is counted when the front gives it up, too; on a busy machine the relay may
  // drop it before it has dialled the front.
  await until('every connection is one to the proxy, or its own', START_TIMEOUT_MS, async () => {
    const known = 2 * (await taken(proxy)) - 1 + proxy.site.connections;
    return Math.abs(since(start).connections - known) <= GIVEN_UP;
  });

  t.ok((await crashPages(child.pid ?? 0)) > 0, 'its pages crash');
  child.kill('SIGTERM');
  t.same(await ended, [0, null]);
  t.same(readdirSync(user.temporary), [], 'the profile is gone');
  const traces = spawnSync('grep', ['-rlaF', SITE, user.home], { encoding: 'utf8' });
  t.strictSame([traces.stdout, traces.status], ['', 1], 'the home folder has no trace of the site');
  t.match(since(start), { packets: 0, datagrams: 0 }, 'nor does anything leave at the end');
});

t.test('a browser that is only given the proxy is seen here: its packets leave', async (t) => {
  const proxy = await startProxy(t);
  const user = makeUserFolders(t);
  const start = counts();
  const child = spawnAsUser([PROGRAM, ...plainArgs(user.home, proxy.port), `http://${SITE}/`], user);
  const ended = once(child, 'exit');
  child.stdout.resume();
  child.stderr.resume();
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await until('a packet', START_TIMEOUT_MS, () => since(start).packets > 0);
  t.ok(since(start).packets > 0);
});

/** What people write who only know `--proxy-server`, or the settings dialogue. */
function plainArgs(home: string, port: number): string[] {
  const profile = join(home, 'profile');
  if (!IS_FIREFOX) return ['--headless', `--user-data-dir=${profile}`, `--proxy-server=socks5://127.0.0.1:${port}`];
  mkdirSync(profile);
  const { uid, gid } = statSync(home);
  chownSync(profile, uid, gid);
  const preferences = {
    'network.proxy.type': 1,
    'network.proxy.socks': '127.0.0.1',
    'network.proxy.socks_port': port,
    'network.proxy.socks_remote_dns': true,
  };
  const lines = Object.entries(preferences).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`);
  writeFileSync(join(profile, 'user.js'), lines.join('\n'));
  return ['--headless', '--no-remote', '--profile', profile];
}
