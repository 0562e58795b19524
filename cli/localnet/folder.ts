/**
 * The folder of a local network: identities, config files and network.json, made at the first run and used again when
 * `--dir` names it once more.
 * @module
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { toHex } from '../../lib/bytes.ts';
import { saveNetworkFile, writeFileAtomic } from '../../lib/directory/index.ts';
import { MixError, systemCode } from '../../lib/errors.ts';
import { createIdentity, hasIdentity, IDENTITY_FILE, loadIdentity, saveIdentity } from '../../lib/link/index.ts';
import { systemRng } from '../../lib/rng.ts';
import { CONFIG_FILE, NETWORK_FILE } from '../role-config.ts';
import { type LocalnetConfig, SHAPE_KEYS } from './config.ts';
import { faultsOf } from './faults.ts';
import { argvOf, configOf, HOST, type NodePorts, type NodeSlot, type PlannedNode, slotsOf } from './plan.ts';
import { freePorts } from './ports.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

const STATE_FILE = 'localnet.json';

/** What the folder remembers: the shape of the network, its join token and where its nodes listen. */
const FolderState = z.strictObject({
  shape: z.record(z.string(), z.number()),
  joinToken: z.string().min(16),
  ports: z.record(z.string(), z.strictObject({ listen: z.int(), metrics: z.int() })),
});
type FolderState = z.infer<typeof FolderState>;

/** A network that is ready to be started. */
export interface LocalNetwork {
  readonly dir: string;
  readonly networkFile: string;
  readonly nodes: readonly PlannedNode[];
  /** Removes the folder if it was a temporary one. */
  release(): Promise<void>;
}

/** Makes or takes up the folder of `config`. Throws CONFIG when it holds a network of another shape. */
export async function prepareFolder(config: LocalnetConfig): Promise<LocalNetwork> {
  const temporary = config.dir === undefined;
  const slots = slotsOf(config);
  const faults = faultsOf(config.fault, slots);
  const dir = temporary ? await makeTemporaryFolder() : resolve(config.dir ?? '');
  const release = async () => {
    if (temporary) await rm(dir, { recursive: true, force: true });
  };
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const state = (await readState(dir)) ?? (await newState(dir, config));
    checkShape(dir, state, config);
    const nodes: PlannedNode[] = [];
    for (const slot of slots)
      nodes.push(await prepareNode(dir, { ...slot, fault: faults.get(slot.name) }, state, config));
    const networkFile = join(dir, NETWORK_FILE);
    await saveNetworkFile(networkFile, networkOf(nodes, config));
    return { dir, networkFile, nodes, release };
  } catch (error) {
    await release();
    if (error instanceof MixError) throw error;
    throw new MixError('CONFIG', `cannot use the folder ${dir}: ${systemCode(error) ?? error}`, error);
  }
}

async function readState(dir: string): Promise<FolderState | undefined> {
  const path = join(dir, STATE_FILE);
  if (!existsSync(path)) return undefined;
  try {
    return FolderState.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw new MixError('CONFIG', `${path} is damaged: use another --dir`, error);
  }
}

async function newState(dir: string, config: LocalnetConfig): Promise<FolderState> {
  const foreign = [NETWORK_FILE, CONFIG_FILE, IDENTITY_FILE].find((name) => existsSync(join(dir, name)));
  if (foreign !== undefined) {
    throw new MixError('CONFIG', `${dir} holds something else (${foreign}), which is left as it is: use another --dir`);
  }
  const slots = slotsOf(config);
  const free = await freePorts(HOST, 2 * slots.length, systemRng);
  const ports = Object.fromEntries(
    slots.map(({ name }, index) => [name, { listen: free[2 * index] ?? 0, metrics: free[2 * index + 1] ?? 0 }]),
  );
  const state = { shape: shapeOf(config), joinToken: toHex(systemRng.bytes(32)), ports };
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
  state: FolderState,
  config: LocalnetConfig,
): Promise<PlannedNode> {
  const dir = join(networkDir, slot.name);
  const ports = portsOf(slot, state.ports[slot.name], config);
  if (ports === undefined)
    throw new MixError('CONFIG', `${networkDir} has no ports for ${slot.name}: use another --dir`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const node = { ...slot, dir, ports, identity: slot.role === 'proxy' ? undefined : await identityIn(dir) };
  const text = `${JSON.stringify(configOf(node, config, state.joinToken), null, 2)}\n`;
  await writeFileAtomic(join(dir, CONFIG_FILE), text);
  return { ...node, argv: argvOf(slot.role, dir) };
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
