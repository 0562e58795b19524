/**
 * The command that runs with the proxy in its environment.
 * @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { systemReason } from '../../lib/core/errors.ts';
import type { Environment } from '../role-config.ts';
import { findProgram } from './sealed/machine.ts';
import { exitCodeOf, type SignalRelay } from './signals.ts';

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
