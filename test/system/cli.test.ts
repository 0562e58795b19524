import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { type Finished, finished, mixsocks } from '../support/localnet.ts';
import { closedPort } from '../support/ports.ts';

const TYPESCRIPT = new URL('../support/typescript.mjs', import.meta.url).href;
const DEFECTIVE = fileURLToPath(new URL('../support/defective-role.ts', import.meta.url));

/** Each test starts one process after another, which leaves a processor idle. */
t.jobs = 3;

/** Runs the misbehaving role; `stopWith` is sent once it listens. */
async function defective(how: string, stopWith?: NodeJS.Signals): Promise<Finished> {
  const child = spawn(process.execPath, ['--import', TYPESCRIPT, DEFECTIVE, how], { stdio: 'pipe' });
  if (stopWith !== undefined) child.stdout.once('data', () => child.kill(stopWith));
  return finished(child);
}

/** Runs the command and checks the code and the one line on standard error. */
async function fails(t: Test, args: readonly string[], code: number, line: RegExp, env: NodeJS.ProcessEnv = {}) {
  const result = await mixsocks(args, env);
  t.equal(result.code, code, `exit code of ${args.join(' ')}`);
  const said = result.stderr.split('\n').filter((text) => !text.startsWith('{')); // log lines are JSON
  t.match(said.join('\n'), line, args.join(' '));
  t.equal(said.filter((text) => text !== '').length, 1, `one line: ${result.stderr}`);
}

t.test('help shows every command and flag', async (t) => {
  const main = await mixsocks(['--help']);
  t.equal(main.code, 0);
  for (const name of [
    'localnet',
    'proxy',
    'mixnode',
    'gateway',
    'requester',
    'directory',
    'init',
    'check',
    'plan',
    'status',
  ]) {
    t.match(main.stdout, new RegExp(`^  ${name} `, 'm'), name);
  }
  t.match(main.stdout, /Exit codes:/);
  const localnet = await mixsocks(['localnet', '--help']);
  const flags = ['socks-port', 'status-port', 'mixes-per-layer', 'gateways', 'requesters', 'packet-size', 'rate'];
  flags.push('reply-rate', 'downlink', 'mean-delay-ms', 'epoch-s', 'dir', 'ready-file', 'allow-private');
  for (const flag of flags) t.match(localnet.stdout, new RegExp(`^  --${flag}[ \\n]`, 'm'), flag);
  for (const args of [
    ['mixnode', '--help'],
    ['help', 'mixnode'],
  ]) {
    const help = await mixsocks(args);
    t.equal(help.code, 0);
    t.match(help.stdout, /--layer <number>/);
    t.match(help.stdout, /Example:\n {2}mixsocks mixnode /);
  }
  t.match((await mixsocks(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
});

t.test('a wrong command line is one line and code 2 or 3', async (t) => {
  await fails(t, [], 2, /^mixsocks: say which command: localnet .* proxy/);
  await fails(t, ['init'], 2, /^mixsocks init: say which role: proxy, /);
  await fails(t, ['proxy', '--dir', t.testdir({})], 3, /network\.json does not exist: copy the network's/);
  const elsewhere = ['proxy', '--dir', t.testdir({ 'network.json': '{}' }), '--outbound-address', '192.0.2.1'];
  await fails(t, elsewhere, 3, /outboundAddress: 192\.0\.2\.1 is no address of this machine$/m);
  await fails(t, ['mixnod'], 2, /^mixsocks: unknown command 'mixnod'; did you mean mixnode\?/);
  await fails(t, ['localnet', '--socks-prt', '1'], 2, /unknown option '--socks-prt'; did you mean --socks-port\?/);
  await fails(t, ['localnet', '--socks-port'], 2, /argument missing/);
  await fails(t, ['localnet', '--socks-port', 'x'], 3, /^mixsocks localnet: --socks-port: 'x' is not a number$/m);
  await fails(t, ['localnet', '--packet-size', '2000'], 3, /--packet-size: expected one of 2048, 8192/);
  await fails(t, ['localnet', '--downlink', 'brust'], 3, /did you mean "burst"/);
  await fails(t, ['localnet'], 3, /MIXSOCKS_GATEWAYS: Too small/, { MIXSOCKS_GATEWAYS: '0' });
  await fails(t, ['proxy'], 3, /name the folder of the proxy with --dir/);
  await fails(t, ['mixnode', '--dir', join(t.testdir(), 'none')], 3, /there is no folder/);
  await fails(
    t,
    ['localnet', '--socks-port', '0', '--status-port', '0', '--ready-file', '/dev/null/x'],
    3,
    /cannot write the ready file \/dev\/null\/x/,
  );
  await fails(
    t,
    ['localnet', '--socks-port', '0', '--status-port', '0', '--dir', '/dev/null/x'],
    3,
    /cannot use the folder \/dev\/null\/x/,
  );
});

t.test('a port in use is named, at once', async (t) => {
  const other = createTcpServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.teardown(() => other.close());
  const { port } = other.address() as AddressInfo;
  const line = new RegExp(`cannot listen on 127.0.0.1:${port}: the port is in use`);
  await fails(t, ['localnet', '--socks-port', String(port)], 6, line);
  await fails(t, ['localnet', '--socks-port', '0', '--status-port', String(port)], 6, line);
});

t.test('init makes a folder once', async (t) => {
  const dir = join(t.testdir(), 'mix');
  await fails(t, ['init', 'mixnode', '--dir', dir, '--layer', '4'], 3, /--layer: /);
  const made = await mixsocks(['init', 'mixnode', '--dir', dir, '--layer', '2', '--listen', '127.0.0.1:4321']);
  t.equal(made.code, 0, made.stderr);
  t.match(made.stdout, /^identity [0-9a-f]{64}$/m);
  t.match(made.stdout, /mixsocks mixnode --dir /);
  const config = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8')) as object;
  t.strictSame(config, {
    ...{ role: 'mixnode', name: 'mix', networkFile: 'network.json' },
    ...{ listen: ['127.0.0.1:4321'], layer: 2 },
  });
  t.equal(statSync(join(dir, 'identity.pem')).mode & 0o777, 0o600);
  t.equal(statSync(join(dir, 'config.json')).mode & 0o777, 0o600);

  const before = readFileSync(join(dir, 'identity.pem'), 'utf8');
  await fails(t, ['init', 'gateway', '--dir', dir], 3, /holds a role already/);
  t.equal(readFileSync(join(dir, 'identity.pem'), 'utf8'), before);
});

t.test('check says what is wrong with a folder, by lines, as JSON and by its exit code', async (t) => {
  const dir = join(t.testdir(), 'mix');
  await mixsocks(['init', 'mixnode', '--dir', dir, '--layer', '2']);
  const text = await mixsocks(['check', dir]);
  t.equal(text.code, 1);
  t.match(text.stdout, /^mixnode in .*, it does not run\nok +folder /);
  t.match(text.stdout, /\nproblem +network +.*network\.json does not exist: .*\none problem\n$/);
  const json = await mixsocks(['check', dir, '--json']);
  t.match(JSON.parse(json.stdout), { role: 'mixnode', running: null, findings: [{ check: 'folder', level: 'ok' }] });
  const made = join(dir, '..', 'directory');
  await mixsocks(['init', 'directory', '--dir', made]);
  t.match(await mixsocks(['check', made]), { code: 0, stdout: /\nno problem\n$/ });
  await fails(t, ['check', join(dir, 'none')], 3, /^mixsocks check: cannot use the folder /);
});

t.test('plan says what a number of users takes', async (t) => {
  const plan = await mixsocks(['plan', '--users', '10', '--json']);
  t.match(JSON.parse(plan.stdout), { users: 10, mixes: { count: Number }, anonymity: { epsilon: 0.186 } });
  await fails(t, ['plan'], 3, /^mixsocks plan: users is missing: give --users/);
  await fails(t, ['plan', '--users', '0'], 3, /--users: Too small/);
});

t.test('a role names what is missing or wrong in its folder', async (t) => {
  const dir = join(t.testdir(), 'mix');
  await mixsocks(['init', 'mixnode', '--dir', dir, '--layer', '2']);
  await fails(t, ['mixnode', '--dir', dir], 3, /network\.json does not exist/);
  writeFileSync(join(dir, 'network.json'), '{}');
  await fails(t, ['mixnode', '--dir', dir], 5, /network\.json: /);
  writeFileSync(join(dir, 'config.json'), '{ "layr": 2 }');
  await fails(t, ['mixnode', '--dir', dir], 3, /unknown key "layr" in .*config\.json; did you mean "layer"\?/);
  const empty = join(t.testdir({ empty: {} }), 'empty');
  mkdirSync(empty, { recursive: true });
  await fails(t, ['gateway', '--dir', empty], 4, /identity/);
});

t.test('an authority gets a join token for a first network, which is printed once and kept nowhere', async (t) => {
  const dir = join(t.testdir(), 'directory');
  const made = await mixsocks(['init', 'directory', '--dir', dir, '--listen', '127.0.0.1:0']);
  t.equal(made.code, 0, made.stderr);
  const [, token = ''] = /^join token ([0-9a-f]{64})$/m.exec(made.stdout) ?? [];
  t.not(token, '');
  t.match(made.stdout, /for 16 nodes \(mixnode, gateway, requester\), until .* UTC; it is shown this once/);
  const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((name) => join(dir, name));
  for (const file of files.filter((path) => statSync(path).isFile()))
    t.notOk(readFileSync(file, 'utf8').includes(token), file);
  const open = await mixsocks(['init', 'directory', '--dir', join(t.testdir(), 'open'), '--open-to-all']);
  t.notMatch(open.stdout, /join token [0-9a-f]/, 'none where another rule lets nodes in');
});

t.test('status of no proxy, of another server, and of nothing sensible', async (t) => {
  const server = createServer((_request, response) => response.end('{}'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  await fails(t, ['status', '--url', `127.0.0.1:${port}`], 1, /is not the status port of a proxy/);
  await fails(t, ['status', '--url', `http://127.0.0.1:${await closedPort()}`], 1, /no proxy at .*ECONNREFUSED/);
  await fails(t, ['status', '--url', 'http://['], 2, /is not a URL/);
});

t.test('a defect ends a role with one line and code 70; it stops in order and in time', async (t) => {
  const defects = [
    ['start', 'broken at once'],
    ['throw', 'broken in a timer'],
    ['reject', 'broken promise'],
  ] as const;
  const hanging = defective('hang', 'SIGTERM'); // takes its time beside the others
  const ended = await Promise.all(defects.map(([how]) => defective(how)));
  for (const [i, [how, line]] of defects.entries()) {
    t.equal(ended[i]?.code, 70, how);
    t.equal(ended[i]?.stderr, `mixsocks mixnode: ${line} (this is a defect of mixsocks; please report it)\n`);
  }
  t.match(await defective('well', 'SIGTERM'), { code: 0, stderr: '', stdout: 'listening nowhere\n' });
  t.match(await defective('well', 'SIGINT'), { code: 0, stderr: '' });
  const { code, ms } = await hanging;
  t.equal(code, 0, 'a role that does not stop is cut off');
  t.ok(ms > 3500, 'but not before it had its time');
});

t.test('forced reference crypto is told loudly', async (t) => {
  const { stderr } = await defective('noble', 'SIGTERM');
  t.match(stderr, /"level":"warn".*"x25519":"noble".*REFERENCE CRYPTO/);
});
