/**
 * How the command speaks of failures: one line on standard error, and an exit code by the kind of error. Where standard output or standard
 * error cannot be written (a full disk, a closed pipe), a role goes on without them; a command whose result is its output has failed.
 * @module
 */
import { asMixError, ERRORS, type MixError, systemCode } from '../lib/core/errors.ts';

/** One line: what failed, and what can be done about it where the message does not say so itself. */
export function errorLine(error: unknown, command: string): string {
  const mixError = asMixError(error);
  const message = mixError.message.replace(/\s+/g, ' ').trim();
  const line = `${command}: ${message}`;
  return line.includes(mixError.facts.help) ? line : `${line}${advice(mixError)}`; // a dead node's line has its own
}

function advice({ code, facts }: MixError): string {
  return code === 'CONFIG' || code === 'LISTEN' ? '' : ` (${facts.help})`;
}

/** Writes the line; returns the exit code of the error. */
export function reportError(error: unknown, command: string): number {
  process.stderr.write(`${errorLine(error, command)}\n`);
  return asMixError(error).facts.exitCode;
}

/** What `--help` says about exit codes, from the table of errors. */
export function exitCodesHelp(): string {
  const meanings: Readonly<Record<number, string>> = {
    0: 'stopped as asked, or done',
    1: 'failed',
    2: 'the command line is wrong',
    3: 'the configuration is wrong',
    4: 'an identity is missing or damaged',
    5: 'network.json or a signed document is wrong',
    6: 'an address or port cannot be had',
    7: 'the network cannot be reached or used',
    8: 'the operating system refused it: a full disk, no permission, too many open files',
    70: 'a defect of mixsocks',
  };
  const used = new Set([0, ...Object.values(ERRORS).map((facts) => facts.exitCode)]);
  const lines = [...used].sort((a, b) => a - b).map((code) => `  ${String(code).padStart(2)}  ${meanings[code] ?? ''}`);
  return `\nExit codes:\n${lines.join('\n')}`;
}

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
