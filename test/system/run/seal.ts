/** What a sealed command reaches: the proxy, and nothing else. */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { noteDestination } from '../../support/destinations.ts';
import { finished, isAlive, MAIN, until } from '../../support/localnet.ts';
import type { TestWeb } from '../../support/web.ts';
import { mixsocksIn, openFolder, SELF, startMixsocks, type User } from './world.ts';

const PROBE = fileURLToPath(new URL('../../support/leak-probe.mjs', import.meta.url));

/** Listeners of each kind that a program can reach without a proxy. */
async function startListeners(t: Test) {
  const heard: string[] = [];
  const unix = [join(await openFolder(t), 'service'), '\0mixsocks-test-abstract'];
  if (process.getuid?.() === 0) {
    const bus = `/run/mixsocks-test-${process.pid}`;
    mkdirSync(bus);
    t.teardown(() => rmSync(bus, { recursive: true }));
    unix.push(join(bus, 'bus'));
  }
  const listen = async (where: object) => {
    const server = createServer((socket) => {
      heard.push('a connection');
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => server.listen(where, resolve));
    t.teardown(() => server.close());
    return server.address();
  };
  for (const path of unix) {
    await listen({ path });
    if (!path.startsWith('\0')) chmodSync(path, 0o777);
  }
  const { port: tcpPort } = (await listen({ host: '0.0.0.0', port: 0 })) as { port: number };
  const socket = createSocket('udp4', (datagram) => heard.push(`a datagram ${datagram}`));
  await new Promise<void>((resolve) => socket.bind(0, '0.0.0.0', resolve));
  t.teardown(() => socket.close());
  const hosts = ['127.0.0.1', outerAddress()].filter((host) => host !== undefined);
  const udpPort = socket.address().port;
  noteDestination(tcpPort, udpPort);
  const at = (port: number) => hosts.map((host) => [host, port]);
  return { heard, plan: { tcp: at(tcpPort), udp: at(udpPort), unix, names: ['name.of.no.hosts.file.example'] } };
}

function outerAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
}

/** Programs that ignore the proxy, sealed and not. */
export async function nothingLeaks(t: Test, env: NodeJS.ProcessEnv, users: readonly User[]): Promise<void> {
  const { heard, plan } = await startListeners(t);
  const probe = [process.execPath, PROBE, JSON.stringify(plan)];
  const open = await mixsocksIn(env, ['run', '--', ...probe]);
  const reached = plan.tcp.length + plan.unix.length;
  t.equal(open.stdout.split('\n').filter((line) => line.includes(' reached ')).length, 3 * reached, open.stderr);
  await until('datagrams arrive', 60_000, () => heard.some((what) => what === 'a datagram from grandchild'));
  t.ok(heard.length >= 3 * reached, 'without --sealed a program that ignores the proxy goes past it');
  for (const user of users) {
    heard.length = 0;
    const { stdout, stderr } = await mixsocksIn(env, ['run', '--sealed', '--', ...probe], user);
    t.equal(stdout, 'tried\n', `${user.name}: nothing is reached, by itself or by children. ${stderr}`);
    t.strictSame(heard, [], `${user.name}: nothing is heard of it`);
  }
}

/** Who the command is, and what it sees. */
export async function sealedWorld(t: Test, env: NodeJS.ProcessEnv, web: TestWeb, user: User): Promise<void> {
  const url = `${web.url}/`;
  const script = `
    id -u; id -g
    curl -sS ${url}; all_proxy= http_proxy= curl -sS -x http://127.0.0.1:1080 ${url}
    curl -sS -m 9 --noproxy '*' ${url} || echo blocked $?
    curl -sS -m 9 --noproxy '*' http://name.example/ || echo unresolved $?
    umount /run 2>/dev/null || echo covered
    ls -d /proc/[0-9]* | wc -l | tr -d ' '
    ls /sys/class/net
    ls /proc/$$/fd | tr '\\n' ' '`;
  const { stdout, stderr } = await mixsocksIn(env, ['run', '--sealed', '--', 'sh', '-c', script], user);
  const [uid, gid, ...lines] = stdout.trim().split('\n');
  t.strictSame([uid, gid], [String(user.uid), String(user.uid === 0 ? 0 : user.uid)], stderr);
  const hello = lines.filter((line) => line.startsWith('hello'));
  t.equal(hello.length, 2, 'through the proxy, by its variables and on the usual port');
  const [blocked, unresolved, covered, processes, device, descriptors = ''] = lines.slice(hello.length);
  t.strictSame([blocked, unresolved, covered, device], ['blocked 7', 'unresolved 6', 'covered', 'lo']);
  t.ok(Number(processes) < 8, 'it sees the processes inside only');
  t.notMatch(
    descriptors,
    /\b([3-9]|1[1-9]|\d{3})\b/,
    "and has no descriptor besides the standard ones (and its shell's own)",
  );
}

/** Signals, exit codes, and that nothing outlives the command or us. */
export async function sealedEnds(t: Test, env: NodeJS.ProcessEnv, user: User): Promise<void> {
  const sealed = (script: string) => ['run', '--sealed', '--', 'sh', '-c', script];
  const codes = ['exit 7', 'kill -KILL $$', 'kill -INT $$'].map((script) => mixsocksIn(env, sealed(script), user));
  const ended = await Promise.all(codes);
  const all = ended.map(({ stderr }) => stderr).join('');
  t.strictSame([ended.map(({ code }) => code), all], [[7, 137, 130], '']);

  const wait = 'echo up; while :; do sleep 0.1; done';
  const polite = startMixsocks(env, sealed(`trap 'echo asked; exit 3' TERM; ${wait}`), user);
  polite.stdout.once('data', () => polite.kill('SIGTERM'));
  let output = '';
  polite.stdout.on('data', (part) => {
    output += part;
  });
  const code = await new Promise((resolve) => polite.once('close', resolve));
  t.strictSame([code, output], [3, 'up\nasked\n'], 'a signal comes to the command');

  for (const how of ['the command ends', 'we are killed'] as const) {
    const orphan = `setsid sh -c 'while :; do sleep 0.1; done' & ${how === 'we are killed' ? wait : 'echo up; read line'}`;
    const run = startMixsocks(env, sealed(orphan), user);
    await new Promise((resolve) => run.stdout.once('data', resolve));
    const before = descendants(run.pid ?? 0);
    t.ok(before.length >= 4, `${before.length} processes`);
    if (how === 'we are killed') run.kill('SIGKILL');
    else run.stdin.end();
    await until(`nothing is left when ${how}`, 60_000, () => !before.some((pid) => isRunning(pid)));
  }
}

function stat(pid: number): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

const isRunning = (pid: number) => isAlive(pid) && stat(pid)[0] !== 'Z';

function descendants(pid: number): number[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const children = all.filter((one) => stat(one)[1] === String(pid));
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** What `run` says of itself and of a command that it cannot run. */
export async function ownFailures(t: Test, env: NodeJS.ProcessEnv): Promise<void> {
  const text = join(t.testdir({ text: 'no program' }), 'text');
  const row = async (args: readonly string[], code: number, line: RegExp) => {
    const result = await mixsocksIn(env, args, SELF);
    t.equal(result.code, code, args.join(' '));
    t.match(result.stderr, line);
    t.equal(result.stderr.trim().split('\n').length, 1, 'one line');
  };
  await Promise.all([
    row(['run', '--', 'no-such-command'], 127, /^mixsocks run: no-such-command: command not found/),
    row(['run', '--', text], 126, /^mixsocks run: .*text: cannot be executed/),
    row(
      ['run', '--proxy', '127.0.0.1:1', '--', 'true'],
      125,
      /^mixsocks run: no proxy at 127\.0\.0\.1:1: ECONNREFUSED; start one/,
    ),
    row(['run', '--identity', 'a:b', '--', 'true'], 125, /^mixsocks run: --identity: /),
    row(['run'], 125, /^mixsocks run: missing required argument/),
  ]);
}

/** Descriptors with low and high numbers: Node closes the ones that it finds at once, others are ours to find. */
export async function inheritedDescriptors(t: Test, env: NodeJS.ProcessEnv): Promise<void> {
  const open = 'exec 5</dev/null 9</dev/null 47</dev/null 200</dev/null; exec "$@"';
  const run = [process.execPath, MAIN, 'run', '--sealed', '--', 'ls', '/proc/self/fd'];
  const child = spawn('bash', ['-c', open, 'bash', ...run], { env, stdio: 'pipe' });
  const { stdout, stderr } = await finished(child);
  t.equal(stdout, '0\n1\n2\n3\n', stderr); // 3 is the folder that ls reads
}

/** A limit of zero in a user namespace around us. */
export async function noNamespaces(t: Test, env: NodeJS.ProcessEnv): Promise<void> {
  const forbid =
    'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all -- "$@"';
  const run = [process.execPath, MAIN, 'run', '--sealed', '--', 'true'];
  const child = spawn('unshare', ['--user', '--map-root-user', 'sh', '-c', forbid, 'sh', ...run], {
    env,
    stdio: 'pipe',
  });
  const { code, stderr } = await finished(child);
  t.equal(code, 125);
  t.match(stderr, /^mixsocks run: cannot seal the command: unshare: .*; sysctl user\.max_user_namespaces is 0 .*\n$/);
  const bare = await mixsocksIn({ ...env, PATH: '/nowhere' }, ['run', '--sealed', '--', process.execPath]);
  t.equal(bare.code, 125);
  t.match(bare.stderr, /^mixsocks run: --sealed needs unshare, setpriv, mount, sh, .*install util-linux.*\n$/);
}
