/**
 * The commands beside a directory authority, on the command line: who may join, and who has to go.
 * @module
 */
import { join } from 'node:path';
import type { Command } from 'commander';
import { Archive } from '../../directory/archive.ts';
import { DirectoryConfig } from '../../directory/config.ts';
import { MemberFiles } from '../../directory/members/member-files.ts';
import { networkPath } from '../../directory/network.ts';
import { auditText } from '../../directory/voting/audit.ts';
import type { ConfigSchema } from '../../lib/config/config.ts';
import { loadNetworkFile, type TokenKeyHex } from '../../lib/directory/index.ts';
import { finish, configOf as folderConfig } from '../folder-command.ts';
import { addOptions } from '../options.ts';
import { loadRoleConfig, NETWORK_FILE } from '../role-config.ts';
import { expelNode } from './expel.ts';
import { writeNetwork } from './network.ts';
import { AuditConfig, ExpelConfig, FolderConfig, NetworkConfig, TokenConfig } from './options.ts';
import { admitToken, createToken, listText, revokeToken, termsLine } from './tokens.ts';

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
  addNetwork(directory, done);
  addAudit(directory, done);
}

function addCreate(token: Command, done: Done): void {
  const create = token.command('create').description('make a join token, and print it once');
  addOptions(create, TokenConfig);
  finish(create, 'mixsocks directory token create --uses 3 --roles mixnode,gateway --expires 7d --dir ./directory');
  create.action(async () => {
    const config = await configOf(create, TokenConfig);
    if (config.key !== undefined) {
      const terms = await admitToken(config.dir, config, config.key as TokenKeyHex);
      process.stderr.write(`a join token of another authority serves here for ${termsLine(terms)}\n`);
      return done(0);
    }
    const { token: made, terms } = await createToken(config.dir, config);
    if (await isOneOfSeveral(config.dir)) {
      process.stderr.write(`at the other authorities: mixsocks directory token create --key ${terms.key}\n`);
    }
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

function addNetwork(directory: Command, done: Done): void {
  const network = directory
    .command('network')
    .description('write the network.json of several authorities, the same at each')
    .argument('<authority...>', 'all of them, as ID@URL, which `mixsocks init directory --advertise URL` prints');
  addOptions(network, NetworkConfig);
  finish(
    network,
    'mixsocks directory network --dir ./directory 1f2e…@http://192.0.2.1:8080 3d4c…@http://192.0.2.2:8080',
  );
  network.action(async (words: string[]) => {
    const { dir, threshold } = await configOf(network, NetworkConfig);
    process.stdout.write(await writeNetwork(dir, words, threshold));
    done(0);
  });
}

function addAudit(directory: Command, done: Done): void {
  const audit = directory
    .command('audit')
    .description('say why nodes are or are not in a consensus: votes, signatures, evidence')
    .argument('[node]', 'name or identity of one node; without it all');
  addOptions(audit, AuditConfig);
  finish(audit, 'mixsocks directory audit mix-7 --dir ./directory');
  audit.action(async (node: string | undefined) => {
    const { dir, epoch } = await configOf(audit, AuditConfig);
    const network = await loadNetworkFile(
      networkPath(loadRoleConfig('directory', DirectoryConfig, { dir }, process.env)),
    );
    const expelled = await new MemberFiles(dir).expelled();
    process.stdout.write(await auditText({ network, archive: new Archive(dir), expelled, epoch, node }));
    done(0);
  });
}

async function isOneOfSeveral(dir: string): Promise<boolean> {
  return loadNetworkFile(join(dir, NETWORK_FILE)).then(
    ({ authorities }) => authorities.length > 1,
    () => false,
  );
}

/** The options of a command beside the authority. */
const configOf = <Schema extends ConfigSchema>(command: Command, schema: Schema) =>
  folderConfig(command, schema, 'directory', 'authority');

const TOKEN_HELP = `
A token is good for a number of nodes, one unless you say more. A node keeps its place by its identity: who announces
again uses nothing, and who has lost identity.pem counts as a new node. All of it takes effect within a second while nodes announce
themselves, and within five seconds in any case.

Examples:
  mixsocks directory token create --uses 3 --dir ./directory
  mixsocks directory token list --dir ./directory
  mixsocks directory token revoke 1f2e3d4c5b6a7988 --dir ./directory`;
