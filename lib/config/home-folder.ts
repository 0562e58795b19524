/**
 * `~` at the start of a path. A shell leaves it alone behind an equals sign, and systemd, Docker and `.env` files never
 * expand it.
 * @module
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { MixError } from '../core/errors.ts';

/**
 * `path` with a leading `~` replaced by the home folder of the user. `source` says where it was given. Throws MixError
 * CONFIG on the home folder of another user, which is not looked up.
 */
export function expandHome(path: string, source: string): string {
  if (!path.startsWith('~')) return path;
  if (path === '~' || path.startsWith('~/') || path.startsWith('~\\')) return join(homedir(), path.slice(1));
  throw new MixError(
    'CONFIG',
    `${source}: '${path}': only ~ and ~/… are expanded; write the path in full, or ./${path}`,
  );
}
