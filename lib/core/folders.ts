/**
 * Folders of our own.
 * @module
 */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemCode } from './system-errors.ts';

/**
 * Makes a folder, for its owner alone, with those above it that are missing; one that is there is left as it is. Not Node's
 * own recursive `mkdir`, which never returns where the system answers ENOENT to every try, as below /proc.
 */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) === 'EEXIST' && statSync(path).isDirectory()) return;
    const parent = dirname(path);
    if (systemCode(error) !== 'ENOENT' || parent === path || isThere(parent)) throw error;
    makeFolder(parent);
    mkdirSync(path, { mode: 0o700 });
  }
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
