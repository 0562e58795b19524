/**
 * How many files and connections a process may have open. Node.js raises its limit as far as it may itself, so that what it finds is
 * the hard one.
 * @module
 */
import { readFileSync } from 'node:fs';

/** What the program takes to be loaded, a hundred at once, with room for a few connections. */
export const LEAST_OPEN_FILES = 256;

/** Of the process `pid`, by default this one; undefined where the system does not say (no Linux). */
export function openFileLimit(pid: number | 'self' = 'self'): number | undefined {
  try {
    const line = /^Max open files +(\d+|unlimited)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1];
    if (line === undefined) return undefined;
    return line === 'unlimited' ? Number.POSITIVE_INFINITY : Number(line);
  } catch {
    return undefined;
  }
}

/** Why this process cannot run the program, in one line; undefined where it can. */
export function openFilesFault(limit: number | undefined = openFileLimit()): string | undefined {
  if (limit === undefined || limit >= LEAST_OPEN_FILES) return undefined;
  return `this process may have ${limit} files open, and mixsocks needs ${LEAST_OPEN_FILES} at least: ${raise(LEAST_OPEN_FILES)}`;
}

/** How to get so many. */
export function raise(files: number): string {
  return `ulimit -n ${files}, or LimitNOFILE= of its unit`;
}
