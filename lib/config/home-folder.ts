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
 * CONFIG on the home folder of another user, which is not looked up, and where there is none.
 */
export function expandHome(path: string, source: string): string {
  if (!path.startsWith('~')) return path;
  if (path === '~' || path.startsWith('~/') || path.startsWith('~\\'))
    return join(homeFolder(path, source), path.slice(1));
  throw new MixError(
    'CONFIG',
    `${source}: '${path}': only ~ and ~/… are expanded; write the path in full, or ./${path}`,
  );
}

/** HOME may be set and empty, as in some containers: what is below that would be at the root. */
function homeFolder(path: string, source: string): string {
  const home = homedir();
  if (home !== '') return home;
  throw new MixError('CONFIG', `${source}: '${path}': HOME is empty; write the path in full`);
}
