/**
 * `sphinx`: what a packet costs by itself, with each choice of libraries.
 * @module
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Figure } from '../harness/figure.ts';
import { ENDS_WITH_US } from '../harness/localnet.ts';
import type { Run, RunTerms } from '../harness/paired.ts';

const PROCESS = fileURLToPath(new URL('process.ts', import.meta.url));

export function sphinxRun({ quick }: RunTerms): Run {
  return async ({ root }, scope) => {
    const ended = new AbortController();
    scope.teardown(() => ended.abort());
    const args = [...ENDS_WITH_US, '--import=tsx', PROCESS, root, quick ? 'quick' : 'full'];
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      maxBuffer: 2 ** 24,
      signal: ended.signal,
    });
    return JSON.parse(stdout) as Figure[];
  };
}
