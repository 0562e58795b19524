/**
 * The folder of a local network: identities, config files and network.json, made at the first run and used again when
 * `--dir` names it once more.
 * @module
 */

import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { MAX_TOKEN_USES, MemberFiles, NODE_ROLES } from '../../directory/members/member-files.ts';
import { MixError, systemReason } from '../../lib/core/errors.ts';
import { makeFolder } from '../../lib/core/folders.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { readTextFile } from '../../lib/core/text-file.ts';
import { createCrypto, loadCrypto } from '../../lib/crypto/index.ts';
import { joinKeyOf, newToken, saveNetworkFile, tokenIdOf, writeFileAtomic } from '../../lib/directory/index.ts';
import { createIdentity, hasIdentity, IDENTITY_FILE, loadIdentity, saveIdentity } from '../../lib/link/index.ts';
import { FolderLock } from '../../lib/runtime/folder-lock.ts';
import { createToken } from '../directory/tokens.ts';
import { CONFIG_FILE, NETWORK_FILE } from '../role-config.ts';
import { NetworkRates } from './capacity.ts';
import { type LocalnetConfig, SHAPE_KEYS } from './config.ts';
import { faultsOf } from './faults.ts';
import { measureMachine } from './machine.ts';
import { argvOf, configOf, HOST, type NodePorts, type NodeSlot, type PlannedNode, slotsOf } from './plan.ts';
import { freePorts, ownAddresses } from './ports.ts';
import { chooseRates, ratesWith } from './rates.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

const STATE_FILE = 'localnet.json';

/** What the folder remembers: the shape of the network as asked for, its rates, its join token, and where its nodes listen and dial from. */
const FolderState = z.strictObject({
  shape: z.record(z.string(), z.number()),
  joinToken: z.string().regex(/^[0-9a-f]{64}$/),
  ports: z.record(z.string(), z.strictObject({ listen: z.int(), metrics: z.int() })),
  addresses: z.record(z.string(), z.ipv4()).default({}),
  /** Those of the shape, or what they were lowered to. */
  rates: NetworkRates.optional(),
});
type FolderState = z.infer<typeof FolderState>;

/** A network that is ready to be started. */
export interface LocalNetwork {
  readonly dir: string;
  readonly networkFile: string;
  readonly nodes: readonly PlannedNode[];
  /** What its user should know of its rates. */
  readonly notice: string | undefined;
  /** Gives the folder up, and removes it if it was a temporary one. */
  release(): Promise<void>;
}

/**
 * Makes or takes up the folder of `config`, with rates that the machine carries by what `measure` finds. A network that is there
 * keeps its rates. Throws CONFIG when it is of another shape.
 */
export async function prepareFolder(config: LocalnetConfig, measure = measureMachine): Promise<LocalNetwork> {
  const temporary = config.dir === undefined;
  const slots = slotsOf(config);
  const faults = faultsOf(config.fault, slots);
  const dir = temporary ? await makeTemporaryFolder() : resolve(config.dir ?? '');
  let lock: FolderLock | undefined;
  const release = async () => {
    lock?.release();
    if (temporary) await rm(dir, { recursive: true, force: true });
  };
  try {
    makeFolder(dir);
    lock = await FolderLock.take(dir, {
      holder: `localnet, process ${process.pid}`,
      warn: (line) => process.stderr.write(`warning: ${line}\n`),
    });
    const saved = await readState(dir);
    if (saved !== undefined) checkShape(dir, saved, config);
    const savedRates = saved && (saved.rates ?? ratesWith(config)); // without any, of a time when they were as asked for
    const crypto = await loadCrypto(config.crypto);
    const { rates, notice } = chooseRates(config, savedRates, (of) => measure(of, crypto));
    const state = saved ?? (await newState(dir, config, rates));
    const nodes: PlannedNode[] = [];
    for (const slot of slots)
      nodes.push(await prepareNode(dir, { ...slot, fault: faults.get(slot.name) }, { ...state, rates }, config));
    await ensureToken(nodes, state.joinToken);
    const networkFile = join(dir, NETWORK_FILE);
    await saveNetworkFile(networkFile, networkOf(nodes, config));
    return { dir, networkFile, nodes, notice, release };
  } catch (error) {
    await release();
    if (error instanceof MixError) throw error;
    throw new MixError('CONFIG', `cannot use the folder ${dir}: ${systemReason(error)}`, error);
  }
}

async function readState(dir: string): Promise<FolderState | undefined> {
  const path = join(dir, STATE_FILE);
  if (!existsSync(path)) return undefined;
  try {
    return FolderState.parse(JSON.parse(readTextFile(path)));
  } catch (error) {
    throw new MixError('CONFIG', `${path} is damaged: use another --dir`, error);
  }
}

async function newState(dir: string, config: LocalnetConfig, rates: NetworkRates): Promise<FolderState> {
  const foreign = [NETWORK_FILE, CONFIG_FILE, IDENTITY_FILE].find((name) => existsSync(join(dir, name)));
  if (foreign !== undefined) {
    throw new MixError('CONFIG', `${dir} holds something else (${foreign}), which is left as it is: use another --dir`);
  }
  const slots = slotsOf(config);
  const free = await freePorts(HOST, 2 * slots.length, systemRng);
  const ports = Object.fromEntries(
    slots.map(({ name }, index) => [name, { listen: free[2 * index] ?? 0, metrics: free[2 * index + 1] ?? 0 }]),
  );
  const addresses = await ownAddresses(
    slots.map(({ name }) => name),
    systemRng,
  );
  const state = { shape: shapeOf(config), joinToken: newToken(systemRng), ports, addresses, rates };
  await writeFileAtomic(join(dir, STATE_FILE), `${JSON.stringify(state, null, 2)}\n`);
  return state;
}

const shapeOf = (config: LocalnetConfig) => Object.fromEntries(SHAPE_KEYS.map((key) => [key, config[key]]));

function checkShape(dir: string, { shape }: FolderState, config: LocalnetConfig): void {
  for (const key of SHAPE_KEYS) {
    if (shape[key] === config[key]) continue;
    throw new MixError(
      'CONFIG',
      `${dir} holds a network with ${key} ${shape[key]}, not ${config[key]}: use another --dir`,
    );
  }
}

async function prepareNode(
  networkDir: string,
  slot: NodeSlot & Pick<PlannedNode, 'fault'>,
  state: FolderState & { readonly rates: NetworkRates },
  config: LocalnetConfig,
): Promise<PlannedNode> {
  const dir = join(networkDir, slot.name);
  const ports = portsOf(slot, state.ports[slot.name], config);
  if (ports === undefined)
    throw new MixError('CONFIG', `${networkDir} has no ports for ${slot.name}: use another --dir`);
  makeFolder(dir);
  const address = state.addresses[slot.name] ?? HOST;
  const node = { ...slot, dir, ports, address, identity: slot.role === 'proxy' ? undefined : await identityIn(dir) };
  const contents = { role: node.role, ...configOf(node, config, state.joinToken, state.rates) };
  const text = `${JSON.stringify(contents, null, 2)}\n`;
  await writeFileAtomic(join(dir, CONFIG_FILE), text);
  return { ...node, argv: argvOf(slot.role, dir) };
}

/** One token for all nodes: that of a node whose folder was deleted counts for two. */
async function ensureToken(nodes: readonly PlannedNode[], joinToken: string): Promise<void> {
  const directory = nodes.find(({ role }) => role === 'directory');
  if (directory === undefined) return;
  const id = tokenIdOf(joinKeyOf(joinToken, createCrypto('fastest')));
  if ((await new MemberFiles(directory.dir).tokenIds()).includes(id)) return;
  await createToken(directory.dir, { uses: MAX_TOKEN_USES, roles: [...NODE_ROLES], expires: 'never' }, joinToken);
}

/** The proxy's ports are the user's choice; 0 leaves it to us. */
function portsOf(slot: NodeSlot, kept: NodePorts | undefined, config: LocalnetConfig): NodePorts | undefined {
  if (slot.role !== 'proxy' || kept === undefined) return kept;
  return { listen: config.socksPort || kept.listen, metrics: config.statusPort || kept.metrics };
}

async function identityIn(dir: string) {
  if (await hasIdentity(dir)) return (await loadIdentity(dir)).id;
  const identity = await createIdentity(systemRng);
  await saveIdentity(dir, identity);
  return identity.id;
}

function networkOf(nodes: readonly PlannedNode[], config: LocalnetConfig) {
  const authorities = nodes.flatMap(({ role, identity, ports }) =>
    role === 'directory' && identity !== undefined ? [{ id: identity, url: `http://${HOST}:${ports.listen}` }] : [],
  );
  return {
    name: 'localnet',
    epochSeconds: config.epochS,
    payloadBytes: config.packetSize,
    authorities,
    threshold: authorities.length,
  };
}
