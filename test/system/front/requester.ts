import { writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { until } from '../../support/localnet.ts';
import { curl } from '../../support/web.ts';
import { type FrontNetwork, HELLO, SITE } from './world.ts';

/** Streams of different tokens are sessions of their own to the requester, and the clocks do not tell. */
export async function isolation(t: Test, { network, web }: FrontNetwork): Promise<void> {
  // the proxy's own: at the exit those of clients that have just closed may still end
  const sessions = async () => (await network.status()).sessions.length;
  const before = await sessions();
  const as = (login: string) => curl(network.socks, ['-x', `socks5h://${login}@${network.socks}`, `${web.url}/`]);
  for (const login of ['carol:1', 'carol:1', 'dave:1', 'carol:2']) t.equal((await as(login)).body.toString(), HELLO);
  t.equal(await sessions(), before + 3);
  const atExit = await network.metric('requester-1', 'mixsocks_requester_sessions');
  t.ok(atExit >= before + 3, `${atExit} sessions at the exit`);
  const { rates } = await network.status();
  t.equal(rates.reply.set, 40, 'and the sum of the reply rates is what it was');
}

/** The exit policy is read again on SIGHUP: closed, open, and a file with an error changes nothing. */
export async function policyReload(t: Test, { network, web, policyFile }: FrontNetwork): Promise<void> {
  const ask = () => curl(network.socks, [`http://${SITE}:${web.port}/`], 20);
  const reload = async (text: string, settled: () => Promise<boolean>) => {
    writeFileSync(policyFile, text);
    process.kill(network.pid('requester-1'), 'SIGHUP');
    await until(`the policy holds: ${text}`, 60_000, settled);
  };
  await reload(`reject *:${web.port}\n`, async () => (await ask()).code === 97);
  const refused = await ask();
  t.match(refused.stderr, /\(2\)/, 'not allowed by the rules');
  await reload('accept *:*\n', async () => (await ask()).code === 0);
  t.equal((await ask()).body.toString(), HELLO);
  const lines = () => network.everything().split('the exit policy was not changed').length;
  const before = lines();
  await reload('reject everything\n', async () => lines() > before);
  t.equal((await ask()).body.toString(), HELLO, 'a file with an error changes nothing');
}
