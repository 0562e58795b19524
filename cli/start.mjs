/**
 * `npm start`: builds, then runs `mixsocks localnet` in this very process, so that a signal to npm reaches it.
 * @module
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = `${root}node_modules/typescript/bin/tsc`;
const build = spawnSync(process.execPath, [tsc, '-p', `${root}tsconfig.build.json`], { stdio: 'inherit' });
if (build.status !== 0) process.exit(build.status ?? 1);
process.argv.splice(2, 0, 'localnet');
await import('../dist/cli/main.js');
