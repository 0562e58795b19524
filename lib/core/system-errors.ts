/**
 * What the operating system refuses, in words that say what to do. A full disk, a read-only file system or too many open
 * files are matters of the machine, never a defect of the program.
 * @module
 */

/** Node's system errors of files and folders, each as what is wrong and, where it does not say so itself, what helps. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBUSY: 'it is in use',
  EDQUOT: 'the disk quota is used up; free some space',
  EEXIST: 'it is there already',
  EFBIG: 'the file is larger than the file system allows',
  EIO: 'the device reports an I/O error; check the disk',
  EISDIR: 'it is a folder',
  ELOOP: 'it has too many symbolic links',
  EMFILE: 'this process has too many files open; raise its limit (ulimit -n)',
  EMLINK: 'it has too many links',
  ENAMETOOLONG: 'the path is too long; choose a shorter one',
  ENFILE: 'the system has too many files open',
  ENODEV: 'there is no such device',
  ENOENT: 'there is no such file or folder',
  ENOMEM: 'there is not enough memory',
  ENOSPC: 'the disk is full; free some space',
  ENOTDIR: 'a part of the path is not a folder',
  ENOTEMPTY: 'the folder is not empty',
  ENXIO: 'it is a socket, or a device that is not there',
  EPERM: 'permission denied',
  EPIPE: 'whoever read it is gone',
  EROFS: 'the file system is read-only',
  ESTALE: 'the network file system has lost the file',
  ETXTBSY: 'it is in use',
  EXDEV: 'it is on another file system',
};

/** The code of a Node system error (`ECONNREFUSED`, …), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Why a call to the system failed, in one line: `the disk is full; free some space (ENOSPC)`. */
export function systemReason(error: unknown): string {
  const code = systemCode(error);
  const reason = code === undefined ? undefined : REASONS[code];
  if (reason !== undefined) return `${reason} (${code})`;
  return code ?? (error instanceof Error ? error.message : String(error));
}

/** One line about an error of the file system, which names the file; undefined of any other error. */
export function environmentFault(error: unknown): string | undefined {
  const code = systemCode(error);
  if (code === undefined || REASONS[code] === undefined || !(error instanceof Error)) return undefined;
  const { syscall, path } = error as NodeJS.ErrnoException;
  if (syscall === undefined) return undefined;
  return `cannot ${VERBS[syscall] ?? syscall}${path === undefined ? '' : ` ${path}`}: ${systemReason(error)}`;
}

/** System calls whose names are not words. */
const VERBS: Readonly<Record<string, string>> = {
  mkdir: 'make the folder',
  mkdtemp: 'make a folder at',
  scandir: 'list',
  lstat: 'look at',
  stat: 'look at',
  fstat: 'look at',
  unlink: 'remove',
  rm: 'remove',
  rmdir: 'remove',
  fsync: 'write to the disk',
  ftruncate: 'shorten',
  copyfile: 'copy',
  spawn: 'run',
};
