/**
 * The temporary folder of a local network that was given none. It says whose it is, so that the next network can remove
 * what one that was killed has left behind: keys, logs and documents that nobody needs any more.
 * @module
 */
import { type Dirent, readlinkSync } from 'node:fs';
import { lstat, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../lib/directory/index.ts';
import { bootId } from '../../lib/mixing/boot-id.ts';

const PREFIX = 'mixsocks-';
const OWNER_FILE = 'owner.json';

/** Who made a folder. A number of a process means something only where it was given. */
const Owner = z.strictObject({ pid: z.int().min(1), place: z.string() });
type Owner = z.infer<typeof Owner>;

/** Makes a temporary folder of this process, and removes those of processes that are gone. */
export async function makeTemporaryFolder(parent = tmpdir()): Promise<string> {
  await removeStaleFolders(parent);
  const dir = await mkdtemp(join(parent, PREFIX));
  const owner: Owner = { pid: process.pid, place: thisPlace() };
  await writeFileAtomic(join(dir, OWNER_FILE), `${JSON.stringify(owner)}\n`);
  return dir;
}

/** Removes the folders that say that a process of ours made them, here, which is no more. Whatever is unsure stays. */
export async function removeStaleFolders(parent: string): Promise<void> {
  const entries = await readdir(parent, { withFileTypes: true }).catch((): Dirent[] => []);
  for (const entry of entries) {
    if (!entry.name.startsWith(PREFIX) || !entry.isDirectory()) continue;
    const dir = join(parent, entry.name);
    if (await isStale(dir)) await rm(dir, { recursive: true, force: true }).catch(() => {});
  }
}

async function isStale(dir: string): Promise<boolean> {
  try {
    const stats = await lstat(dir);
    if (!stats.isDirectory() || stats.uid !== process.getuid?.()) return false;
    const { pid, place } = Owner.parse(JSON.parse(await readFile(join(dir, OWNER_FILE), 'utf8')));
    return place === thisPlace() && !isAlive(pid);
  } catch {
    return false;
  }
}

/** Machine, boot and, where there are such, the namespace of process numbers: containers may share a temporary folder. */
function thisPlace(): string {
  return [hostname(), bootId() ?? '', pidNamespace()].join(' ');
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return ''; // not Linux
  }
}

/** Signal 0 asks only. A process of somebody else's (EPERM) is alive too. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
