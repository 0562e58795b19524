/**
 * `mixsocks directory network`: the network.json of several authorities, the same at each; and the line by which one is named in it.
 * @module
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DirectoryConfig } from '../../directory/config.ts';
import { newNetwork, publicUrl } from '../../directory/network.ts';
import { toHex } from '../../lib/core/bytes.ts';
import { MixError } from '../../lib/core/errors.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import {
  type Authority,
  loadNetworkFile,
  type NetworkFile,
  networkId,
  parseNetworkFile,
  saveNetworkFile,
} from '../../lib/directory/index.ts';
import { loadIdentity } from '../../lib/link/index.ts';
import { parseListen } from '../../lib/net/address.ts';
import { loadRoleConfig, NETWORK_FILE } from '../role-config.ts';

const LINE = /^([0-9a-f]{64})@(https?:\/\/.+)$/;

/** How an authority is named to the others: `ID@URL`; undefined where its configuration does not say under which URL others reach it. */
export function authorityLine(id: string, config: DirectoryConfig): string | undefined {
  const { host, port } = parseListen(config.listen);
  if (config.advertise === undefined && (port === 0 || host === '0.0.0.0' || host === '::')) return undefined;
  return `${id}@${publicUrl(config, port)}`;
}

/** Who bears one fault of either kind where that can be, else one that is down. */
export function recommendedThreshold(authorities: number): number {
  return authorities === 3 ? 2 : authorities - Math.floor((authorities - 1) / 3);
}

/** Writes network.json for the authorities of `words` into `dir`; the lines to print. Throws CONFIG when they do not fit. */
export async function writeNetwork(dir: string, words: readonly string[], threshold?: number): Promise<string> {
  const path = join(dir, NETWORK_FILE);
  const config = loadRoleConfig('directory', DirectoryConfig, { dir }, process.env);
  const { id } = await loadIdentity(dir);
  const authorities = words.map(authorityOf);
  if (!authorities.some((one) => one.id === id)) {
    throw new MixError('CONFIG', `none of these is the authority in ${dir} (${id}): name it too, as ID@URL`);
  }
  const network = networkOf(config, authorities, threshold ?? recommendedThreshold(authorities.length));
  if (existsSync(path)) requireSame(path, await loadNetworkFile(path), network);
  await saveNetworkFile(path, network);
  const count = `${authorities.length} authorities, of which ${network.threshold} must sign`;
  return [
    `wrote ${path}: '${network.name}', ${count}`,
    `network id ${idOf(network)}`,
    'It must be the same at each of them: compare the id, and give the file to everyone who joins.',
    '',
  ].join('\n');
}

function authorityOf(word: string): Authority {
  const [, id, url] = LINE.exec(word) ?? [];
  if (id !== undefined && url !== undefined) return { id: id as Authority['id'], url };
  throw new MixError('CONFIG', `'${word}' is no authority: expected ID@URL, as mixsocks init directory prints it`);
}

/** The same whatever the order of the words. */
function networkOf(config: DirectoryConfig, authorities: readonly Authority[], threshold: number): NetworkFile {
  const sorted = [...authorities].sort((a, b) => (a.id < b.id ? -1 : 1));
  const [first] = sorted;
  if (first === undefined || 2 * threshold <= sorted.length) {
    throw new MixError('CONFIG', `--threshold: expected more than half of the ${sorted.length} authorities`);
  }
  const alone = newNetwork(config, first.id, first.url);
  return parseNetworkFile(JSON.stringify({ ...alone, authorities: sorted, threshold }));
}

function requireSame(path: string, before: NetworkFile, network: NetworkFile): void {
  if (idOf(before) === idOf(network)) return;
  throw new MixError(
    'CONFIG',
    `${path} is of another network (id ${idOf(before)}): who is in that would be left behind; delete it first`,
  );
}

function idOf(network: NetworkFile): string {
  return toHex(networkId(network, createCrypto('fastest')));
}
