/**
 * The commands beside a gateway, on the command line: whom it lets in.
 * @module
 */
import type { Command } from 'commander';
import type { TokenKeyHex } from '../../lib/directory/index.ts';
import { loadIdentity } from '../../lib/link/index.ts';
import { addFolderCommand, type FolderCommand } from '../folder-command.ts';
import type { Done } from '../options.ts';
import {
  admitInvitation,
  FolderConfig,
  InviteConfig,
  invite,
  listText,
  revokeInvitation,
  termsLine,
} from './invitations.ts';

/** Adds `invite` to the command of the role. */
export function addGatewayCommands(gateway: Command, done: Done): void {
  gateway.enablePositionalOptions(); // `--dir` behind them is theirs
  const command = addFolderCommand(gateway, 'gateway', INVITE, done);
  command.enablePositionalOptions();
  addFolderCommand(command, 'gateway', LIST, done);
  addFolderCommand(command, 'gateway', REVOKE, done);
}

const INVITE_HELP = `
The line is for --invitation of mixsocks init proxy. A device keeps its access by its folder (access.key): who comes again uses
nothing. Each gateway counts by itself. All of it takes effect within seconds, also while the gateway runs.

Examples:
  mixsocks gateway invite --uses 1 --expires 30d --dir ./gateway
  mixsocks gateway invite list --dir ./gateway
  mixsocks gateway invite revoke 1f2e3d4c5b6a7988 --dir ./gateway`;

const INVITE: FolderCommand<typeof InviteConfig, unknown> = {
  name: 'invite',
  about: 'invite clients to a private network: makes an invitation, and prints its line once',
  schema: InviteConfig,
  example: INVITE_HELP,
  async run(config) {
    if (config.key !== undefined) {
      const terms = await admitInvitation(config.dir, config, config.key as TokenKeyHex);
      process.stderr.write(`an invitation of another gateway serves here for ${termsLine(terms)}\n`);
      return '';
    }
    const { id } = await loadIdentity(config.dir);
    const { line, terms } = await invite(config.dir, config, [id, ...config.also.filter((other) => other !== id)]);
    if (config.also.length > 0) {
      const same = `--key ${terms.key} --uses ${config.uses} --expires ${config.expires}`;
      process.stderr.write(`at the other gateways: mixsocks gateway invite ${same}\n`);
    }
    process.stderr.write(`an invitation for ${termsLine(terms)}; it is shown this once:\n`);
    return `${line}\n`;
  },
};

const LIST: FolderCommand<typeof FolderConfig, unknown> = {
  name: 'list',
  about: 'show invitations, and when they were used',
  schema: FolderConfig,
  example: 'mixsocks gateway invite list --dir ./gateway',
  run: ({ dir }) => listText(dir),
};

const REVOKE: FolderCommand<typeof FolderConfig, string> = {
  name: 'revoke',
  about: 'revoke an invitation: who came by it is disconnected within seconds',
  argument: ['<invitation>', 'its id, as `list` shows it, or its line'],
  schema: FolderConfig,
  example: 'mixsocks gateway invite revoke 1f2e3d4c5b6a7988 --dir ./gateway',
  run: ({ dir }, word) => revokeInvitation(dir, word),
};
