/**
 * One real mixnode with nobody around it: a local network is started, stopped, and of its processes only the directory and
 * the mix of layer 1 are started again. The load generators take the places of its neighbours: they have the identities of
 * the gateway, which sends to it, and of the mix of layer 2, to which it sends.
 * @module
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ReadyNode } from '../../cli/localnet/ready.ts';
import type { NodeIdentity } from '../../lib/link/index.ts';
import type { Build } from '../harness/build.ts';
import { Localnet, STANDARD, startProgram, until } from '../harness/localnet.ts';
import { type LinkModules, linkModules } from '../harness/modules.ts';
import { NodeKeys } from '../harness/node-keys.ts';
import { inScope, type Scope } from '../harness/scope.ts';

const START_TIMEOUT_MS = 60_000;
/** Nothing but what we send: no loops of the node itself; long delays are granted. */
const NETWORK_CHANGES = { nodeLoopRate: 0, maxDelayMs: 600_000 };
const MIX_CHANGES = { linkQueuePackets: 16_384, poolPackets: 1_000_000 };
/** In place of the share of a budget that `localnet` gives a node, where it gives one. */
const MEMORY_BUDGET_MIB = 2048;

export interface MixNetwork {
  readonly modules: LinkModules;
  readonly networkId: Uint8Array;
  readonly packetBytes: number;
  readonly payloadBytes: number;
  readonly pid: number;
  /** Address of its metrics page. */
  readonly metrics: string;
  readonly mix: { readonly id: NodeIdentity['id']; readonly host: string; readonly port: number };
  readonly mixAddress: Uint8Array;
  readonly mixKey: Uint8Array;
  /** Who sends to the mix. */
  readonly gateway: NodeIdentity;
  /** Who receives from it, and where. */
  readonly sink: NodeIdentity;
  readonly sinkAddress: { readonly host: string; readonly port: number };
}

/** Where a node listens: commits give their nodes one address, or each its own. */
function addressOf({ listen }: ReadyNode): { readonly host: string; readonly port: number } {
  const colon = listen.lastIndexOf(':');
  return { host: listen.slice(0, colon), port: Number(listen.slice(colon + 1)) };
}

export async function startMixNetwork(scope: Scope, build: Build): Promise<MixNetwork> {
  const modules = await linkModules(build);
  const dir = join(scope.testdir(), 'net');
  const ready = await inScope(async (first) => {
    const flags = ['--mixes-per-layer', '1', '--gateways', '1', '--dir', dir];
    return (await Localnet.start(first, build, STANDARD, { flags })).ready;
  });
  const node = (name: string) => ready.nodes.find((one) => one.name === name) as ReadyNode;
  change(node('directory-1'), NETWORK_CHANGES);
  change(node('mix-1-1'), MIX_CHANGES);
  // What was agreed on before is forgotten; descriptors and keys are kept.
  rmSync(join(node('directory-1').dir, 'consensus'), { recursive: true, force: true });
  const consensusFile = join(node('mix-1-1').dir, 'consensus.json');
  rmSync(consensusFile, { force: true });
  startProgram(scope, node('directory-1').argv.slice(1));
  const mix = startProgram(scope, node('mix-1-1').argv.slice(1));
  await until('the mix has a consensus', START_TIMEOUT_MS, () => existsSync(consensusFile));
  const network = await modules.directory.loadNetworkFile(ready.network);
  const mixId = node('mix-1-1').identity as NodeIdentity['id'];
  return {
    modules,
    networkId: modules.directory.networkId(network, modules.crypto.createCrypto('fastest')),
    payloadBytes: network.payloadBytes,
    packetBytes: packetBytesOf(modules, network.payloadBytes),
    pid: mix.pid ?? 0,
    metrics: node('mix-1-1').metrics,
    mix: { id: mixId, ...addressOf(node('mix-1-1')) },
    mixAddress: Buffer.from(mixId, 'hex'),
    mixKey: new NodeKeys(readFileSync(consensusFile, 'utf8')).keyOf(mixId),
    gateway: await modules.link.loadIdentity(node('gateway-1').dir),
    sink: await modules.link.loadIdentity(node('mix-2-1').dir),
    sinkAddress: addressOf(node('mix-2-1')),
  };
}

function change({ dir }: ReadyNode, changes: object): void {
  const file = join(dir, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as object;
  const budget = 'memoryBudgetMiB' in config ? { memoryBudgetMiB: MEMORY_BUDGET_MIB } : {};
  writeFileSync(file, JSON.stringify({ ...config, ...budget, ...changes }));
}

/** Bytes of a packet, by making one: what the build adds to a payload is its own affair. */
function packetBytesOf({ crypto, sphinx, rng }: LinkModules, payloadBytes: number): number {
  const libraries = crypto.createCrypto('fastest');
  const hop = { address: rng.bytes(32), publicKey: libraries.x25519Base(rng.bytes(32)), delayNs: 0 };
  const request = { route: [hop], destination: hop.address, identifier: rng.bytes(16), message: new Uint8Array(0) };
  return new sphinx.Sphinx(libraries, rng).createPacket({ ...request, payloadBytes }).byteLength;
}
