/**
 * What processes use, from /proc (Linux; elsewhere all is zero).
 * @module
 */
import { readFileSync } from 'node:fs';

/** Of the kernel's accounting; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Seconds that the process has computed, all its threads together. */
export function processSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}

/** Resident memory of the process in bytes. */
export function residentBytes(pid: number): number {
  try {
    return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/**
 * Memory of the process, of which what it shares with others (the program's text above all) counts for each with its part: the sum over
 * processes is what they take together. Needs Linux 4.14.
 */
export function proportionalBytes(pid: number): number {
  try {
    return 1024 * Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Bytes that the process has read and written by system calls, sockets included; Linux counts wake-ups as eight bytes each. */
export function transferredBytes(pid: number): { readonly read: number; readonly written: number } {
  try {
    const text = readFileSync(`/proc/${pid}/io`, 'utf8');
    const field = (name: string) => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1] ?? 0);
    return { read: field('rchar'), written: field('wchar') };
  } catch {
    return { read: 0, written: 0 };
  }
}
