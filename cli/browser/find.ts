/**
 * Which browser is opened, and whether it has the settings that this needs.
 * @module
 */
import { accessSync, closeSync, constants, openSync, readdirSync, readFileSync, readSync, realpathSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { MixError } from '../../lib/core/errors.ts';
import type { Environment } from '../role-config.ts';
import type { Browser } from './browser.ts';
import { CHROMIUM } from './chromium.ts';
import { FIREFOX } from './firefox.ts';

export interface FoundBrowser {
  readonly browser: Browser;
  readonly path: string;
}

/**
 * The first of the browsers that is installed: Chromium before Firefox, or only the one that is asked for. Throws CONFIG
 * when there is none.
 */
export function findBrowser(wanted: Browser['name'] | undefined, env: Environment): FoundBrowser {
  const candidates = [CHROMIUM, FIREFOX].filter(({ name }) => wanted === undefined || name === wanted);
  let snap: string | undefined;
  for (const browser of candidates) {
    for (const path of pathsOf(browser, env)) {
      if (!isSnap(path)) return { browser, path };
      snap ??= path;
    }
  }
  if (snap !== undefined) {
    const why = 'a snap cannot read a profile of ours: install the browser from another source';
    throw new MixError('CONFIG', `${snap} is a snap, and ${why}`);
  }
  const names = candidates.flatMap(({ programs }) => programs).join(', ');
  throw new MixError('CONFIG', `no ${wanted ?? 'Chromium or Firefox'} is installed (looked for ${names} in PATH)`);
}

function pathsOf({ programs, applications }: Browser, { PATH = '' }: Environment): string[] {
  const folders = PATH.split(delimiter).filter(isAbsolute);
  const inPath = programs.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [...inPath, ...applications].filter(isExecutable);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A snap sees neither the temporary folder nor hidden folders. Its program in PATH is a link or a short script. */
function isSnap(path: string): boolean {
  try {
    return /^\/snap\/|\/snap$/.test(realpathSync(path)) || /^#!.*\/snap\/bin\//s.test(head(path));
  } catch {
    return false;
  }
}

const HEAD_BYTES = 4096;

function head(path: string): string {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(HEAD_BYTES);
    return bytes.toString('latin1', 0, readSync(file, bytes));
  } finally {
    closeSync(file);
  }
}

/** Throws CONFIG when the administrator of this machine has rules for the browser that a profile cannot beat. */
export function checkPolicies({ name, policies }: Browser, root = '/'): void {
  for (const folder of policies.folders) {
    const path = join(root, folder);
    for (const file of filesIn(path)) {
      const rule = keysOf(join(path, file)).find((key) => policies.refused.test(key));
      if (rule === undefined) continue;
      const what = `${join(path, file)} sets ${rule} for every ${name} here, which could go past the proxy`;
      throw new MixError('CONFIG', `${what}: remove that rule, or open another browser`);
    }
  }
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
}

/** Every key at any depth. The browsers accept comments, which JSON.parse does not. */
function keysOf(path: string): string[] {
  try {
    return [...readFileSync(path, 'utf8').matchAll(/"(\w+)"\s*:/g)].map(([, key = '']) => key);
  } catch {
    return []; // what we cannot read the browser cannot read either
  }
}
