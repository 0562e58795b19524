/**
 * `mixsocks browser` with real browsers, as an ordinary user, in a network where every packet is counted.
 * @module
 */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { findChromium, findFirefox } from '../support/installed-browsers.ts';
import { mixsocks } from '../support/localnet.ts';
import { IN_NAMESPACE, namespaceObstacle } from '../support/network-namespace.ts';
import { ordinaryUserObstacle } from '../support/ordinary-user.ts';

const INSIDE = fileURLToPath(new URL('browser/in-namespace.ts', import.meta.url));

t.setTimeout(600_000);
const obstacle = namespaceObstacle() ?? ordinaryUserObstacle();
if (obstacle !== undefined) process.stderr.write(`${obstacle}: THAT BROWSERS LEAK NOTHING IS NOT TESTED\n`);

for (const [name, find] of [
  ['Chromium', findChromium],
  ['Firefox', findFirefox],
] as const) {
  const path = obstacle === undefined ? find() : undefined;
  if (path === undefined) {
    t.test(name, { skip: obstacle ?? 'not installed' }, async () => {});
    continue;
  }
  const [command = '', ...args] = [...IN_NAMESPACE, process.execPath, ...process.execArgv, INSIDE];
  t.spawn(command, args, { env: { ...process.env, BROWSER: path } }, name);
}

t.test('as root it refuses', { skip: process.getuid?.() !== 0 && 'not root' }, async (t) => {
  const { code, stderr } = await mixsocks(['browser', '--proxy', '127.0.0.1:1']);
  t.equal(code, 8);
  t.match(stderr, /^mixsocks browser: a browser has no sandbox as root: run mixsocks browser as an ordinary user.*\n$/);
});
