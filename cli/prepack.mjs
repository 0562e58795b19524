/**
 * Before `npm pack` and `npm publish`: a build with nothing in it but what the sources give now. In a clone without
 * `node_modules` it installs them first. Standard output stays free for `npm pack --json`.
 * @module
 */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs a command line with its output on standard error; ends this process when it fails. */
function run(command) {
  const { status } = spawnSync(command, { cwd: root, stdio: ['ignore', 2, 2], shell: true });
  if (status !== 0) process.exit(status ?? 1);
}

if (!existsSync(`${root}node_modules/typescript`)) run('npm ci --ignore-scripts --no-audit --no-fund');
rmSync(`${root}dist`, { recursive: true, force: true });
run('npm run --silent build');
