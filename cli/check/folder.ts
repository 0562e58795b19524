/**
 * Whose the folder is, who else can look into it, and what it has of tokens.
 * @module
 */
import { lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { MemberFiles } from '../../directory/members/member-files.ts';
import { invitationFiles } from '../../gateway/invitation-files.ts';
import { privacyFault } from '../../lib/core/private-file.ts';
import type { RoleName } from '../roles.ts';
import { type Finding, ok, problem } from './finding.ts';

/** What only the role may read; of folders also what is in them. The rest of a folder is signed, and no secret. */
const PRIVATE = ['identity.pem', 'config.json', 'guards.json', 'sphinx', 'keys', 'tokens', 'expelled', 'invitations'];
/** Of one folder that are looked at. */
const MAX_FILES = 4096;
/** Faults that are listed one by one. */
const MAX_LISTED = 8;

/** Modes and owners of the folder `dir` and of what is secret in it. */
export function checkFolder(dir: string): Finding[] {
  const folder = statSync(dir);
  const faults = [dir, ...privatePaths(dir)].flatMap((path) => {
    const stats = path === dir ? folder : lstatSync(path, { throwIfNoEntry: false });
    return stats === undefined ? [] : faultsOf(path, stats, folder, dir);
  });
  if (faults.length === 0) return [ok('folder', `${dir} and the secrets in it are for their owner alone`)];
  const more = faults.length - MAX_LISTED;
  return [
    ...faults.slice(0, MAX_LISTED).map((line) => problem('folder', line)),
    ...(more > 0 ? [problem('folder', `${more} more files in ${dir} have such a fault; mend them alike`)] : []),
  ];
}

function faultsOf(path: string, stats: Stats, folder: Stats, dir: string): string[] {
  const faults: string[] = [];
  if (stats.isSymbolicLink()) faults.push(`${path} is a symbolic link: put the file itself there`);
  else {
    const open = privacyFault(path, stats);
    if (open !== undefined) faults.push(open);
  }
  // A command under sudo may have written what the service cannot read.
  if (process.platform !== 'win32' && stats.uid !== folder.uid)
    faults.push(
      `${path} belongs to user ${stats.uid}, the folder to ${folder.uid}; run: chown --reference=${dir} ${path}`,
    );
  return faults;
}

function privatePaths(dir: string): string[] {
  return PRIVATE.flatMap((name) => {
    const path = join(dir, name);
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path];
    return [
      path,
      ...readdirSync(path)
        .slice(0, MAX_FILES)
        .map((file) => join(path, file)),
    ];
  });
}

/** Reads the tokens that an authority or a gateway has issued: with a damaged file the role does not start. Throws CONFIG. */
export async function checkTokens(role: RoleName, dir: string): Promise<Finding[]> {
  if (role === 'directory') {
    const [tokens, expelled] = [await new MemberFiles(dir).all(), await new MemberFiles(dir).expelled()];
    return [ok('tokens', `${tokens.length} join tokens, ${expelled.size} nodes expelled`)];
  }
  if (role === 'gateway') return [ok('tokens', `${(await invitationFiles(dir).all()).length} invitations`)];
  return [];
}
