/** Join tokens with real processes: commands beside an authority that runs, and what a node says that is refused. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { mixsocks, until } from '../support/localnet.ts';
import { type RoleProcess, startRole } from '../support/role-process.ts';

/** One of the tests mostly waits for a node's next try. */
t.jobs = 2;

async function command(t: Test, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await mixsocks(['directory', ...args]);
  t.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

t.test('tokens are made and revoked beside a running authority; a refused node says why, once', async (t) => {
  const folder = t.testdir();
  const dir = join(folder, 'directory');
  await mixsocks(['init', 'directory', '--dir', dir, '--listen', '127.0.0.1:0', '--epoch-seconds', '3600']);
  const authority = startRole(t, ['directory', '--dir', dir]);
  await authority.listening();
  const networkFile = join(dir, 'network.json');

  const token = (await command(t, 'token', 'create', '--uses', '1', '--dir', dir)).trim();
  t.match(token, /^[0-9a-f]{64}$/, 'the token alone, for scripts');
  const node = async (name: string) => {
    const own = join(folder, name);
    const made = await mixsocks([
      'init',
      'mixnode',
      '--dir',
      own,
      '--layer',
      '1',
      '--listen',
      '127.0.0.1:0',
      '--network-file',
      networkFile,
      '--join-token',
      token,
    ]);
    t.equal(made.code, 0, made.stderr);
    return startRole(t, ['mixnode', '--dir', own]);
  };
  const first = await node('mix-a');
  const listed = async () => mixsocks(['directory', 'token', 'list', '--dir', dir]).then(({ stdout }) => stdout);
  await until('the first node came by the token', 60_000, async () =>
    /used up: 1 of 1 node .*\n {2}mixnode {3}mix-a /.test(await listed()),
  );

  const second = await node('mix-b');
  const refusals = (of: RoleProcess, reason: string) => of.log.split('\n').filter((line) => line.includes(reason));
  await until('the second is refused', 60_000, () => refusals(second, 'token-used').length > 0);
  await until('and tries on', 60_000, async () => {
    const metrics = /metrics (http\S+)/.exec(second.out)?.[1];
    if (metrics === undefined) return false; // refused before it says that it listens
    const text = await (await fetch(`${metrics}/metrics`)).text();
    return Number(/announcement-refused"\} (\d+)/.exec(text)?.[1] ?? 0) >= 3;
  });
  t.equal(refusals(second, 'token-used').length, 1, 'it says so once, not with every attempt');
  const [line = ''] = refusals(second, 'token-used');
  t.match(JSON.parse(line) as object, {
    level: 'warn',
    problem:
      /refused the announcement: token-used: the join token was good for one node and is used up: ask who runs the authority for a new one \(403\)$/,
  });

  t.match(
    await command(t, 'token', 'revoke', token, '--dir', dir),
    /^revoked the join token [0-9a-f]{16}; with the next consensus these leave: mix-a\n$/,
  );
  await until('the authority lets the first node go', 60_000, () =>
    /join token revoked: its nodes leave/.test(authority.log),
  );
  await first.stop();
  const again = startRole(t, ['mixnode', '--dir', join(folder, 'mix-a')]);
  await until('and takes it no more', 60_000, () => refusals(again, 'token-revoked').length > 0);

  const other = (await command(t, '--dir', dir, 'token', 'create', '--roles', 'gateway')).trim();
  t.not(other, token);
  t.match(
    await command(t, 'expel', 'mix-a', '--dir', dir),
    /^expelled [0-9a-f]{64}: it leaves with the next consensus\n$/,
  );
  t.notMatch(readFileSync(join(dir, 'config.json'), 'utf8'), token);
});

t.test('what is wrong with a command is one line', async (t) => {
  const dir = join(t.testdir(), 'directory');
  await mixsocks(['init', 'directory', '--dir', dir]);
  for (const [args, code, line] of [
    [['token'], 2, /say what to do with join tokens: create, list or revoke/],
    [['token', 'creat'], 2, /unknown command 'creat'; did you mean create\?/],
    [['token', 'create', '--uses', '0', '--dir', dir], 3, /--uses: /],
    [
      ['token', 'create', '--roles', 'mixnod', '--dir', dir],
      3,
      /--roles: expected roles of mixnode, gateway, requester/,
    ],
    [['token', 'create', '--expires', '30', '--dir', dir], 3, /--expires: expected a time as 90m, 12h, 30d or 8w/],
    [['token', 'list', '--dir', join(dir, 'none')], 3, /there is no authority in .*: mixsocks init directory --dir/],
    [
      ['token', 'revoke', 'ffff', '--dir', dir],
      3,
      /there is no join token 'ffff': mixsocks directory token list names them all/,
    ],
  ] as const) {
    const result = await mixsocks(['directory', ...args], { MIXSOCKS_DIR: '' });
    t.equal(result.code, code, args.join(' '));
    t.match(result.stderr, line);
    t.equal(result.stderr.trim().split('\n').length, 1, result.stderr);
  }
});
