/** A role as a process of the built program. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Test } from 'tap';
import { ENDS_WITH_US, MAIN, stopProcess } from './localnet.ts';

export interface RoleProcess {
  /** What it has written so far. */
  readonly out: string;
  readonly log: string;
  /** Resolves when it listens. */
  listening(): Promise<void>;
  stop(): Promise<unknown>;
}

/** Starts `mixsocks` with these arguments; it is stopped with the test. */
export function startRole(t: Test, args: readonly string[], env: Readonly<Record<string, string>> = {}): RoleProcess {
  const child = spawn(process.execPath, [...ENDS_WITH_US, MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let [out, log] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  t.teardown(async () => {
    if (child.exitCode === null) await stopProcess(child);
  });
  return {
    get out() {
      return out;
    },
    get log() {
      return log;
    },
    async listening() {
      while (!out.includes('listening')) {
        if (child.exitCode !== null) throw new Error(`${args.join(' ')} ended: ${log}`);
        await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
      }
    },
    stop: () => stopProcess(child),
  };
}
