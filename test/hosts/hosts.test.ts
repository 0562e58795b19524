/**
 * A network on hosts of its own, each a network namespace with addresses, over cables that can be pulled: `npm run test:hosts`.
 * Loudly skipped where a machine cannot do this. Takes minutes.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { ENDS_WITH_US } from '../support/localnet.ts';
import { IN_NAMESPACE, namespaceObstacle } from '../support/network-namespace.ts';

const INSIDE = fileURLToPath(new URL('inside.ts', import.meta.url));
const INSTALL = 'apt-get update -q && apt-get install -q -y iproute2 curl';

/** The whole of it. */
const TIMEOUT_MS = 900_000;

/** Why it cannot be tried here; `ip` and curl are installed where that goes. */
function obstacle(): string | undefined {
  const lacking = () => spawnSync('sh', ['-c', 'command -v ip && command -v curl'], { stdio: 'ignore' }).status !== 0;
  if (lacking() && process.getuid?.() === 0) spawnSync('sh', ['-c', INSTALL], { stdio: 'ignore', timeout: 300_000 });
  if (lacking()) return 'no ip of iproute2, or no curl';
  return namespaceObstacle();
}

const reason = obstacle();
if (reason === undefined) {
  const [command = '', ...args] = [...IN_NAMESPACE, process.execPath, ...process.execArgv, ...ENDS_WITH_US, INSIDE];
  t.spawn(command, args, { env: process.env, timeout: TIMEOUT_MS }, 'a network of many hosts');
} else {
  process.stderr.write(`${reason}: A NETWORK OF MANY HOSTS IS NOT TESTED\n`);
  t.pass('a network of many hosts', { skip: reason });
}
