/**
 * Processors: the time of them that this process has used, and how many it may use: those that it may run on, and what a CPU cgroup
 * grants of their time.
 * @module
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { systemClock } from '../core/clock.ts';

const MEMBERSHIP = '/proc/self/cgroup';
const V2_ROOT = '/sys/fs/cgroup';
const V1_ROOT = '/sys/fs/cgroup/cpu';

/**
 * Processor time of this process, in ms: what is timed by it does not count busy neighbours, such as the other nodes of a network
 * that starts on one machine. Windows accounts in steps of 16 ms, too coarse for that: there it is elapsed time.
 */
export function processorMs(): number {
  if (process.platform === 'win32') return systemClock.nowMs();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The text of a file; undefined where there is none, or none to be read. */
export type ReadFile = (path: string) => string | undefined;

/** Processors, a fraction where a quota says so. */
export function usableProcessors(read: ReadFile = readText, processors: number = availableParallelism()): number {
  return Math.min(processors, cgroupProcessors(read));
}

/**
 * The quota of the process's CPU cgroup, or the least of the groups above it, in processors; Infinity where there is none.
 * Version 2 has `cpu.max`, version 1 `cpu.cfs_quota_us`. In a container the group's own folder may be the root.
 */
function cgroupProcessors(read: ReadFile): number {
  let least = Number.POSITIVE_INFINITY;
  for (const line of (read(MEMBERSHIP) ?? '').split('\n')) {
    const [, controllers = '', group = ''] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (group === '') continue;
    const isV2 = controllers === '';
    if (!isV2 && !controllers.split(',').includes('cpu')) continue;
    const quotaOf = isV2 ? quotaV2 : quotaV1;
    const root = isV2 ? V2_ROOT : V1_ROOT;
    for (let path = group; ; path = dirname(path)) {
      least = Math.min(least, quotaOf(join(root, path), read));
      if (path === '/') break;
    }
  }
  return least;
}

/** `max 100000`, or a quota and a period in microseconds. */
function quotaV2(folder: string, read: ReadFile): number {
  const [quota, period] = (read(join(folder, 'cpu.max')) ?? '').trim().split(' ');
  return processorsOf(Number(quota), Number(period));
}

function quotaV1(folder: string, read: ReadFile): number {
  const [quota, period] = ['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map((name) => Number(read(join(folder, name))));
  return processorsOf(quota, period);
}

function processorsOf(quotaUs = Number.NaN, periodUs = Number.NaN): number {
  return quotaUs > 0 && periodUs > 0 ? quotaUs / periodUs : Number.POSITIVE_INFINITY;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
