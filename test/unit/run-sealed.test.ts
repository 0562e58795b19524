/** What a sealed command does not see, by the facts of a machine. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { exitCodeOf } from '../../cli/run/command.ts';
import { findProgram } from '../../cli/run/sealed/machine.ts';
import { MAX_HIDDEN, type MachineFacts, sealedEnvironment, sealPlan } from '../../cli/run/sealed/plan.ts';
import { sealScript } from '../../cli/run/sealed/script.ts';

const HEADER = 'Num       RefCount Protocol Flags    Type St Inode Path';
const table = (...paths: string[]) =>
  [HEADER, '0000000000000000: 00000002 00000000 00010000 0001 01 1234', ...paths.map(line), ''].join('\n');
const line = (path: string) => `0000000000000000: 00000002 00000000 00010000 0001 01 12345 ${path}`;

const machine: MachineFacts = {
  env: {},
  unixSockets: HEADER,
  hasVarRun: false,
  runEntries: ['dbus', 'user', 'nscd'],
  resolvConf: '/etc/resolv.conf',
};

t.test('the folder of the buses is covered as a whole, and /var/run too where it is a folder of its own', async (t) => {
  t.strictSame(sealPlan(machine).covered, ['/run']);
  t.strictSame(sealPlan({ ...machine, hasVarRun: true }).covered, ['/run', '/var/run']);
});

t.test('sockets elsewhere are hidden one by one; abstract ones belong to the network', async (t) => {
  const unixSockets = table('/var/lib/a b/socket', '@abstract', '/run/dbus/system_bus_socket', '/tmp/x', '/tmp/x');
  t.strictSame(sealPlan({ ...machine, unixSockets }).hidden, ['/var/lib/a b/socket', '/tmp/x']);
});

t.test('the agent of ssh and the screen stay, wherever they are', async (t) => {
  const env = { SSH_AUTH_SOCK: '/tmp/ssh-1/agent.2', WAYLAND_DISPLAY: 'wayland-0', XDG_RUNTIME_DIR: '/run/user/1000' };
  const unixSockets = table('/tmp/ssh-1/agent.2', '/tmp/ssh-1/agent.3', '/tmp/.X11-unix/X0');
  const plan = sealPlan({ ...machine, env, unixSockets });
  t.strictSame(plan.hidden, ['/tmp/ssh-1/agent.3']);
  t.strictSame(plan.kept, ['/run/user/1000/wayland-0']);
  t.ok(plan.made.includes('/run/user/1000'), 'with a runtime folder of its own');
  const linked = sealPlan({ ...machine, env: { SSH_AUTH_SOCK: '/var/run/user/1/keyring/ssh' } });
  t.strictSame(linked.kept, ['/run/user/1/keyring/ssh'], '/var/run is /run');
});

t.test('programs and disks that are mounted under /run stay', async (t) => {
  const plan = sealPlan({ ...machine, runEntries: ['current-system', 'media', 'docker.sock'] });
  t.strictSame(plan.kept, ['/run/current-system', '/run/media']);
});

t.test('more sockets than can be hidden are refused', async (t) => {
  const paths = Array.from({ length: MAX_HIDDEN + 1 }, (_, index) => `/tmp/${index}`);
  t.throws(() => sealPlan({ ...machine, unixSockets: table(...paths) }), { code: 'LIMIT' });
  t.equal(sealPlan({ ...machine, unixSockets: table(...paths.slice(1)) }).hidden.length, MAX_HIDDEN);
});

t.test('no variable names a service outside any more', async (t) => {
  const env = {
    DBUS_SESSION_BUS_ADDRESS: 'unix:path=/x',
    DOCKER_HOST: 'tcp://1',
    HOME: '/home/a',
    SSH_AUTH_SOCK: '/a',
  };
  t.strictSame(sealedEnvironment(env), { HOME: '/home/a', SSH_AUTH_SOCK: '/a' });
});

t.test('the script is valid whatever the paths are called', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mixsocks-test-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'script');
  const odd = `/tmp/it's "odd" $(exit 1)\`exit 1\``;
  const plan = sealPlan({
    ...machine,
    unixSockets: table(odd),
    resolvConf: odd,
    env: { SSH_AUTH_SOCK: `/run/${odd}` },
  });
  const more = { hold: odd, helper: ['node', odd, '1080'], proxyCommand: `node '${odd}' %h`, under: ['setpriv', '--'] };
  const script = sealScript({ ...plan, ...more });
  writeFileSync(file, script);
  execFileSync('sh', ['-n', file]);
  const calls = script.split('\n').filter((text) => text.startsWith('hide /') || text.startsWith("hide '"));
  const echoed = execFileSync('sh', ['-c', `hide() { printf '%s' "$1"; }\n${calls.join('\n')}`], { encoding: 'utf8' });
  t.equal(echoed, odd);
});

t.test('exit codes are those of a shell', async (t) => {
  t.equal(exitCodeOf(3, null), 3);
  t.equal(exitCodeOf(null, 'SIGKILL'), 137);
  t.equal(exitCodeOf(null, 'SIGTERM'), 143);
});

t.test('a command is looked for as a shell does', async (t) => {
  t.match(findProgram('sh', process.env.PATH), /\/sh$/);
  t.equal(findProgram('no-such-command', process.env.PATH), undefined);
  t.equal(findProgram('/tmp'), undefined, 'a folder is no program');
});
