/**
 * A role that misbehaves as its argument says, run as the command line runs roles. A program of its own, for system
 * tests: `tsx test/support/defective-role.ts throw`.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { reportError } from '../../cli/report.ts';
import type { Role } from '../../cli/roles.ts';
import { runRole } from '../../cli/run-role.ts';

const schema = z.strictObject({
  dir: z.string(),
  networkFile: z.string(),
  name: z.string(),
  logLevel: z.enum(['info', 'silent']).default('silent'),
  crypto: z.enum(['fastest', 'noble']).default('fastest'),
});
const how = process.argv[2] ?? '';

const role: Role = {
  name: 'mixnode',
  summary: '',
  hasIdentity: false,
  example: '',
  load: async () => ({ schema, start }),
};

async function start() {
  if (how === 'start') throw new TypeError('broken\nat once');
  setTimeout(() => {
    if (how === 'throw') throw new TypeError('broken\nin a timer');
    if (how === 'reject') void Promise.reject(new Error('broken promise'));
  }, 20);
  const health = { live: () => [], ready: () => [] };
  return {
    listening: 'nowhere',
    health,
    stop: () => (how === 'hang' ? new Promise<void>(() => {}) : Promise.resolve()),
  };
}

const dir = mkdtempSync(join(tmpdir(), 'mixsocks-defective-')); // its own: a second process on one folder is refused
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
const flags = {
  dir,
  crypto: how === 'noble' ? 'noble' : 'fastest',
  logLevel: how === 'noble' ? 'info' : 'silent',
};
process.exit(await runRole(role, flags, {}).catch((error: unknown) => reportError(error, 'mixsocks mixnode')));
