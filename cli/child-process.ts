/**
 * Processes that commands start: a role as one of them, and what any of them wrote last.
 * @module
 */
import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { asMixError, ERRORS, type ErrorCode, MixError } from '../lib/core/errors.ts';

/** The program `mixsocks`. */
export const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

/** What a role says over its IPC channel to the command that started it, once it listens. */
export const RUNNING_MESSAGE = 'running';

/** From SIGTERM to SIGKILL: more than a role takes to stop. */
const STOP_TIMEOUT_MS = 6000;

export class RoleProcess {
  /** Resolves when the process is gone, with an error of the kind that ended it. */
  readonly exited: Promise<MixError>;
  #isGone = false;

  /** `ended`: the line about an end, from how it came. */
  constructor(
    private readonly child: ChildProcess,
    ended: (how: string) => string,
  ) {
    this.exited = new Promise((resolve) => {
      const end = (code: ErrorCode, how: string) => {
        this.#isGone = true;
        resolve(new MixError(code, ended(how)));
      };
      child.once('error', (error) => end(asMixError(error).code, error.message));
      child.once('close', (code, signal) => end(codeOfExit(code), signal ?? `code ${code}`));
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Resolves when the role listens; rejects when it ends before that. */
  async running(): Promise<void> {
    const running = new Promise<void>((resolve) => {
      this.child.on('message', (message) => message === RUNNING_MESSAGE && resolve());
    });
    await Promise.race([running, this.death()]);
  }

  /** Rejects when the process is gone. */
  async death(): Promise<never> {
    throw await this.exited;
  }

  /** Asks it to end, and after a time makes it. Resolves when the process is gone. */
  async stop(): Promise<void> {
    if (this.#isGone) return;
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.exited;
    clearTimeout(timer);
  }
}

/** The first error code with that exit code. */
function codeOfExit(exitCode: number | null): ErrorCode {
  const codes = Object.keys(ERRORS) as ErrorCode[];
  return codes.find((code) => ERRORS[code].exitCode === exitCode && exitCode !== 1) ?? 'INTERNAL';
}

/** The last line for people, not of its log, in what a role wrote. */
export function lastWords(output: string): string | undefined {
  const lines = output.trimEnd().split('\n');
  return lines.findLast((line) => line.startsWith('mixsocks '));
}

/** The text that `stream` ends with so far, `maxChars` at most. */
export function tailOf(stream: Readable | null, maxChars: number): () => string {
  let tail = '';
  stream?.setEncoding('utf8').on('data', (text: string) => {
    tail = `${tail}${text}`.slice(-maxChars);
  });
  return () => tail;
}
