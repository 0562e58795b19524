/** A system that lets a process have few files open. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { OWN_FAILURE } from '../../cli/commands.ts';
import { filesWarning, neededFiles } from '../../cli/needed-files.ts';
import { LEAST_OPEN_FILES, openFilesFault } from '../../cli/open-files.ts';
import { ERRORS } from '../../lib/core/errors.ts';
import { finished, MAIN, mixsocks } from '../support/localnet.ts';

const LINUX = { skip: process.platform !== 'linux' };

/** Starts `mixsocks` where a process may have so many files open. */
function limited(files: number, args: readonly string[]) {
  const script = `ulimit -n ${files} && exec "$@"`;
  return spawn('sh', ['-c', script, 'sh', process.execPath, MAIN, ...args], { stdio: 'pipe' });
}

async function refused(t: Test, files: number, args: readonly string[], code: number) {
  const { code: exitCode, stdout, stderr } = await finished(limited(files, args));
  const line = `mixsocks: this process may have ${files} files open, and mixsocks needs ${LEAST_OPEN_FILES} at least: `;
  t.match(stderr, line, `${files} files: ${args.join(' ')}`);
  t.strictSame([exitCode, stdout, stderr.trimEnd().split('\n').length], [code, '', 1]);
}

t.test('with too few files to load the program each role and command says so in one line', LINUX, async (t) => {
  const roles = ['mixnode', 'gateway', 'requester', 'proxy', 'directory', 'localnet', 'status'];
  for (const role of roles) await refused(t, 64, [role, '--dir', t.testdirName], ERRORS.ENVIRONMENT.exitCode);
  await refused(t, 32, ['mixnode'], ERRORS.ENVIRONMENT.exitCode);
  await refused(t, 64, ['run', '--', 'true'], OWN_FAILURE);
  t.equal((await finished(limited(LEAST_OPEN_FILES, ['--version']))).code, 0);
});

t.test('a role that may have fewer files open than its connections take runs, and says it', LINUX, async (t) => {
  const dir = t.testdir();
  t.equal((await mixsocks(['init', 'directory', '--dir', dir, '--listen', '127.0.0.1:0'])).code, 0);
  const role = limited(300, ['directory', '--dir', dir]);
  const ended = finished(role);
  await once(role.stdout, 'data');
  role.kill('SIGTERM');
  const { stderr } = await ended;
  const lines = stderr.split('\n').filter((line) => line.includes('files open'));
  t.equal(lines.length, 1);
  t.match(lines[0], '"level":"warn"');
  t.match(lines[0], 'this process may have 300 files open, and its configuration allows connections for 1536: ');
});

t.test('what is enough says nothing, nor does a system that gives no limit', async (t) => {
  t.equal(neededFiles('gateway', { maxClients: 1000, maxRequesters: 256 }), 1768);
  t.match(filesWarning('gateway', { maxClients: 1000 }, 1511), 'ulimit -n 1512');
  t.equal(filesWarning('gateway', { maxClients: 1000 }, 1512), undefined);
  t.equal(filesWarning('mixnode', {}, 512), undefined);
  t.match(openFilesFault(LEAST_OPEN_FILES - 1), 'LimitNOFILE=');
  t.equal(openFilesFault(LEAST_OPEN_FILES), undefined);
  t.equal(openFilesFault(Number.POSITIVE_INFINITY), undefined);
});
