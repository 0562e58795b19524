/**
 * Commands beside a role, on the role's folder.
 * @module
 */
import type { Command } from 'commander';
import type { z } from 'zod';
import { type ConfigSchema, loadConfig } from '../lib/config/config.ts';
import { MixError } from '../lib/core/errors.ts';
import { hasIdentity } from '../lib/link/index.ts';
import { addOptions, type Done, givenFlags } from './options.ts';
import { exitCodesHelp } from './report.ts';
import { folderOf } from './role-config.ts';

/** The roles that have such commands, and what they are called. */
const CALLED = { directory: 'authority', gateway: 'gateway' } as const;
type RoleWithCommands = keyof typeof CALLED;

/** `Given`: what commander makes of the argument. */
export interface FolderCommand<Schema extends ConfigSchema, Given> {
  readonly name: string;
  readonly about: string;
  /** As `<token>` or `[node]`, and what it is. */
  readonly argument?: readonly [name: string, about: string];
  readonly schema: Schema;
  /** One command line, or all that its help says besides. */
  readonly example: string;
  /** Resolves with what is printed. */
  readonly run: (config: z.infer<Schema>, given: Given) => Promise<string>;
}

export function addFolderCommand<Schema extends ConfigSchema, Given = string>(
  parent: Command,
  role: RoleWithCommands,
  { name, about, argument, schema, example, run }: FolderCommand<Schema, Given>,
  done: Done,
): Command {
  const command = parent.command(name).description(about);
  if (argument !== undefined) command.argument(...argument);
  addOptions(command, schema);
  const isOne = !example.includes('\n');
  command.addHelpText('after', isOne ? `\nExample:\n  ${example}\n${exitCodesHelp()}` : example);
  command.action(async (given: Given) => {
    process.stdout.write(await run(await configOf(command, schema, role), given));
    done(0);
  });
  return command;
}

/** The options, `--dir` also from before the words of the command; throws CONFIG when there is no such role. */
async function configOf<Schema extends ConfigSchema>(command: Command, schema: Schema, role: RoleWithCommands) {
  const flags = { ...dirOf(command), ...givenFlags(command) };
  const dir = folderOf(flags, process.env, role);
  const config = loadConfig(schema, { flags: { ...flags, dir }, env: process.env });
  if (await hasIdentity(dir)) return config;
  throw new MixError('CONFIG', `there is no ${CALLED[role]} in ${dir}: mixsocks init ${role} --dir ${dir} makes one`);
}

/** `mixsocks directory --dir DIR token list` */
function dirOf({ parent }: Command): { dir?: unknown } {
  if (parent === null) return {};
  const { dir } = givenFlags(parent);
  return dir === undefined ? dirOf(parent) : { dir };
}
