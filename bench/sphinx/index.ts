/**
 * `sphinx`: what a packet costs by itself, with each choice of libraries.
 * @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Figure } from '../harness/figure.ts';
import { ENDS_WITH_US, stopProgram } from '../harness/localnet.ts';
import type { Run, RunTerms } from '../harness/paired.ts';

const PROCESS = fileURLToPath(new URL('process.ts', import.meta.url));

export function sphinxRun({ quick }: RunTerms): Run {
  return async ({ root }, scope) => {
    const args = [...process.execArgv, ...ENDS_WITH_US, PROCESS, root, quick ? 'quick' : 'full'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    scope.teardown(() => stopProgram(child));
    const [written, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    if (code !== 0) throw new Error(`it ended with code ${code}`);
    return JSON.parse(written) as Figure[];
  };
}
