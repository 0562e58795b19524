/**
 * The configuration of one role: its folder, the config file in it, the environment and the flags.
 * @module
 */
import { statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { type ConfigSchema, loadConfig } from '../lib/config/config.ts';
import { expandHome } from '../lib/config/home-folder.ts';
import { MixError, systemReason } from '../lib/core/errors.ts';

export const CONFIG_FILE = 'config.json';
export const NETWORK_FILE = 'network.json';

export type Environment = Readonly<Record<string, string | undefined>>;
/** What the command line gives, by key. */
export type Flags = Readonly<Record<string, unknown>>;

/** The folder named by `--dir` or MIXSOCKS_DIR, as an absolute path. */
export function folderOf(flags: Flags, env: Environment, role: string): string {
  const dir = typeof flags.dir === 'string' ? flags.dir : env.MIXSOCKS_DIR;
  if (dir !== undefined && dir !== '') {
    return resolve(expandHome(dir, typeof flags.dir === 'string' ? '--dir' : 'MIXSOCKS_DIR'));
  }
  const help = `mixsocks init ${role} --dir DIR makes one`;
  throw new MixError('CONFIG', `name the folder of the ${role} with --dir or MIXSOCKS_DIR; ${help}`);
}

/** Loads what `role` shall run with. */
export function loadRoleConfig<Schema extends ConfigSchema>(
  role: string,
  schema: Schema,
  flags: Flags,
  env: Environment,
) {
  const dir = folderOf(flags, env, role);
  requireFolder(dir, role);
  const file = join(dir, CONFIG_FILE);
  return loadConfig(schema, { flags: { ...flags, dir }, env, file, fallbacks: fallbacks(dir), fixed: { role } });
}

function requireFolder(dir: string, role: string): void {
  let isFolder: boolean | undefined;
  try {
    isFolder = statSync(dir, { throwIfNoEntry: false })?.isDirectory();
  } catch (error) {
    throw new MixError('CONFIG', `cannot use the folder ${dir}: ${systemReason(error)}`, error);
  }
  if (isFolder === true) return;
  throw new MixError('CONFIG', `there is no folder ${dir}; mixsocks init ${role} --dir ${dir} makes it`);
}

/** What follows from the folder when nothing else is said. */
export function fallbacks(dir: string): Record<string, unknown> {
  return { networkFile: join(dir, NETWORK_FILE), name: basename(dir) };
}
