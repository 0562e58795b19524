/**
 * A role as a process of its own, for the commands that start one.
 * @module
 */
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ERRORS, type ErrorCode } from '../lib/core/errors.ts';

/** The program `mixsocks`. */
export const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

/** From SIGTERM to SIGKILL: more than a role takes to stop. */
const STOP_TIMEOUT_MS = 6000;

/** Asks it to end, and after a time makes it. Resolves with `gone`, which is to say when it has ended. */
export async function endProcess(child: ChildProcess, gone: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await gone;
  clearTimeout(timer);
}

/** The first error code with that exit code. */
export function codeOfExit(exitCode: number | null): ErrorCode {
  const codes = Object.keys(ERRORS) as ErrorCode[];
  return codes.find((code) => ERRORS[code].exitCode === exitCode && exitCode !== 1) ?? 'INTERNAL';
}

/** The last line for people, not of its log, in what a role wrote. */
export function lastWords(output: string): string | undefined {
  const lines = output.trimEnd().split('\n');
  return lines.findLast((line) => line.startsWith('mixsocks '));
}
