#!/usr/bin/env node
/**
 * The command `mixsocks`.
 * @module
 */
import { runProgram } from './program.ts';

// What a role could not close in time must not keep the process alive.
process.exit(await runProgram(process.argv.slice(2)));
