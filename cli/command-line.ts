/**
 * Runs the command line of this process, and ends it with the exit code.
 * @module
 */
import { systemClock } from '../lib/core/clock.ts';
import { boundYoungGeneration } from '../lib/runtime/young-generation.ts';
import { outputFault, reportError, surviveOutputErrors } from './report.ts';
import { isCommandBeside, ROLE_NAMES } from './roles.ts';

surviveOutputErrors();
boundYoungGeneration(systemClock);
const args = process.argv.slice(2);
const code = await run(args);
await new Promise((resolve) => setImmediate(resolve)); // an error of the output comes with the next turn
/** Of what runs until it is stopped, output is no result. */
const keepsRunning = args[0] === 'localnet' || (ROLE_NAMES.some((name) => name === args[0]) && !isCommandBeside(args));
const fault = keepsRunning ? undefined : outputFault();
// What a role could not close in time must not keep the process alive.
process.exit(code === 0 && fault !== undefined ? reportError(fault, 'mixsocks') : code);

/** Loads the rest inside, so that a machine without a free file descriptor gets its one line as well. */
async function run(args: readonly string[]): Promise<number> {
  try {
    const { runProgram } = await import('./program.ts');
    return await runProgram(args);
  } catch (error) {
    return reportError(error, 'mixsocks');
  }
}
