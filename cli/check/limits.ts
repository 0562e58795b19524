/**
 * Disk, memory and open files: what the configured bounds may take, beside what the machine gives.
 * @module
 */
import { defaultBudgetBytes } from '../../lib/core/memory-budget.ts';
import { neededFiles } from '../needed-files.ts';
import { raise } from '../open-files.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import type { Machine } from './machine.ts';
import type { Subject } from './subject.ts';

const MIB = 2 ** 20;
/** With less no role can keep its state for long. */
const LEAST_FREE_BYTES = 64 * MIB;
/** Documents of 48 epochs, with room. */
const DIRECTORY_BYTES = 512 * MIB;
/** The program itself and its garbage (docs/LIMITS.md, Memory). */
const PROGRAM_BYTES = 100e6;

/** A journal has 8 bytes for each tag of a replay filter, which has at least 5. */
function neededBytes({ role, config }: Subject): number {
  if (role === 'directory') return DIRECTORY_BYTES;
  return LEAST_FREE_BYTES + (8 / 5) * (config.replayMemoryMiB ?? 0) * MIB;
}

export function checkDisk(subject: Subject, machine: Machine): Finding[] {
  const free = machine.freeBytes(subject.dir);
  if (free === undefined) return [warning('disk', `cannot ask how much is free for ${subject.dir}`)];
  const line = `${mebibytes(free)} free for ${subject.dir}`;
  if (free < LEAST_FREE_BYTES) return [problem('disk', `${line}: free some space`)];
  const needed = neededBytes(subject);
  if (free >= needed) return [ok('disk', line)];
  return [warning('disk', `${line}: under full load the role may write ${mebibytes(needed)}; free some space`)];
}

export function checkLimits(subject: Subject, machine: Machine): Finding[] {
  return [...checkOpenFiles(subject, machine), ...checkMemory(subject, machine)];
}

function checkOpenFiles(subject: Subject, machine: Machine): Finding[] {
  const pid = Number(/process (\d+)/.exec(subject.holder ?? '')?.[1]);
  const limit = machine.openFileLimit(Number.isNaN(pid) ? undefined : pid);
  if (limit === undefined) return []; // not on this system
  const whose = Number.isNaN(pid) ? 'a process started from here' : 'the process that runs';
  const needed = neededFiles(subject.role, subject.config);
  if (limit >= needed) return [ok('limits', `${whose} may have ${limit} files open, and needs ${needed} at most`)];
  return [problem('limits', `${whose} may have ${limit} files open, and needs ${needed}: ${raise(needed)}`)];
}

function checkMemory({ role, config }: Subject, machine: Machine): Finding[] {
  const usable = machine.memoryBytes();
  const budget =
    config.memoryBudgetMiB === undefined ? defaultBudgetBytes(undefined, usable) : config.memoryBudgetMiB * MIB;
  const sum = budget + (config.replayMemoryMiB ?? 0) * MIB + PROGRAM_BYTES;
  const line = `memory: the ${role} takes ${mebibytes(sum)} at most, of ${mebibytes(usable)}`;
  if (sum <= usable) return [ok('limits', line)];
  return [warning('limits', `${line}: lower memoryBudgetMiB or replayMemoryMiB`)];
}

const mebibytes = (bytes: number): string => `${Math.floor(bytes / MIB)} MiB`;
