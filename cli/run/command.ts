/**
 * The command that runs with the proxy in its environment, and signals on their way to it.
 * @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { systemReason } from '../../lib/core/errors.ts';
import type { Environment } from '../role-config.ts';
import { findProgram } from './sealed/machine.ts';

/** As of env, nohup and timeout: the command could not be started, or is not there. */
export const CANNOT_EXECUTE = 126;
export const NOT_FOUND = 127;

/** Why `program` cannot be run, before anything is started for it; undefined when it can. */
export function whyUnusable(
  program: string,
  env: Environment,
): { readonly code: number; readonly line: string } | undefined {
  // Windows has its own rules for what a program is.
  if (process.platform === 'win32' || findProgram(program, env.PATH) !== undefined) return undefined;
  if (program.includes('/') && existsSync(program))
    return { code: CANNOT_EXECUTE, line: `${program}: cannot be executed` };
  return { code: NOT_FOUND, line: `${program}: command not found` };
}

/** Runs `command` to its end; resolves with its exit code. `say` gets the line that it could not be started. */
export async function runPlain(
  command: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  signals: SignalRelay,
  say: (line: string) => void,
): Promise<number> {
  const [program = '', ...args] = command;
  try {
    const child = spawn(program, args, { stdio: 'inherit', env });
    signals.sendTo((signal) => child.kill(signal));
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return exitCodeOf(code, signal);
  } catch (error) {
    say(`${program}: cannot be executed: ${systemReason(error)}`);
    return CANNOT_EXECUTE;
  }
}

const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** Takes the signals of this process: they go to `send`, and as long as there is none, end what is prepared. */
export class SignalRelay {
  #send: ((signal: NodeJS.Signals) => void) | undefined;
  /** Resolves with the exit code of a command that a signal ends, when one comes before there is a command. */
  readonly early: Promise<number>;

  constructor() {
    this.early = new Promise((resolve) => {
      for (const signal of PASSED_ON) {
        process.on(signal, () => {
          if (this.#send === undefined) resolve(exitCodeOf(null, signal));
          else if (!comesFromTerminal(signal)) this.#send(signal);
        });
      }
    });
  }

  sendTo(send: (signal: NodeJS.Signals) => void): void {
    this.#send = send;
  }
}

/** The exit code of a command, as shells have it: 128 and the number of the signal that ended it. */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return signal === null ? (code ?? 0) : 128 + constants.signals[signal];
}

/** A terminal sends Ctrl-C and Ctrl-\ to the command as well, which would get it twice. */
function comesFromTerminal(signal: NodeJS.Signals): boolean {
  return (signal === 'SIGINT' || signal === 'SIGQUIT') && isInForeground();
}

/** Whether this process is in the foreground of its terminal, by proc(5): fields 5 and 8. */
function isInForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return group === foreground;
  } catch {
    return process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY; // not Linux
  }
}
