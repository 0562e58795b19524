/**
 * Temporary folders that say whose they are, so that a later command can remove what one that was killed has left behind:
 * keys, logs, documents and profiles that nobody needs any more.
 * @module
 */

import { type Dirent, readlinkSync } from 'node:fs';
import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { MixError, systemReason } from '../../lib/core/errors.ts';
import { readTextFile } from '../../lib/core/text-file.ts';
import { writeFileAtomic } from '../../lib/directory/files.ts';
import { bootId } from '../../lib/mixing/boot-id.ts';

const PREFIX = 'mixsocks-';
const OWNER_FILE = 'owner.json';

/**
 * Who made a folder, and a group of processes that may use it after its maker has gone. A number of a process means something
 * only where it was given.
 */
const Owner = z.strictObject({ pid: z.int().min(1), machine: z.string(), group: z.int().min(1).optional() });
type Owner = z.infer<typeof Owner>;

/** Makes a temporary folder of this process, and removes those of processes that are gone. */
export async function makeTemporaryFolder(parent = tmpdir()): Promise<string> {
  await removeStaleFolders(parent);
  try {
    const dir = await mkdtemp(join(parent, PREFIX));
    await writeOwner(dir);
    return dir;
  } catch (error) {
    const remedy = 'set TMPDIR to a folder that can be written, or name one with --dir';
    throw new MixError('ENVIRONMENT', `cannot make a folder in ${parent}: ${systemReason(error)}; ${remedy}`, error);
  }
}

/** Notes that the processes of `group` use the folder too: it stays as long as one of them is there. */
export async function shareTemporaryFolder(dir: string, group: number): Promise<void> {
  await writeOwner(dir, group);
}

async function writeOwner(dir: string, group?: number): Promise<void> {
  const owner: Owner = { pid: process.pid, machine: thisMachine(), ...(group === undefined ? {} : { group }) };
  await writeFileAtomic(join(dir, OWNER_FILE), `${JSON.stringify(owner)}\n`);
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
    const { pid, machine, group } = Owner.parse(JSON.parse(readTextFile(join(dir, OWNER_FILE))));
    return machine === thisMachine() && !isAlive(pid) && (group === undefined || !isAlive(-group));
  } catch {
    return false;
  }
}

/** Machine, boot and, where there are such, the namespace of process numbers: containers may share a temporary folder. */
function thisMachine(): string {
  return [hostname(), bootId() ?? '', pidNamespace()].join(' ');
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return ''; // not Linux
  }
}

/** Of a process, or of a group by its negative number. Signal 0 asks only. A process of somebody else's (EPERM) is alive too. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
