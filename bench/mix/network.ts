/**
 * One real mixnode with nobody around it: of a network only the directory and the mix of layer 1. The load generators take the
 * places of its neighbours: they have the identities of the gateway, which sends to it, and of the mix of layer 2, to which it sends.
 * @module
 */
import type { ReadyNode } from '../../cli/localnet/ready.ts';
import type { NodeIdentity } from '../../lib/link/index.ts';
import type { Build } from '../harness/build.ts';
import { type LinkModules, linkModules } from '../harness/modules.ts';
import { NodeKeys } from '../harness/node-keys.ts';
import { RestartedNetwork } from '../harness/restarted.ts';
import type { Scope } from '../harness/scope.ts';

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
  const restarted = await RestartedNetwork.start(scope, build, {
    flags: ['--mixes-per-layer', '1', '--gateways', '1'],
    changes: {
      'directory-1': () => NETWORK_CHANGES,
      'mix-1-1': (config) => ({
        ...('memoryBudgetMiB' in config ? { memoryBudgetMiB: MEMORY_BUDGET_MIB } : {}),
        ...MIX_CHANGES,
      }),
    },
  });
  const network = await modules.directory.loadNetworkFile(restarted.ready.network);
  const mix = restarted.node('mix-1-1');
  const mixId = mix.identity as NodeIdentity['id'];
  return {
    modules,
    networkId: modules.directory.networkId(network, modules.crypto.createCrypto('fastest')),
    payloadBytes: network.payloadBytes,
    packetBytes: packetBytesOf(modules, network.payloadBytes),
    pid: restarted.pidOf(mix.name),
    metrics: mix.metrics,
    mix: { id: mixId, ...addressOf(mix) },
    mixAddress: Buffer.from(mixId, 'hex'),
    mixKey: new NodeKeys(restarted.consensusOf(mix.name)).keyOf(mixId),
    gateway: await modules.link.loadIdentity(restarted.node('gateway-1').dir),
    sink: await modules.link.loadIdentity(restarted.node('mix-2-1').dir),
    sinkAddress: addressOf(restarted.node('mix-2-1')),
  };
}

/** Bytes of a packet, by making one: what the build adds to a payload is its own affair. */
function packetBytesOf({ crypto, sphinx, rng }: LinkModules, payloadBytes: number): number {
  const libraries = crypto.createCrypto('fastest');
  const hop = { address: rng.bytes(32), publicKey: libraries.x25519Base(rng.bytes(32)), delayNs: 0 };
  const request = { route: [hop], destination: hop.address, identifier: rng.bytes(16), message: new Uint8Array(0) };
  return new sphinx.Sphinx(libraries, rng).createPacket({ ...request, payloadBytes }).byteLength;
}
