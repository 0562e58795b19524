/**
 * Processor time of processes and of the whole machine, from /proc (Linux; elsewhere all is zero).
 * @module
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

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

/** Seconds that all processors of the machine have computed. */
function machineSeconds(): number {
  try {
    const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.trim().split(/\s+/).slice(1).map(Number);
    return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}

export interface Use {
  /** Cores that each process used in the mean. */
  readonly cores: readonly number[];
  /** Cores that everything else on the machine used. */
  readonly othersCores: number;
  readonly machineCores: number;
}

/** Starts to measure `pids`; call the result to read. The processes of one measurement are disjoint from the others. */
export function measureUse(pids: readonly number[]): () => Use {
  const startMs = performance.now();
  const before = pids.map(processSeconds);
  const machineBefore = machineSeconds();
  return () => {
    const seconds = (performance.now() - startMs) / 1000;
    const cores = pids.map((pid, i) => (processSeconds(pid) - (before[i] ?? 0)) / seconds);
    const all = (machineSeconds() - machineBefore) / seconds;
    const ours = cores.reduce((sum, one) => sum + one, 0);
    return { cores, othersCores: Math.max(0, all - ours), machineCores: availableParallelism() };
  };
}
