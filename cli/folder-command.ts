/**
 * Commands beside a role, on the role's folder.
 * @module
 */
import type { Command } from 'commander';
import { type ConfigSchema, loadConfig } from '../lib/config/config.ts';
import { MixError } from '../lib/core/errors.ts';
import { hasIdentity } from '../lib/link/index.ts';
import { givenFlags } from './options.ts';
import { exitCodesHelp } from './report.ts';
import { folderOf } from './role-config.ts';

/** Ends the help of a command. */
export function finish(command: Command, example: string): void {
  command.addHelpText('after', `\nExample:\n  ${example}\n${exitCodesHelp()}`);
}

/**
 * The options, `--dir` also from before the words of the command; throws CONFIG when there is no such role. `called`: what one says for
 * it, with its article.
 */
export async function configOf<Schema extends ConfigSchema>(
  command: Command,
  schema: Schema,
  role: 'directory' | 'gateway',
  called: string,
) {
  const flags = { ...dirOf(command), ...givenFlags(command) };
  const dir = folderOf(flags, process.env, role);
  const config = loadConfig(schema, { flags: { ...flags, dir }, env: process.env });
  if (await hasIdentity(dir)) return config;
  throw new MixError('CONFIG', `there is no ${called} in ${dir}: mixsocks init ${role} --dir ${dir} makes one`);
}

/** `mixsocks directory --dir DIR token list` */
function dirOf({ parent }: Command): { dir?: unknown } {
  if (parent === null) return {};
  const { dir } = givenFlags(parent);
  return dir === undefined ? dirOf(parent) : { dir };
}
