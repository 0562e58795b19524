/** One process per folder, whatever became of the one before. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { initRole } from '../../cli/init.ts';
import { ROLES } from '../../cli/roles.ts';
import { saveNetworkFile } from '../../lib/directory/index.ts';
import { FolderLock, LOCK_FILE } from '../../lib/runtime/folder-lock.ts';
import { testNetwork } from '../support/signed-documents.ts';

const compiled = new URL('../../dist/lib/runtime/folder-lock.js', import.meta.url).href;

const take = (dir: string, holder = 'mixnode, process 1') =>
  FolderLock.take(dir, { holder, warn: (line) => t.fail(line) });

/** A process that holds `dir` until it is killed. */
async function holder(t: Test, dir: string): Promise<ChildProcess> {
  const program = `
    const { FolderLock } = await import(${JSON.stringify(compiled)});
    const holder = 'gateway, process ' + process.pid;
    await FolderLock.take(${JSON.stringify(dir)}, { holder, warn() {} });
    console.log('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

t.test('a folder that is in use is refused by a line that names the process; given up, it is free', async (t) => {
  const dir = t.testdir();
  const lock = await take(dir);
  t.equal(statSync(join(dir, LOCK_FILE)).mode & 0o777, 0o600);
  await t.rejects(take(dir), {
    code: 'ENVIRONMENT',
    message: /already in use by another process \(mixnode, process 1\)/,
  });
  t.same(readdirSync(dir), [LOCK_FILE], 'a refused one leaves nothing behind');
  lock.release();
  t.same(readdirSync(dir), []);
  (await take(dir)).release();
});

t.test('the lock of another process holds as long as that process, even when it is killed', async (t) => {
  const dir = t.testdir();
  const child = await holder(t, dir);
  await t.rejects(take(dir), { message: new RegExp(`gateway, process ${child.pid}`) });
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.ok(existsSync(join(dir, LOCK_FILE)), 'a file is left behind');
  (await take(dir)).release();
  t.same(readdirSync(dir), []);
});

t.test('a process that is stopped and cannot answer holds its folder all the same', async (t) => {
  const dir = t.testdir();
  const child = await holder(t, dir);
  child.kill('SIGSTOP');
  await t.rejects(take(dir), { message: /already in use by another process:/ });
});

t.test('every role refuses the folder of another process, by one line and exit code 8', async (t) => {
  const main = new URL('../../dist/cli/main.js', import.meta.url).pathname;
  const folders = t.testdir({ network: {} });
  const networkFile = join(folders, 'network', 'network.json');
  await saveNetworkFile(networkFile, testNetwork());
  const flags: Record<string, object> = {
    mixnode: { layer: '1' },
    directory: { listen: '127.0.0.1:1', advertise: 'http://127.0.0.1:1' },
  };
  const ends = ROLES.map(async (role) => {
    const dir = join(folders, role.name);
    const given = role.name === 'directory' ? {} : { networkFile };
    await initRole(role, { dir, ...given, ...flags[role.name] }, {});
    const lock = await take(dir);
    const child = spawn(process.execPath, [main, role.name, '--dir', dir], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.resume();
    const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    t.equal(code, 8, role.name);
    t.match(errors, /already in use by another process \(mixnode, process 1\)/, role.name);
    lock.release();
  });
  await Promise.all(ends);
});

t.test('of many that find a dead lock at once, one gets the folder', async (t) => {
  const dir = t.testdir();
  const child = await holder(t, dir);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => take(dir)));
  const taken = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  t.equal(taken.length, 1);
  t.same(readdirSync(dir), [LOCK_FILE]);
  taken[0]?.release();
});

t.test('a path that is too long for a socket address works too', async (t) => {
  const dir = join(t.testdir(), 'x'.repeat(120));
  mkdirSync(dir);
  const lock = await take(dir);
  await t.rejects(take(dir), { code: 'ENVIRONMENT' });
  lock.release();
  t.same(readdirSync(dir), []);
});

t.test('a path that is short enough is refused as a long one is', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'lock-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const lock = await take(dir);
  await t.rejects(take(dir), { code: 'ENVIRONMENT', message: /already in use/ });
  t.same(readdirSync(dir), [LOCK_FILE]);
  lock.release();
  t.same(readdirSync(dir), []);
});

t.test('a file of another kind in its place is left as it is', async (t) => {
  const dir = t.testdir({ [LOCK_FILE]: 'mine' });
  await t.rejects(take(dir), { code: 'ENVIRONMENT', message: /no lock of mixsocks/ });
  t.same(readdirSync(dir), [LOCK_FILE]);
});

t.test('giving up does not remove what another has put there', async (t) => {
  const dir = t.testdir();
  const lock = await take(dir);
  rmSync(join(dir, LOCK_FILE));
  writeFileSync(join(dir, LOCK_FILE), '');
  lock.release();
  t.same(readdirSync(dir), [LOCK_FILE]);
});

t.test('a folder that cannot be written is used without a lock', { skip: process.getuid?.() === 0 }, async (t) => {
  const dir = t.testdir();
  chmodSync(dir, 0o500);
  (await take(dir)).release();
  chmodSync(dir, 0o700);
});
