/**
 * The commands beside a directory authority, on the command line: who may join, and who has to go.
 * @module
 */
import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { Archive } from '../../directory/archive.ts';
import { DirectoryConfig } from '../../directory/config.ts';
import { MemberFiles } from '../../directory/members/member-files.ts';
import { networkPath } from '../../directory/network.ts';
import { auditText } from '../../directory/voting/audit.ts';
import { unlessRefused } from '../../directory/voting/vote.ts';
import { type IdentityHex, isIdentityHex } from '../../lib/core/bytes.ts';
import { MixError } from '../../lib/core/errors.ts';
import { descriptorIn, loadNetworkFile, type TokenKeyHex } from '../../lib/directory/index.ts';
import { MAX_AUTHORITIES } from '../../lib/directory/network-file.ts';
import { addFolderCommand, type FolderCommand } from '../folder-command.ts';
import type { Done } from '../options.ts';
import { loadRoleConfig, NETWORK_FILE } from '../role-config.ts';
import { writeNetwork } from './network.ts';
import { admitToken, createToken, folderOption, listText, revokeToken, TokenConfig, termsLine } from './tokens.ts';

const ROLE = 'directory';

const FolderConfig = z.strictObject(folderOption);

export const ExpelConfig = z.strictObject({
  ...folderOption,
  undo: z.boolean().default(false).describe('let it join again'),
});

export const NetworkConfig = z.strictObject({
  dir: z.string().describe('folder of the authority, as mixsocks init directory makes it'),
  threshold: z
    .int()
    .min(1)
    .max(MAX_AUTHORITIES)
    .optional()
    .describe('authorities that must sign, more than half of them (default: 2 of 3, 3 of 4, two thirds of more)'),
});

export const AuditConfig = z.strictObject({
  ...folderOption,
  epoch: z.int().min(0).optional().describe('epoch of the consensus (default: the newest)'),
});

/** Adds `token`, `expel`, `network` and `audit` to the command of the role. */
export function addAuthorityCommands(directory: Command, done: Done): void {
  directory.enablePositionalOptions(); // `--dir` behind them is theirs
  const token = directory
    .command('token')
    .description('make, list and revoke join tokens, also while the authority runs')
    .addHelpText('after', TOKEN_HELP);
  addFolderCommand(token, ROLE, CREATE, done);
  addFolderCommand(token, ROLE, LIST, done);
  addFolderCommand(token, ROLE, REVOKE, done);
  addFolderCommand(directory, ROLE, EXPEL, done);
  addFolderCommand(directory, ROLE, NETWORK, done);
  addFolderCommand(directory, ROLE, AUDIT, done);
}

const CREATE: FolderCommand<typeof TokenConfig, unknown> = {
  name: 'create',
  about: 'make a join token, and print it once',
  schema: TokenConfig,
  example: 'mixsocks directory token create --uses 3 --roles mixnode,gateway --expires 7d --dir ./directory',
  async run(config) {
    if (config.key !== undefined) {
      const terms = await admitToken(config.dir, config, config.key as TokenKeyHex);
      process.stderr.write(`a join token of another authority serves here for ${termsLine(terms)}\n`);
      return '';
    }
    const { token, terms } = await createToken(config.dir, config);
    if (await isOneOfSeveral(config.dir)) {
      process.stderr.write(`at the other authorities: mixsocks directory token create --key ${terms.key}\n`);
    }
    process.stderr.write(`a join token for ${termsLine(terms)}; it is shown this once:\n`);
    return `${token}\n`;
  },
};

const LIST: FolderCommand<typeof FolderConfig, unknown> = {
  name: 'list',
  about: 'show join tokens, and the nodes that came by them',
  schema: FolderConfig,
  example: 'mixsocks directory token list --dir ./directory',
  run: ({ dir }) => listText(dir),
};

const REVOKE: FolderCommand<typeof FolderConfig, string> = {
  name: 'revoke',
  about: 'revoke a join token: the nodes that came by it leave the list',
  argument: ['<token>', 'its id, as `list` shows it, or the token itself'],
  schema: FolderConfig,
  example: 'mixsocks directory token revoke 1f2e3d4c5b6a7988 --dir ./directory',
  run: ({ dir }, word) => revokeToken(dir, word),
};

const EXPEL: FolderCommand<typeof ExpelConfig, string> = {
  name: 'expel',
  about: 'take one node off the list, also while the authority runs',
  argument: ['<node>', 'its name or identity'],
  schema: ExpelConfig,
  example: 'mixsocks directory expel mix-7 --dir ./directory',
  run: ({ dir, undo }, word) => expelNode(dir, word, undo),
};

const NETWORK: FolderCommand<typeof NetworkConfig, string[]> = {
  name: 'network',
  about: 'write the network.json of several authorities, the same at each',
  argument: ['<authority...>', 'all of them, as ID@URL, which `mixsocks init directory --advertise URL` prints'],
  schema: NetworkConfig,
  example: 'mixsocks directory network --dir ./directory 1f2e…@http://192.0.2.1:8080 3d4c…@http://192.0.2.2:8080',
  run: ({ dir, threshold }, words) => writeNetwork(dir, words, threshold),
};

const AUDIT: FolderCommand<typeof AuditConfig, string | undefined> = {
  name: 'audit',
  about: 'say why nodes are or are not in a consensus: votes, signatures, evidence',
  argument: ['[node]', 'name or identity of one node; without it all'],
  schema: AuditConfig,
  example: 'mixsocks directory audit mix-7 --dir ./directory',
  async run({ dir, epoch }, node) {
    const config = loadRoleConfig('directory', DirectoryConfig, { dir }, process.env);
    const network = await loadNetworkFile(networkPath(config));
    const expelled = await new MemberFiles(dir).expelled();
    return auditText({ network, archive: new Archive(dir), expelled, epoch, node });
  },
};

async function isOneOfSeveral(dir: string): Promise<boolean> {
  return loadNetworkFile(join(dir, NETWORK_FILE)).then(
    ({ authorities }) => authorities.length > 1,
    () => false,
  );
}

/** Expels the node of that name or identity, or takes it back; returns the line to print. */
export async function expelNode(dir: string, word: string, undo: boolean): Promise<string> {
  const files = new MemberFiles(dir);
  const identity = isIdentityHex(word) ? word : await identityOf(dir, files, word);
  if (undo) {
    const was = await files.takeBack(identity);
    return was ? `${identity} may join again\n` : `${identity} had not been expelled\n`;
  }
  const isNew = await files.expel(identity);
  return isNew ? `expelled ${identity}: it leaves with the next consensus\n` : `${identity} was expelled before\n`;
}

/** By the names that nodes have now, and those under which they came. */
async function identityOf(dir: string, files: MemberFiles, name: string): Promise<IdentityHex> {
  const found = new Set<IdentityHex>();
  for (const id of await files.tokenIds()) {
    for (const use of (await files.uses(id)).values()) if (use.name === name) found.add(use.identity);
  }
  for (const [identity, text] of await new Archive(dir).descriptors()) {
    // a damaged file names nobody
    if (unlessRefused(() => descriptorIn(text))?.name === name) found.add(identity);
  }
  const [identity] = found;
  if (identity !== undefined && found.size === 1) return identity;
  if (found.size === 0) throw new MixError('CONFIG', `no node is called '${name}': give its identity (64 hex digits)`);
  throw new MixError(
    'CONFIG',
    `${found.size} nodes are called '${name}': give the identity, of ${[...found].join(', ')}`,
  );
}

const TOKEN_HELP = `
A token is good for a number of nodes, one unless you say more. A node keeps its place by its identity: who announces
again uses nothing, and who has lost identity.pem counts as a new node. All of it takes effect within a second while nodes announce
themselves, and within five seconds in any case.

Examples:
  mixsocks directory token create --uses 3 --dir ./directory
  mixsocks directory token list --dir ./directory
  mixsocks directory token revoke 1f2e3d4c5b6a7988 --dir ./directory`;
