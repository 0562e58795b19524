/**
 * The file that holds a node's Sphinx keys (mode 0600): written whole or not at all, on disk for good when the call
 * returns.
 * @module
 */

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { MixError, systemCode, systemReason } from '../core/errors.ts';
import { jsonOf } from '../core/parsed-text.ts';
import { readTextFile } from '../core/text-file.ts';
import { epochNumber } from '../core/units.ts';

const KEY_FILE = 'sphinx-keys.json';

const StoredKey = z.strictObject({
  epoch: z.number().int().nonnegative().transform(epochNumber),
  /** X25519 secret. */
  secret: z.string().regex(/^[0-9a-f]{64}$/),
  /** Whether packets may have been accepted under it: then it is worth nothing without its journal. */
  active: z.boolean(),
});

const StoredKeys = z.strictObject({
  format: z.literal(1),
  epochMs: z.number().positive(),
  /** Boot of the system in which the journals were written. */
  bootId: z.string().optional(),
  /** Set by a stop that saw every journal safely on the device. */
  clean: z.boolean(),
  keys: z.array(StoredKey).max(16),
});

export type StoredKeys = z.infer<typeof StoredKeys>;

/** The stored keys; undefined when there are none. Throws MixError IDENTITY on a file that is not ours, ENVIRONMENT where the system refuses it. */
export function readKeys(dir: string): StoredKeys | undefined {
  const path = join(dir, KEY_FILE);
  let text: string;
  try {
    text = readTextFile(path, { code: 'IDENTITY' });
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    if (error instanceof MixError) throw error;
    throw new MixError('ENVIRONMENT', `cannot read ${path}: ${systemReason(error)}`, error);
  }
  const parsed = StoredKeys.safeParse(jsonOf(text));
  if (!parsed.success) throw new MixError('IDENTITY', `${path} is damaged; delete it to get new Sphinx keys`);
  return parsed.data;
}

export function writeKeys(dir: string, keys: StoredKeys): void {
  const path = join(dir, KEY_FILE);
  const fresh = `${path}.new`;
  try {
    rmSync(fresh, { force: true }); // what a crash left there
    const fd = openSync(fresh, 'wx', 0o600);
    try {
      writeFileSync(fd, JSON.stringify(keys));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(fresh, path);
    syncDirectory(dirname(path));
  } catch (error) {
    throw new MixError('ENVIRONMENT', `cannot write ${path}: ${systemReason(error)}`, error);
  }
}

/** Makes names in a folder durable; systems that cannot open a folder (Windows) do it by themselves. */
function syncDirectory(dir: string): void {
  let fd: number;
  try {
    fd = openSync(dir, 'r');
  } catch {
    return;
  }
  try {
    fsyncSync(fd);
  } catch {
    // some file systems refuse fsync on a folder; the rename is then as durable as they make it
  } finally {
    closeSync(fd);
  }
}
