/**
 * `npm start`: builds, then runs `mixsocks localnet` in this very process. npm passes SIGTERM on to its child and waits for
 * that one: it is this process and no shell in between, since the script says `exec` (exec.cmd stands in for it on Windows,
 * whose shell has no such word). When npm itself is killed, this process stops too.
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
