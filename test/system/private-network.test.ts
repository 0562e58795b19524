/** A private network of real processes: who was invited gets through, who was not learns why, and who is uninvited again is out. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Status } from '../../proxy/index.ts';
import { mixsocks, statusText, until } from '../support/localnet.ts';
import { type RoleProcess, startRole } from '../support/role-process.ts';
import { curl, startWeb } from '../support/web.ts';

/** A network of real processes on a busy machine. */
const PATIENCE_MS = 120_000;
const ANY = '127.0.0.1:0';
/** Fewer, larger packets: less for the machine to do. */
const RATES = ['--payload-bytes', '8192', '--main-rate', '20', '--reply-rate', '40'];

t.jobs = 2;

async function command(t: Test, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await mixsocks(args);
  t.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}

/** Directory, three mixes, a gateway and an exit; the folder of the gateway. */
async function startNetwork(t: Test, home: string): Promise<{ gateway: string; networkFile: string }> {
  const dir = join(home, 'directory');
  const made = await command(t, 'init', 'directory', '--dir', dir, '--listen', ANY, '--clients', 'invited', ...RATES);
  const token = /^join token ([0-9a-f]{64})$/m.exec(made)?.[1] ?? '';
  await startRole(t, ['directory', '--dir', dir]).listening();
  const networkFile = join(dir, 'network.json');
  const gateway = join(home, 'gateway');
  const node = (role: string, name: string, ...options: string[]) => {
    const common = ['--init', '--dir', join(home, name), '--network-file', networkFile, '--join-token', token];
    return startRole(t, [role, ...common, ...options], { MIXSOCKS_ALLOW_PRIVATE: 'true' });
  };
  const roles = [
    ...['1', '2', '3'].map((layer) => node('mixnode', `mix-${layer}`, '--layer', layer, '--listen', ANY)),
    node('gateway', 'gateway', '--listen', ANY),
    node('requester', 'requester'),
  ];
  await Promise.all(roles.map((role) => role.listening()));
  return { gateway, networkFile };
}

/** A proxy, and what its status says. */
async function startProxy(t: Test, dir: string, networkFile: string, ...options: string[]) {
  const listens = ['--socks-listen', ANY, '--status-listen', ANY, '--allow-private'];
  await command(t, 'init', 'proxy', '--dir', dir, '--network-file', networkFile, ...listens, ...options);
  const role: RoleProcess = startRole(t, ['proxy', '--dir', dir]);
  await role.listening();
  const [, socks = '', url = ''] = /^listening (\S+), status (\S+)/m.exec(role.out) ?? [];
  const status = async () => (await (await fetch(`${url}/status.json`)).json()) as Status;
  return { role, socks, url, status };
}

t.test('invited clients get through a private network, and nobody else', async (t) => {
  const home = t.testdir();
  const web = await startWeb(t);
  const { gateway, networkFile } = await startNetwork(t, home);
  const line = await command(t, 'gateway', 'invite', '--dir', gateway);
  t.match(line, /^mixsocks-invitation:[0-9a-f]{64}@[0-9a-f]{64}$/, 'the line alone, for scripts');
  t.equal(statSync(join(gateway, 'invitations')).mode & 0o777, 0o700);
  for (const name of readdirSync(join(gateway, 'invitations')))
    t.notOk(readFileSync(join(gateway, 'invitations', name), 'utf8').includes(line.slice(-64)), 'it keeps public keys');

  const [guest, stranger] = await Promise.all([
    startProxy(t, join(home, 'guest'), networkFile, '--invitation', line),
    startProxy(t, join(home, 'stranger'), networkFile),
  ]);
  await until('the guest is ready', PATIENCE_MS, async () => (await guest.status()).ready);
  const answer = await curl(guest.socks, [`${web.url}/bytes/10`]);
  t.equal(answer.code, 0, answer.stderr);

  await until('the stranger learns why', PATIENCE_MS, async () => {
    return /^this network is private/.test((await stranger.status()).obstacle ?? '');
  });
  const text = await statusText(stranger.url);
  t.match(text, /^missing {2}this network is private: its gateways let in invited clients only; get an invitation/m);
  t.match(text, /^network {2}mixsocks, private \(invited clients only\), /m);
  await until('its log says so', PATIENCE_MS, () =>
    /"this network is private: [^"]* --invitation"/.test(stranger.role.log),
  );
  t.equal(stranger.role.log.match(/"msg":"this network is private/g)?.length, 1, 'once');

  const second = await startProxy(t, join(home, 'second'), networkFile, '--invitation', line);
  await until('a second device is refused', PATIENCE_MS, async () =>
    /is used up/.test((await second.status()).network.accessFault ?? ''),
  );
  t.match(
    await command(t, 'gateway', 'invite', 'list', '--dir', gateway),
    /used up: 1 of 1 device, until .*\n {2}a device {2}since /,
  );

  await guest.role.stop();
  const again = startRole(t, ['proxy', '--dir', join(home, 'guest')]);
  await again.listening();
  const [, url = ''] = /status (\S+)/.exec(again.out) ?? [];
  const now = async () => (await (await fetch(`${url}/status.json`)).json()) as Status;
  await until('the guest is let in again after a restart', PATIENCE_MS, async () => (await now()).ready);
  t.match(
    await command(t, 'gateway', 'invite', 'revoke', line, '--dir', gateway),
    /^revoked the invitation [0-9a-f]{16}: one device that came by it cannot connect any more$/,
  );
  await until('the guest is out, and learns why', PATIENCE_MS, async () =>
    /was revoked/.test((await now()).network.accessFault ?? ''),
  );
});

t.test('what is wrong with an invitation is one line', async (t) => {
  const home = t.testdir();
  const dir = join(home, 'gateway');
  await mixsocks(['init', 'gateway', '--dir', dir]);
  for (const [args, code, line] of [
    [['gateway', 'invite', '--uses', '0', '--dir', dir], 3, /--uses: /],
    [['gateway', 'invite', '--expires', '30', '--dir', dir], 3, /--expires: expected a time as 90m, 12h, 30d or 8w/],
    [['gateway', 'invite', 'lst', '--dir', dir], 2, /./],
    [['gateway', 'invite', 'list', '--dir', join(home, 'none')], 3, /there is no gateway in .*: mixsocks init gateway/],
    [
      ['gateway', 'invite', 'revoke', 'ffff', '--dir', dir],
      3,
      /there is no invitation 'ffff': mixsocks gateway invite list/,
    ],
    [
      ['init', 'proxy', '--dir', join(home, 'p'), '--invitation', 'mixsocks-invitation:ab'],
      3,
      /--invitation: expected a whole line/,
    ],
  ] as const) {
    const result = await mixsocks([...args], { MIXSOCKS_DIR: '' });
    t.equal(result.code, code, args.join(' '));
    t.match(result.stderr, line);
    t.equal(result.stderr.trim().split('\n').length, 1, result.stderr);
  }
});
