/**
 * A memory cgroup for one process, of version 1 or 2, whichever this machine has.
 * @module
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const V1 = '/sys/fs/cgroup/memory';
const V2 = '/sys/fs/cgroup';

export class MemoryCgroup {
  private constructor(
    readonly folder: string,
    readonly version: 1 | 2,
  ) {}

  /** Makes one of at most `limitBytes`, swap included; the reason in words where that cannot be. */
  static make(limitBytes: number): MemoryCgroup | string {
    const version = existsSync(join(V1, 'memory.limit_in_bytes')) ? 1 : 2;
    const folder = join(version === 1 ? V1 : V2, `mixsocks-test-${process.pid}`);
    try {
      mkdirSync(folder);
    } catch (error) {
      return `no cgroup can be made: ${(error as Error).message}`;
    }
    const group = new MemoryCgroup(folder, version);
    try {
      group.#limit(limitBytes);
    } catch (error) {
      group.remove();
      return `its memory cannot be bounded: ${(error as Error).message}`;
    }
    return group;
  }

  /** The command that runs `argv` in it. */
  command(argv: readonly string[]): string[] {
    const procs = join(this.folder, 'cgroup.procs');
    return ['sh', '-c', `echo $$ > ${procs} && exec "$@"`, 'sh', ...argv];
  }

  /** Processes that the kernel has killed for want of memory. */
  get killed(): number {
    const name = this.version === 1 ? 'memory.oom_control' : 'memory.events';
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync(join(this.folder, name), 'utf8'))?.[1] ?? 0);
  }

  /** To be called when its processes are gone. */
  remove(): void {
    rmdirSync(this.folder);
  }

  #limit(bytes: number): void {
    const set = (name: string, value: number) => writeFileSync(join(this.folder, name), String(value));
    if (this.version === 2) {
      set('memory.max', bytes);
      if (existsSync(join(this.folder, 'memory.swap.max'))) set('memory.swap.max', 0);
      return;
    }
    set('memory.limit_in_bytes', bytes);
    if (existsSync(join(this.folder, 'memory.memsw.limit_in_bytes'))) set('memory.memsw.limit_in_bytes', bytes);
  }
}

/** The most memory that a process has had in its pages, in bytes. */
export const peakBytes = (pid: number): number => statusBytes(pid, 'VmHWM');

/** The part of its pages that are those of files. */
export const fileBytes = (pid: number): number => statusBytes(pid, 'RssFile');

function statusBytes(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return 1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]);
}
