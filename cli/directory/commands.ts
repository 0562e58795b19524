/**
 * The commands beside a directory authority, on the command line: who may join, and who has to go.
 * @module
 */
import type { Command } from 'commander';
import { type ConfigSchema, loadConfig } from '../../lib/config/config.ts';
import { MixError } from '../../lib/core/errors.ts';
import { hasIdentity } from '../../lib/link/index.ts';
import { addOptions, givenFlags } from '../options.ts';
import { exitCodesHelp } from '../report.ts';
import { folderOf } from '../role-config.ts';
import { expelNode } from './expel.ts';
import { ExpelConfig, FolderConfig, TokenConfig } from './options.ts';
import { createToken, listText, revokeToken, termsLine } from './tokens.ts';

type Done = (code: number) => void;

/** Adds `token` and `expel` to the command of the role. */
export function addAuthorityCommands(directory: Command, done: Done): void {
  directory.enablePositionalOptions(); // `--dir` behind them is theirs
  const token = directory
    .command('token')
    .description('make, list and revoke join tokens, also while the authority runs')
    .addHelpText('after', TOKEN_HELP);
  addCreate(token, done);
  addList(token, done);
  addRevoke(token, done);
  addExpel(directory, done);
}

function addCreate(token: Command, done: Done): void {
  const create = token.command('create').description('make a join token, and print it once');
  addOptions(create, TokenConfig);
  finish(create, 'mixsocks directory token create --uses 3 --roles mixnode,gateway --expires 7d --dir ./directory');
  create.action(async () => {
    const config = await configOf(create, TokenConfig);
    const { token: made, terms } = await createToken(config.dir, config);
    process.stderr.write(`a join token for ${termsLine(terms)}; it is shown this once:\n`);
    process.stdout.write(`${made}\n`);
    done(0);
  });
}

function addList(token: Command, done: Done): void {
  const list = token.command('list').description('show join tokens, and the nodes that came by them');
  addOptions(list, FolderConfig);
  finish(list, 'mixsocks directory token list --dir ./directory');
  list.action(async () => {
    const { dir } = await configOf(list, FolderConfig);
    process.stdout.write(await listText(dir));
    done(0);
  });
}

function addRevoke(token: Command, done: Done): void {
  const revoke = token
    .command('revoke')
    .description('revoke a join token: the nodes that came by it leave the list')
    .argument('<token>', 'its id, as `list` shows it, or the token itself');
  addOptions(revoke, FolderConfig);
  finish(revoke, 'mixsocks directory token revoke 1f2e3d4c5b6a7988 --dir ./directory');
  revoke.action(async (word: string) => {
    const { dir } = await configOf(revoke, FolderConfig);
    process.stdout.write(await revokeToken(dir, word));
    done(0);
  });
}

function addExpel(directory: Command, done: Done): void {
  const expel = directory
    .command('expel')
    .description('take one node off the list, also while the authority runs')
    .argument('<node>', 'its name or identity');
  addOptions(expel, ExpelConfig);
  finish(expel, 'mixsocks directory expel mix-7 --dir ./directory');
  expel.action(async (word: string) => {
    const { dir, undo } = await configOf(expel, ExpelConfig);
    process.stdout.write(await expelNode(dir, word, undo));
    done(0);
  });
}

function finish(command: Command, example: string): void {
  command.addHelpText('after', `\nExample:\n  ${example}\n${exitCodesHelp()}`);
}

/** The options, `--dir` also from before the words of the command; throws CONFIG when there is no authority. */
async function configOf<Schema extends ConfigSchema>(command: Command, schema: Schema) {
  const flags = { ...dirOf(command), ...givenFlags(command) };
  const dir = folderOf(flags, process.env, 'directory');
  const config = loadConfig(schema, { flags: { ...flags, dir }, env: process.env });
  if (await hasIdentity(dir)) return config;
  throw new MixError('CONFIG', `there is no authority in ${dir}: mixsocks init directory --dir ${dir} makes one`);
}

/** `mixsocks directory --dir DIR token list` */
function dirOf({ parent }: Command): { dir?: unknown } {
  if (parent === null) return {};
  const { dir } = givenFlags(parent);
  return dir === undefined ? dirOf(parent) : { dir };
}

const TOKEN_HELP = `
A token is good for a number of nodes, one unless you say more. A node keeps its place by its identity: who announces
again uses nothing, and who has lost identity.pem counts as a new node. All of it takes effect within a second while nodes announce
themselves, and within five seconds in any case.

Examples:
  mixsocks directory token create --uses 3 --dir ./directory
  mixsocks directory token list --dir ./directory
  mixsocks directory token revoke 1f2e3d4c5b6a7988 --dir ./directory`;
