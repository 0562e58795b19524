/**
 * Which role a folder is of.
 * @module
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readJsonObject } from '../../lib/config/config.ts';
import { MixError } from '../../lib/core/errors.ts';
import { hasIdentity } from '../../lib/link/index.ts';
import { CONFIG_FILE } from '../role-config.ts';
import { ROLES, type Role } from '../roles.ts';

/**
 * The role of `dir`: what its config file or the process that holds it says; of a folder of an earlier version, what only one role has
 * in it. Throws CONFIG when that is not enough.
 */
export async function roleOfFolder(dir: string, asked: string | undefined, holder: string | undefined): Promise<Role> {
  const config = tolerantly(() => readJsonObject(join(dir, CONFIG_FILE)));
  const named = 'role' in config ? String(config.role) : undefined;
  const name = asked ?? named ?? /^\w+/.exec(holder ?? '')?.[0] ?? (await guessed(dir, config));
  const role = ROLES.find((one) => one.name === name);
  if (role !== undefined) return role;
  const names = ROLES.map((one) => one.name).join(', ');
  if (name === undefined) throw new MixError('CONFIG', `${dir} does not say its role: give --role, one of ${names}`);
  throw new MixError('CONFIG', `'${name}' is no role of a folder: expected ${names}`);
}

async function guessed(dir: string, config: object): Promise<string | undefined> {
  if ('layer' in config) return 'mixnode';
  if (existsSync(join(dir, 'tokens'))) return 'directory';
  if (existsSync(join(dir, CONFIG_FILE)) && !(await hasIdentity(dir))) return 'proxy';
  return undefined;
}

/** A file that cannot be read is found by the check of the configuration. */
function tolerantly(read: () => object): object {
  try {
    return read();
  } catch {
    return {};
  }
}
