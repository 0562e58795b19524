/**
 * Files that must be whole after a crash.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { link, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from '../core/errors.ts';

/** Replaces the file at `path`: after a crash there is the old text or the new, never a part. */
export async function writeFileAtomic(path: string, text: string, mode = 0o600): Promise<void> {
  const draft = await writeDraft(path, text, mode);
  try {
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/**
 * Writes a file that must not exist yet; false, and nothing is changed, if it does. When this resolves with true the
 * file is on the disk.
 */
export async function createFileDurably(path: string, text: string, mode = 0o600): Promise<boolean> {
  const draft = await writeDraft(path, text, mode);
  try {
    await link(draft, path);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
  await syncFolder(dirname(path));
  return true;
}

/**
 * The owner of `folder` when that is not root and we are: what a command under sudo writes into the folder of a service must be that
 * service's to read.
 */
export async function foreignOwner(folder: string): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(folder);
  return uid === 0 ? undefined : { uid, gid };
}

async function writeDraft(path: string, text: string, mode: number): Promise<string> {
  const draft = `${path}.${randomUUID()}.draft`;
  const file = await open(draft, 'wx', mode);
  try {
    await file.writeFile(text);
    const owner = await foreignOwner(dirname(path));
    if (owner !== undefined) await file.chown(owner.uid, owner.gid);
    await file.sync();
  } finally {
    await file.close();
  }
  return draft;
}

/** Makes a new or renamed entry of `folder` durable, where the platform can. */
async function syncFolder(folder: string): Promise<void> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(folder, 'r');
  } catch {
    return; // a platform that can not open folders
  }
  try {
    await handle.sync();
  } catch (error) {
    if (systemCode(error) !== 'EINVAL' && systemCode(error) !== 'EPERM') throw error;
  } finally {
    await handle.close();
  }
}
