/**
 * One node of a local network as a child process.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import { MixError } from '../../lib/core/errors.ts';
import { codeOfExit, endProcess, lastWords } from '../role-process.ts';
import { RUNNING_MESSAGE } from '../run-role.ts';
import { LogFile } from './log-file.ts';
import type { PlannedNode } from './plan.ts';

export class NodeChild {
  readonly #process: ChildProcess;
  /** Its standard output and error. */
  readonly log: LogFile;
  /** Resolves when the process is gone, with a line that says how. */
  readonly exited: Promise<string>;
  #gone = false;

  constructor(readonly node: PlannedNode) {
    this.log = new LogFile(node.dir);
    const log = this.log.open();
    const [command = '', ...args] = node.argv;
    // The IPC channel says "running", and its end tells the child that we are gone, however that came about.
    this.#process = spawn(command, args, { stdio: ['ignore', log, log, 'ipc'], env: plainEnvironment() });
    closeSync(log);
    this.exited = new Promise((resolve) => {
      this.#process.once('error', (error) => this.#onGone(resolve, error.message));
      this.#process.once('exit', (code, signal) => this.#onGone(resolve, signal ?? `code ${code}`));
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Resolves when the node listens; rejects when it ends before that. */
  async running(): Promise<void> {
    const running = new Promise<void>((resolve) => {
      this.#process.on('message', (message) => message === RUNNING_MESSAGE && resolve());
    });
    await Promise.race([running, this.death()]);
  }

  /** Rejects when the process is gone, with an error of the kind that ended it. */
  async death(): Promise<never> {
    const how = await this.exited;
    throw new MixError(codeOfExit(this.#process.exitCode), how);
  }

  /** Asks, waits, then kills. Resolves when the process is gone. */
  async stop(): Promise<void> {
    if (!this.#gone) await endProcess(this.#process, this.exited);
  }

  #onGone(resolve: (how: string) => void, how: string): void {
    this.#gone = true;
    const last = lastWordsIn(this.log.path);
    resolve(`${this.node.name} (pid ${this.pid}) ended with ${how}${last === undefined ? '' : `: ${last}`}`);
  }
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
