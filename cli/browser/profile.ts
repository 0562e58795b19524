/**
 * The folder of one run: profile, first page, and the browser's temporary files.
 * @module
 */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeTemporaryFolder, shareTemporaryFolder } from '../localnet/temporary-folder.ts';
import type { Browser, LaunchPlan } from './browser.ts';
import { startPage } from './start-page.ts';

export interface RunFolder {
  readonly dir: string;
  readonly profile: string;
  readonly temporary: string;
  readonly startPage: string;
  readonly downloads: string;
}

/** Makes the folder, for its owner alone. Throws ENVIRONMENT. */
export async function makeRunFolder(): Promise<RunFolder> {
  const dir = await makeTemporaryFolder();
  const [profile, temporary, page] = [join(dir, 'profile'), join(dir, 'tmp'), join(dir, 'start.html')];
  for (const folder of [profile, temporary]) await mkdir(folder, { mode: 0o700 });
  return { dir, profile, temporary, startPage: pathToFileURL(page).href, downloads: downloadsFolder() };
}

/** Writes what the browser finds there. */
export async function fillRunFolder({ dir }: RunFolder, browser: Browser, plan: LaunchPlan): Promise<void> {
  await writeFile(join(dir, 'start.html'), startPage(browser.name), { mode: 0o600 });
  for (const [name, text] of Object.entries(browser.files(plan))) {
    const path = join(plan.profile, name);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, text, { mode: 0o600 });
  }
}

/** The browser may outlive us, if we are killed: its profile must not be removed under it. */
export async function noteProcess({ dir }: RunFolder, pid: number | undefined): Promise<void> {
  if (pid !== undefined) await shareTemporaryFolder(dir, pid); // it leads a group of its own
}

/** The last helper of a browser may still write while it is ended. */
export async function removeRunFolder({ dir }: RunFolder): Promise<void> {
  await rm(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

/** Not in the profile, which goes away. */
function downloadsFolder(): string {
  const folder = join(homedir(), 'Downloads');
  return existsSync(folder) ? folder : homedir();
}
