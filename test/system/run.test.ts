/**
 * `mixsocks run` and `mixsocks connect` in a real network, with the programs that people use. All tests share the network;
 * what does not disturb each other runs at once.
 */
import t, { type Test } from 'tap';
import { FEWER_PACKETS, TestNetwork } from '../support/localnet.ts';
import { startWeb } from '../support/web.ts';
import { connectStreams, ownProxy } from './run/connect.ts';
import { aptUpdate, gitCloneSealed, pipDownload, sshSealed, wgetSealed } from './run/programs.ts';
import { sealedWorld } from './run/seal.ts';
import { environmentIn, isThere, usersThatCanSeal } from './run/world.ts';

t.setTimeout(600_000);

t.test(
  'commands behind the proxy of a real network',
  { skip: process.platform !== 'linux' && 'Linux only' },
  async (t) => {
    const web = await startWeb(t);
    const network = await TestNetwork.start(t, ['--mixes-per-layer', '1', '--mean-delay-ms', '10', ...FEWER_PACKETS]);
    const env = environmentIn(network);
    const users = usersThatCanSeal();
    const [first] = users;
    const sealable = first !== undefined;
    t.jobs = 3;
    const atOnce: readonly [string, (t: Test) => Promise<void>, boolean?][] = [
      ['connect', (t) => connectStreams(t, env)],
      ...users.map((user): [string, (t: Test) => Promise<void>] => [
        `a sealed command of ${user.name}`,
        (t) => sealedWorld(t, env, web, user),
      ]),
      ['git, sealed', (t) => gitCloneSealed(t, env, users), sealable && isThere('git')],
      ['wget, sealed', (t) => wgetSealed(t, env, users), sealable && isThere('wget')],
      ['ssh, sealed', (t) => sshSealed(t, env, users), sealable && isThere('sshd') && process.getuid?.() === 0],
      ['pip, sealed', (t) => pipDownload(t, env), sealable && isThere('pip')],
      ['apt, sealed', (t) => aptUpdate(t, env), sealable && isThere('apt-get')],
    ];
    await Promise.all(
      atOnce.map(([name, run, possible = true]) =>
        t.test(name, { buffered: true, skip: possible ? false : 'not possible here' }, run),
      ),
    );
    await t.test('a proxy of its own', (t) => ownProxy(t, network, web));
  },
);
