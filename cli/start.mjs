/**
 * `npm start`: builds, then runs `mixsocks localnet` in this very process. npm passes signals on to a shell only, and
 * the shell dies without telling us; so this process stops when its parent has gone.
 * @module
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PARENT_CHECK_MS = 250;

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = `${root}node_modules/typescript/bin/tsc`;
const build = spawnSync(process.execPath, [tsc, '-p', `${root}tsconfig.build.json`], { stdio: 'inherit' });
if (build.status !== 0) process.exit(build.status ?? 1);

const parent = process.ppid;
const check = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(check);
  process.kill(process.pid, 'SIGTERM');
}, PARENT_CHECK_MS);

process.argv.splice(2, 0, 'localnet');
await import('../dist/cli/main.js');
