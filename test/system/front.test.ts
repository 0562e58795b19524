/**
 * The front of a real network, asked by the programs that people use. All tests share the network, whose start is what
 * takes time; what does not disturb each other runs at once.
 * @module
 */
import { statSync } from 'node:fs';
import t, { type Test } from 'tap';
import type { RowListener } from '../support/front-row-tools.ts';
import { runRows } from '../support/front-rows.ts';
import { SIDE_ROWS } from '../support/front-rows-side.ts';
import { findChromium } from '../support/installed-browsers.ts';
import { mixsocks } from '../support/localnet.ts';
import { isInstalled } from '../support/programs.ts';
import { browsePage } from './front/browser.ts';
import { dnsOverUdp, lookUps, npmSocks, undici } from './front/clients.ts';
import { curlAtLength, curlInEveryWay } from './front/curl.ts';
import { library, libraryExample } from './front/library.ts';
import { gitClone, sshGreets, tunnelByHelper } from './front/programs.ts';
import { isolation, policyReload } from './front/requester.ts';
import { type FrontNetwork, startFrontNetwork } from './front/world.ts';

t.test('the front of a real network serves what people use', async (t) => {
  const front = await startFrontNetwork(t);
  t.equal(statSync(front.path).mode & 0o777, 0o600);

  // This needs the requester to itself. It comes first: no session has been idle for so long yet that it is closed meanwhile.
  await t.test('streams of different logins share no session', (t) => isolation(t, front));

  t.jobs = 4;
  const place = (listener: RowListener) => front.listeners[listener];
  const world = { place, patienceMs: 1500 };
  const chromium = findChromium();
  const atOnce: readonly [string, (t: Test, front: FrontNetwork) => Promise<void>, boolean?][] = [
    ['the table', (t) => runRows(t, world)],
    ['the table of associations and look-ups', (t) => runRows(t, world, SIDE_ROWS)],
    ['Chromium', (t) => browsePage(t, front, chromium ?? ''), chromium !== undefined],
    ['curl at length', curlAtLength],
    ['curl in every way', curlInEveryWay],
    ['git', gitClone, isInstalled('git')],
    ['ssh', sshGreets, isInstalled('ssh')],
    ['a tunnel by hand', tunnelByHelper],
    ['npm socks', npmSocks],
    ['undici', undici],
    ['DNS over UDP', dnsOverUdp],
    ['look-ups', lookUps],
    // each of these is one more proxy, with its own cover traffic
    ['the library works in this process', library],
    ['an example of the library', libraryExample],
  ];
  await Promise.all(
    atOnce.map(([name, run, possible = true]) =>
      t.test(name, { buffered: true, skip: possible ? false : 'not installed' }, (t) => run(t, front)),
    ),
  );

  // This needs the requester to itself, too.
  await t.test('the exit policy is read again on SIGHUP', (t) => policyReload(t, front));
});

t.test('an address that other machines can reach must be meant', async (t) => {
  const dir = t.testdir({ 'network.json': '{}' });
  const { code, stderr } = await mixsocks(['proxy', '--dir', dir, '--socks-listen', '0.0.0.0:0']);
  t.equal(code, 3);
  t.match(stderr, /0\.0\.0\.0:0 .*--allow-remote/);
});
