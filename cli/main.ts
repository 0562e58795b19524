#!/usr/bin/env node
/**
 * The command `mixsocks`. It loads nothing before it knows that there are enough file descriptors to load the rest: without them Node.js says
 * of some package that it is not there.
 * @module
 */
import { writeSync } from 'node:fs';
import { openFilesFault } from './open-files.ts';

/** Of the error ENVIRONMENT (lib/core/errors.ts), and of `mixsocks run`, whose other codes are its command's (commands.ts). */
const ENVIRONMENT_EXIT_CODE = 8;
const OWN_FAILURE = 125;

const fault = openFilesFault();
if (fault === undefined) await import('./command-line.ts');
else refuse(fault);

function refuse(line: string): void {
  process.exitCode = process.argv[2] === 'run' ? OWN_FAILURE : ENVIRONMENT_EXIT_CODE;
  try {
    writeSync(process.stderr.fd, `mixsocks: ${line}\n`);
  } catch {
    // Nobody reads it.
  }
}
