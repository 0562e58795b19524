/**
 * Files and folders that are for their owner alone.
 * @module
 */

const OTHERS = 0o077;

/**
 * What is wrong with the mode of the file or folder at `path`, and the command that mends it; undefined when others cannot use it.
 * Windows has no such mode bits; there the folder's access list decides.
 */
export function privacyFault(
  path: string,
  stats: { readonly mode: number; isDirectory(): boolean },
): string | undefined {
  if (process.platform === 'win32' || (stats.mode & OTHERS) === 0) return undefined;
  const mode = (stats.mode & 0o777).toString(8);
  const right = stats.isDirectory() ? '700' : '600';
  return `${path} can be read by others (mode ${mode}); run: chmod ${right} ${path}`;
}
