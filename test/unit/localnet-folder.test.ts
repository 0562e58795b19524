/** What a local network leaves on the disk: logs within a bound, and nothing once it is gone. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import t from 'tap';
import { LogFile, MAX_LOG_BYTES } from '../../cli/localnet/child.ts';
import { makeTemporaryFolder, removeStaleFolders } from '../../cli/localnet/temporary-folder.ts';

t.test('a log that has grown too large begins anew, and the process goes on writing', async (t) => {
  t.equal(MAX_LOG_BYTES, 16 * 1024 * 1024);
  const dir = t.testdir();
  writeFileSync(join(dir, 'log'), 'of the last run\n', { mode: 0o600 });
  const log = new LogFile(dir);
  const older = join(dir, 'log.1');
  const file = log.open();
  t.teardown(() => closeSync(file));
  writeSync(file, 'first\n');
  t.equal(readFileSync(log.path, 'utf8'), 'first\n', 'the last run is forgotten');
  log.bound(7);
  t.notOk(existsSync(older), 'small enough');
  log.bound(6);
  t.equal(readFileSync(older, 'utf8'), 'first\n');
  t.equal(statSync(older).mode & 0o777, 0o600);
  writeSync(file, 'second\n');
  t.equal(readFileSync(log.path, 'utf8'), 'second\n', 'no hole where the older lines were');
  log.bound(6);
  t.equal(readFileSync(older, 'utf8'), 'second\n', 'two files and no more');
  t.strictSame(readdirSync(dir).sort(), ['log', 'log.1']);
});

t.test('a log whose folder is gone is nothing to die of', async (t) => {
  t.doesNotThrow(() => new LogFile(join(t.testdir(), 'gone')).bound(0));
});

/** A process that is no more. */
function deadPid(): number {
  return spawnSync(process.execPath, ['--version']).pid;
}

/** The number of our process group: somebody is in it. */
function ownGroup(): number {
  return Number(spawnSync('ps', ['-o', 'pgid=', '-p', String(process.pid)], { encoding: 'utf8' }).stdout);
}

t.test('the next network removes the folder of one that was killed, and nothing else', async (t) => {
  const parent = t.testdir();
  const mine = await makeTemporaryFolder(parent);
  const owner = JSON.parse(readFileSync(join(mine, 'owner.json'), 'utf8')) as { pid: number; machine: string };
  t.equal(owner.pid, process.pid);
  const make = (name: string, content?: unknown) => {
    const dir = join(parent, name);
    mkdirSync(join(dir, 'proxy-1'), { recursive: true });
    if (content !== undefined) writeFileSync(join(dir, 'owner.json'), JSON.stringify(content));
    return dir;
  };
  const dead = { ...owner, pid: deadPid() };
  const stale = make('mixsocks-killed', dead);
  const unused = make('mixsocks-closed', { ...dead, group: deadPid() });
  const kept = [
    mine,
    make('mixsocks-unnamed'),
    make('mixsocks-strange', { pid: 'all' }),
    make('mixsocks-elsewhere', { ...dead, machine: 'another machine' }),
    make('mixsocks-living', { ...dead, pid: process.ppid }),
    make('mixsocks-in-use', { ...dead, group: ownGroup() }),
    make('other-program', dead),
  ];
  const target = make('target', dead);
  symlinkSync(target, join(parent, 'mixsocks-link'));
  await removeStaleFolders(parent);
  t.notOk(existsSync(stale));
  t.notOk(existsSync(unused), 'the browser has ended, too');
  for (const dir of [...kept, target, join(parent, 'mixsocks-link')]) t.ok(existsSync(dir), basename(dir));
  const next = await makeTemporaryFolder(parent);
  t.not(next, mine);
  t.ok(existsSync(mine));
});

t.test('a folder for temporary files that cannot be read', async (t) => {
  await t.resolves(removeStaleFolders(join(t.testdir(), 'none')));
});
