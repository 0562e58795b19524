/**
 * One node of a local network as a child process, and the file that it writes to.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, copyFileSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { lastWords, RoleProcess } from '../child-process.ts';
import type { PlannedNode } from './plan.ts';

export class NodeChild extends RoleProcess {
  /** Its standard output and error. */
  readonly log: LogFile;

  constructor(readonly node: PlannedNode) {
    const log = new LogFile(node.dir);
    const child = startOn(node, log);
    super(child, (how) => {
      const last = lastWordsIn(log.path);
      return `${node.name} (pid ${child.pid ?? 0}) ended with ${how}${last === undefined ? '' : `: ${last}`}`;
    });
    this.log = log;
  }
}

/** The IPC channel says "running", and its end tells the child that we are gone, however that came about. */
function startOn(node: PlannedNode, logFile: LogFile): ChildProcess {
  const log = logFile.open();
  const [command = '', ...args] = node.argv;
  const child = spawn(command, args, { stdio: ['ignore', log, log, 'ipc'], env: plainEnvironment() });
  closeSync(log);
  return child;
}

/** Our own options must not reach the nodes: they have theirs in their config files. */
function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MIXSOCKS_')));
}

function lastWordsIn(path: string): string | undefined {
  try {
    return lastWords(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

const LOG_FILE = 'log';
const OLDER_FILE = 'log.1';
/** From this size on the log begins anew: a week at the level `info`, minutes at `trace`. */
export const MAX_LOG_BYTES = 16 * 1024 * 1024;

/**
 * The log of the node in `dir`, bounded: when it has grown too large, its content becomes the older half of the log and it begins anew. The
 * node itself notices nothing.
 */
export class LogFile {
  readonly path: string;
  readonly #olderPath: string;

  constructor(dir: string) {
    this.path = join(dir, LOG_FILE);
    this.#olderPath = join(dir, OLDER_FILE);
  }

  /** Empties it; returns a descriptor for a process to write to. Each write goes to the end, wherever that is by then. */
  open(): number {
    const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND } = constants;
    return openSync(this.path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600);
  }

  /** Begins anew if it is too large. A line written in this very moment may be lost. */
  bound(maxBytes = MAX_LOG_BYTES): void {
    try {
      if (statSync(this.path).size < maxBytes) return;
      copyFileSync(this.path, this.#olderPath); // readable by whom the log is
    } catch {
      return; // a folder that is gone or a disk that is full: the next time
    }
    truncateSync(this.path);
  }
}
