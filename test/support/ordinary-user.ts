/**
 * Runs a command as an ordinary user, for tests that run as root: browsers refuse to be root, and so does `mixsocks browser`.
 * @module
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { MAIN } from './localnet.ts';

const NOBODY_ID = 65534;
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY_ID}`, `--regid=${NOBODY_ID}`, '--clear-groups', '--'];

/** Why the built program cannot be run as an ordinary user here, if so. */
export function ordinaryUserObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const [command = '', ...args] = [...AS_NOBODY, process.execPath, MAIN, '--version'];
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0 ? undefined : 'no other user can run it here';
}

export interface UserFolders {
  readonly home: string;
  /** Its TMPDIR. */
  readonly temporary: string;
}

/** A home and a temporary folder of the ordinary user, with short paths, for there are sockets in them; they go with `t`. */
export function makeUserFolders(t: { teardown(undo: () => void): unknown }): UserFolders {
  const base = mkdtempSync(join(tmpdir(), 'user-'));
  t.teardown(() => rmSync(base, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));
  const folders = { home: join(base, 'home'), temporary: join(base, 'tmp') };
  for (const folder of Object.values(folders)) mkdirSync(folder);
  if (process.getuid?.() === 0)
    for (const path of [base, ...Object.values(folders)]) chownSync(path, NOBODY_ID, NOBODY_ID);
  return folders;
}

/** Starts a command as an ordinary user; in this process's user, when that is one. */
export function spawnAsUser(
  command: readonly string[],
  { home, temporary }: UserFolders,
  env: NodeJS.ProcessEnv = {},
): ChildProcessByStdio<null, Readable, Readable> {
  const [program = '', ...args] = process.getuid?.() === 0 ? [...AS_NOBODY, ...command] : command;
  return spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, HOME: home, TMPDIR: temporary, ...env },
  });
}
