/**
 * The compiled modules of the build that is probed: what they start, threads and processes, is compiled too.
 * @module
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Imports `path` below `dist`; the caller names the type of its source. */
export async function built<Module>(dist: string, path: string): Promise<Module> {
  return (await import(pathToFileURL(join(dist, path)).href)) as Module;
}
