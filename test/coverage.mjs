/**
 * `npm run coverage`: which lines of lib/ the unit, simulation, property and integration tests run. Fails when the tests do, or when it is
 * less than MIN_LINES percent. Threads and child processes run the build, which is made with source maps here.
 * @module
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MIN_LINES = 90;

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'mixsocks-coverage-'));

const tsc = 'node_modules/typescript/bin/tsc';

/** Runs node with `args`; its exit code. */
function node(args, env = {}) {
  const { status } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  return status ?? 1;
}

const report = [
  ...['report', '--temp-directory', folder, '--reporter', 'text-summary', '--reporter', 'text'],
  ...['--all', '--src', 'lib', '--include', 'lib/**/*.ts', '--exclude-after-remap'],
  ...['--check-coverage', '--lines', String(MIN_LINES)],
];
try {
  const built = node([tsc, '-p', 'tsconfig.build.json', '--sourceMap']);
  const ran =
    built || node(['test/run.mjs', 'integration', 'simulation', 'property', 'unit'], { NODE_V8_COVERAGE: folder });
  const reported = built || node(['node_modules/c8/bin/c8.js', ...report]);
  process.exitCode = ran || reported;
} finally {
  rmSync(folder, { recursive: true, force: true });
  for (const map of readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' })) {
    if (map.endsWith('.js.map')) rmSync(join(root, 'dist', map));
  }
  node([tsc, '-p', 'tsconfig.build.json']);
}
