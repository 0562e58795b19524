/**
 * Standard output and standard error that cannot be written: a full disk, a closed pipe. A role goes on without them; a
 * command whose result is its output has failed when that is lost.
 * @module
 */
import { systemCode } from '../lib/core/errors.ts';

let fault: Error | undefined;

/** Keeps errors of the two streams from ending the process. To be called once, first of all. */
export function surviveOutputErrors(): void {
  process.stdout.on('error', (error) => {
    fault ??= error;
  });
  process.stderr.on('error', () => {});
}

/** Why something printed on standard output is lost; undefined when all of it was written or its reader went away. */
export function outputFault(): Error | undefined {
  return systemCode(fault) === 'EPIPE' ? undefined : fault;
}
