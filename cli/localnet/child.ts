/**
 * One node of a local network as a child process.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import { lastWords, RoleProcess } from '../child-process.ts';
import { LogFile } from './log-file.ts';
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
