/**
 * Whether the network knows this node as its folder has it: identity, Sphinx keys, layer and address.
 * @module
 */
import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { toHex } from '../../lib/core/bytes.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import { readKeys } from '../../lib/mixing/key-store.ts';
import { type HostPort, joinHostPort } from '../../lib/net/address.ts';
import { advertisedAddresses } from '../../lib/node/advertise.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import type { Subject } from './subject.ts';

/** Folders of Sphinx keys: a mix's or gateway's, and a requester's. */
const KEY_FOLDERS = ['sphinx', 'keys'];

/** The Sphinx keys of the folder, as their file has them. Throws IDENTITY when it is damaged. */
export function sphinxKeysIn(dir: string) {
  const folder = KEY_FOLDERS.map((name) => join(dir, name)).find((path) => existsSync(path));
  return folder === undefined ? undefined : readKeys(folder);
}

/** Of a node, with the consensus in force. */
export function checkListing(subject: Subject, topology: Topology): Finding[] {
  const { identity, config } = subject;
  if (identity === undefined) return [];
  const entry = topology.byId(identity.id);
  if (entry === undefined) return [unlisted(subject, topology)];
  const findings = [...keyFault(subject, entry, topology), ...addressFault(subject, entry)];
  if (config.layer !== undefined && entry.layer !== config.layer) {
    const line = `the consensus has this mix in layer ${entry.layer ?? 'none'}, the configuration in ${config.layer}: restart it, and wait for the next epoch`;
    findings.push(warning('listing', line));
  }
  if (entry.lossy === true) {
    findings.push(
      warning('listing', 'the consensus marks this node as one that loses packets: check its processor and connection'),
    );
  }
  if (findings.length > 0) return findings;
  const layer = config.layer === undefined && entry.layer !== undefined ? `, in layer ${entry.layer}` : '';
  return [ok('listing', `epoch ${topology.epoch} lists ${entry.name} with the keys of this folder${layer}`)];
}

function unlisted({ config, identity, holder }: Subject, topology: Topology): Finding {
  const other = topology.nodes.find(({ name }) => name === config.name);
  if (other !== undefined) {
    const line = `the consensus lists ${config.name} with the identity ${other.id}, and identity.pem is ${identity?.id}: restore the old key file, or join as a new node under another name`;
    return problem('listing', line);
  }
  const token =
    config.joinToken === undefined ? 'set "joinToken" to one from who runs the authority, and start it' : undefined;
  const wait = holder === undefined ? 'start it' : 'it joins with the next epoch; its log says why if it was refused';
  return warning('listing', `epoch ${topology.epoch} does not list this node: ${token ?? wait}`);
}

/** Two copies of a node, or a folder from a backup, have other keys than those that packets are made for. */
function keyFault({ dir, components }: Subject, entry: NodeEntry, { epoch }: Topology): Finding[] {
  const listed = entry.sphinxKey(epoch);
  const held = sphinxKeysIn(dir)?.keys.find((key) => key.epoch === epoch);
  if (listed === undefined) return [];
  const remedy =
    'packets are lost until the next epoch; stop any other copy of this node, and never restore Sphinx keys or journals from a backup';
  if (held === undefined)
    return [problem('keys', `this folder has no Sphinx key for epoch ${epoch}, and the network has one: ${remedy}`)];
  const own = components.crypto.x25519Base(new Uint8Array(Buffer.from(held.secret, 'hex')));
  if (toHex(own) === toHex(listed)) return [];
  return [
    problem('keys', `the Sphinx key of this folder is not the one that the network has for epoch ${epoch}: ${remedy}`),
  ];
}

function addressFault({ config }: Subject, node: NodeEntry): Finding[] {
  if (config.listen === undefined || node.port === 0) return [];
  const listen = [config.listen].flat();
  const listed = [{ host: node.host, port: node.port }, ...(node.ipv6 === undefined ? [] : [node.ipv6])];
  const bound = listen.map((_, index) => listed[index] ?? listed[0]) as HostPort[];
  const own = advertisedAddresses({ ...config, listen }, bound).at;
  const isName = own.some(({ host }) => isIP(host) === 0);
  if (isName ? own[0]?.port === node.port : textOf(own) === textOf(listed)) return [];
  const line = `the consensus has it at ${textOf(listed)}, the configuration at ${textOf(own)}: restart it, and wait for the next epoch`;
  return [warning('listing', line)];
}

function textOf(addresses: readonly HostPort[]): string {
  const texts = addresses.map(({ host, port }) => joinHostPort(host, port));
  return texts.sort().join(' and ');
}
