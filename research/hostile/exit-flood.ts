/**
 * Honest and hostile clients at the exit of a local network of real processes: what each honest one downloads, and how fast newcomers are
 * served; alone, beside as many further honest ones that download, and beside as many hostile ones. The second is what the third is to be held against:
 * clients that pay count, whoever they are, and all share one machine. `npx tsx research/hostile/exit-flood.ts --help` (build first).
 * @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { inScope, print, table } from '../../bench/harness/scope.ts';
import { ENDS_WITH_US, MAIN, type Scope, stopProcess, TestNetwork } from '../../test/support/localnet.ts';
import { type Transfer, Transfers } from '../../test/support/transfers.ts';
import { curl, startWeb, type TestWeb } from '../../test/support/web.ts';

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
const PROGRAM = fileURLToPath(new URL('./hostile-client.ts', import.meta.url));
/** New programs that ask for a page, each with an identity of its own. */
const NEWCOMERS = 10;
const PAGE_TIMEOUT_S = 30;
/** The attack is under way. */
const SETTLE_MS = 10_000;

interface Plan {
  readonly clients: number;
  readonly rate: string;
  readonly replyRate: string;
  readonly bytes: number;
}

/** Proxies of the network beside its own, with these numbers. */
async function startProxies(scope: Scope, network: TestNetwork, first: number, last: number): Promise<string[]> {
  const socks: string[] = [];
  for (let n = first; n <= last; n++) {
    const dir = join(scope.testdir(), `proxy-${n}`);
    mkdirSync(dir);
    const files = ['--dir', dir, '--network-file', network.ready.network, '--allow-private'];
    const ports = ['--socks-listen', '127.0.0.1:0', '--status-listen', '127.0.0.1:0'];
    const text = await network.run(`proxy-${n}`, [MAIN, 'proxy', ...files, ...ports]);
    socks.push(/listening (\S+),/.exec(text)?.[1] ?? '');
  }
  return socks;
}

/** Starts one; resolves with what it last said of itself, when it floods. */
async function startHostile(scope: Scope, network: TestNetwork): Promise<() => string> {
  const tsx = ['--import', 'tsx'];
  const args = [...tsx, ...ENDS_WITH_US, PROGRAM, DIST, network.ready.network];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  scope.teardown(() => stopProcess(child));
  let last = '';
  const lines = createInterface({ input: child.stdout }).on('line', (line) => {
    last = line;
  });
  await once(lines, 'line');
  return () => last;
}

/** All download at once, `others` beside them as long as that takes; then newcomers ask one after the other. */
async function measure(scope: Scope, socks: readonly string[], web: TestWeb, { bytes }: Plan, others: string[] = []) {
  const from = (one: string) => new Transfers(scope, one, web);
  const beside = others.map((one) => from(one).download(3 * bytes, 300, 'beside'));
  const downloads = await Promise.all(socks.map((one) => from(one).download(bytes, 300)));
  const pages: { code: number; seconds: number }[] = [];
  for (let n = 0; n < NEWCOMERS; n++) {
    const login = ['--proxy-user', `newcomer-${pages.length}-${Math.round(performance.now())}:x`];
    pages.push(await curl(socks[n % socks.length] ?? '', [...login, `${web.url}/`], PAGE_TIMEOUT_S));
  }
  await Promise.all(beside);
  return { downloads, pages };
}

function rowsOf(when: string, { downloads, pages }: Awaited<ReturnType<typeof measure>>): string[] {
  const speed = ({ bytes, seconds, fault }: Transfer) => (fault === '' ? (bytes / seconds / 1000).toFixed(1) : fault);
  const served = pages.filter(({ code }) => code === 0).map(({ seconds }) => seconds);
  const slowest = served.length === 0 ? '-' : Math.max(...served).toFixed(1);
  return [when, downloads.map(speed).join(' '), `${served.length} of ${pages.length}`, slowest];
}

async function run(plan: Plan): Promise<void> {
  await inScope(async (scope) => {
    const web = await startWeb(scope);
    const network = await TestNetwork.start(scope, ['--rate', plan.rate, '--reply-rate', plan.replyRate]);
    const { clients } = plan;
    const socks = [network.socks, ...(await startProxies(scope, network, 2, clients))];
    for (const one of socks) await curl(one, [`${web.url}/`], PAGE_TIMEOUT_S);
    const rows = [['', 'downloads, kB/s', 'new sessions served', 'slowest, s']];
    rows.push(rowsOf('honest clients alone', await measure(scope, socks, web, plan)));
    const others = await startProxies(scope, network, clients + 1, 2 * clients);
    rows.push(rowsOf(`beside ${clients} further ones`, await measure(scope, socks, web, plan, others)));
    for (let n = clients + 1; n <= 2 * clients; n++) await network.kill(`proxy-${n}`);
    const hostile = await Promise.all(Array.from({ length: clients }, () => startHostile(scope, network)));
    await sleep(SETTLE_MS);
    rows.push(rowsOf(`beside ${clients} hostile ones`, await measure(scope, socks, web, plan)));
    print(table(rows));
    for (const said of hostile) print(`a hostile one: sessions opened and replies got ${said()}`);
    const sessions = await network.metric('requester-1', 'mixsocks_sessions');
    print(`sessions at the exit: ${sessions}`);
  });
}

const command = new Command('exit-flood')
  .description('hostile clients at the exit of a local network')
  .option('--clients <n>', 'honest ones, and as many hostile ones', '4')
  .option('--rate <n>', 'packets per second of a client', '8')
  .option('--reply-rate <n>', 'replies per second of a client', '16')
  .option('--bytes <n>', 'bytes of each download', '400000')
  .parse();
const options = command.opts<{ clients: string; rate: string; replyRate: string; bytes: string }>();
await run({ ...options, clients: Number(options.clients), bytes: Number(options.bytes) });
