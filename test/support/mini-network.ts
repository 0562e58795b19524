import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { GatewayConfig, startGateway } from '../../gateway/index.ts';
import { addressKeyOf, concatBytes } from '../../lib/core/bytes.ts';
import { type Clock, systemClock } from '../../lib/core/clock.ts';
import { type NetworkParams, packetBytes } from '../../lib/core/params.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { DEFAULT_SESSION_PARAMS } from '../../lib/core/session-params.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { type NodeEntry, networkId, parseConsensus, saveNetworkFile, Topology } from '../../lib/directory/index.ts';
import { Dial } from '../../lib/link/dial.ts';
import type { FrameSocket } from '../../lib/link/frame-socket.ts';
import { DOWNLINK_KIND } from '../../lib/link/framing.ts';
import { type AccessCredential, createIdentity, type NodeIdentity, saveIdentity } from '../../lib/link/index.ts';
import { secureOptionsOf } from '../../lib/link/tls.ts';
import type { RunningNode } from '../../lib/node/index.ts';
import type { Components } from '../../lib/runtime/components.ts';
import { Sphinx, type SphinxHop } from '../../lib/sphinx/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { MixnodeConfig, startMixnode } from '../../mixnode/index.ts';
import { until } from './link-fixtures.ts';
import { MiniAuthority } from './mini-authority.ts';
import type { PacedClock } from './paced-clock.ts';
import { reservedPort } from './ports.ts';
import { epochNumber } from './units.ts';

export const crypto = createCrypto('fastest');
export const sphinx = new Sphinx(crypto, systemRng);
export const PAYLOAD_BYTES = 2048;

export interface MiniOptions {
  readonly mixesPerLayer?: number;
  readonly gateways?: number;
  readonly epochSeconds?: number;
  readonly params?: Partial<NetworkParams>;
  /** Time of the nodes; the system's when absent. */
  readonly clock?: PacedClock;
  /** Options of the gateways. */
  readonly gateway?: Partial<GatewayConfig>;
  /** Options of the mixes. */
  readonly mixnode?: Partial<MixnodeConfig>;
  /** Clients that the consensus lets each gateway admit. */
  readonly maxClients?: number;
  /** Stands in the consensus as a requester at the first gateway. */
  readonly requester?: NodeIdentity;
}

/** One node of the network in this process. */
export interface MiniNode {
  readonly name: string;
  readonly identity: NodeIdentity;
  /** Its folder. */
  readonly home: string;
  readonly components: Components;
  running: RunningNode;
  /** Value of a counter or gauge, summed over the labels not named. */
  count(name: string, labels?: Record<string, string>): Promise<number>;
  /** Packets dropped, by reason; reasons without drops left out. */
  drops(): Promise<Record<string, number>>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface MiniNetwork {
  readonly clock: Clock;
  /** Waits for `condition`, while time goes on. */
  until(condition: () => boolean | Promise<boolean>): Promise<void>;
  readonly authority: MiniAuthority;
  readonly params: NetworkParams;
  readonly networkId: Uint8Array;
  readonly networkFile: string;
  readonly nodes: readonly MiniNode[];
  node(name: string): MiniNode;
  /** The consensus of an epoch as a client sees it. */
  topology(epoch?: number): Topology;
  entry(name: string): NodeEntry;
  stop(): Promise<void>;
}

/** Starts authority, mixes and gateways in this process; resolves when all links between them are up. */
export async function startMiniNetwork(options: MiniOptions = {}): Promise<MiniNetwork> {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-mini-'));
  const { mixesPerLayer = 1, gateways = 1, epochSeconds = 3600, requester, clock } = options;
  const params: NetworkParams = {
    payloadBytes: PAYLOAD_BYTES,
    meanDelayMs: 2,
    maxDelayMs: 1000,
    epochMs: epochSeconds * 1000,
    nodeLoopRate: 0,
    minCapacity: 0,
    mixingTarget: 0,
    clients: 'open',
    classes: { standard: { mainRate: 50, replyRate: 100, loopRate: 5, dropRate: 1, deliveryRate: 132 } },
    session: DEFAULT_SESSION_PARAMS,
    ...options.params,
  };
  const identity = await createIdentity(systemRng);
  const network = { name: 'mini', epochSeconds, payloadBytes: params.payloadBytes, threshold: 1 };
  const authorities = (url: string) => [{ id: identity.id, url }];
  const count = 3 * mixesPerLayer + gateways + (requester === undefined ? 0 : 1);
  const authority = new MiniAuthority(
    identity,
    params,
    count,
    { ...network, authorities: authorities('http://x') },
    clock,
  );
  authority.maxClients = options.maxClients;
  authority.server.listen(0, '127.0.0.1');
  await once(authority.server, 'listening');
  const { port } = authority.server.address() as AddressInfo;
  authority.network = { ...network, authorities: authorities(`http://127.0.0.1:${port}`) };
  const networkFile = join(dir, 'network.json');
  await saveNetworkFile(networkFile, authority.network);
  const nodes: MiniNode[] = [];
  for (let layer = 1; layer <= 3; layer++) {
    for (let index = 1; index <= mixesPerLayer; index++) {
      nodes.push(await makeNode(dir, networkFile, `mix-${layer}-${index}`, layer, clock, options.mixnode));
    }
  }
  for (let index = 1; index <= gateways; index++) {
    nodes.push(await makeNode(dir, networkFile, `gateway-${index}`, 0, clock, options.gateway));
  }
  const [door] = nodes.slice(3 * mixesPerLayer);
  if (requester !== undefined && door !== undefined) authority.addRequester(requester, door.identity.id);
  await Promise.all(nodes.map((node) => node.start()));
  const wait: typeof until = (condition) =>
    clock === undefined ? until(condition) : clock.settle(until(condition), params.epochMs);
  await wait(async () => {
    const up = await Promise.all(nodes.map((node) => node.count('peers_up')));
    return up.every((peers, i) => peers === (nodes[i]?.name.startsWith('mix-3') ? gateways : mixesPerLayer));
  });
  const topologies = () => [...authority.signed].map(([epoch, text]) => ({ epoch, text }));
  const topology = (epoch = Math.max(...authority.signed.keys())) => {
    const found = topologies().find((one) => one.epoch === epoch);
    return new Topology(parseConsensus((JSON.parse(found?.text ?? '{}') as { payload: string }).payload));
  };
  return {
    clock: clock ?? systemClock,
    until: wait,
    authority,
    params,
    networkId: networkId(authority.network, crypto),
    networkFile,
    nodes,
    node: (name) => nodes.find((node) => node.name === name) as MiniNode,
    topology,
    entry: (name) => topology().nodes.find((node) => node.name === name) as NodeEntry,
    async stop() {
      const stopped = Promise.all(nodes.map((node) => node.stop()));
      await (clock === undefined ? stopped : clock.settle(stopped, params.epochMs)); // packets that wait leave first
      authority.server.closeAllConnections();
      authority.server.close();
      await rm(dir, { recursive: true });
    },
  };
}

async function makeNode(
  dir: string,
  networkFile: string,
  name: string,
  layer: number,
  clock: Clock = systemClock,
  options: Partial<GatewayConfig & MixnodeConfig> = {},
): Promise<MiniNode> {
  const identity = await createIdentity(systemRng);
  const home = join(dir, name);
  await saveIdentity(home, identity);
  let components: Components;
  const listen = `127.0.0.1:${await reservedPort()}`; // also after a restart
  const common = { ...options, dir: home, networkFile, name, listen };
  const node: MiniNode = {
    name,
    identity,
    home,
    get components() {
      return components;
    },
    running: undefined as unknown as RunningNode,
    async count(metric, labels = {}) {
      const values = (await components.metrics.registry.getSingleMetric(`mixsocks_${metric}`)?.get())?.values ?? [];
      const wanted = values.filter((one) =>
        Object.entries(labels).every(([key, value]) => (one.labels as Record<string, string>)[key] === value),
      );
      return wanted.reduce((sum, one) => sum + one.value, 0);
    },
    async drops() {
      const values =
        (await components.metrics.registry.getSingleMetric('mixsocks_packets_dropped_total')?.get())?.values ?? [];
      const found = values.filter((one) => one.value > 0);
      return Object.fromEntries(found.map((one) => [(one.labels as { reason: string }).reason, one.value]));
    },
    async start() {
      components = { clock, rng: systemRng, crypto, log: silentLog, metrics: new Metrics() };
      node.running = await (layer === 0
        ? startGateway(GatewayConfig.parse(common), components)
        : startMixnode(MixnodeConfig.parse({ ...common, layer }), components));
    },
    stop: () => node.running.stop(),
  };
  return node;
}

/** A client of a gateway: its link, what came over it, and the packets it makes. */
export class MiniClient {
  readonly received: Buffer[] = [];
  /** Of a consensus that the gateway hands on. */
  readonly pieces: Buffer[] = [];
  readonly address: Uint8Array;
  /** Why the link ended; empty while it is up. */
  ended = '';
  #frames: FrameSocket | undefined;
  #dial: Dial | undefined;

  constructor(
    readonly net: MiniNetwork,
    readonly identity: NodeIdentity,
    /** What it shows of an invitation. */
    readonly access?: AccessCredential,
  ) {
    this.address = identity.publicKey;
  }

  static async connect(
    net: MiniNetwork,
    gateway = 'gateway-1',
    identity?: NodeIdentity,
    access?: AccessCredential,
  ): Promise<MiniClient> {
    const client = new MiniClient(net, identity ?? (await createIdentity(systemRng)), access);
    client.dial(gateway);
    await net.until(() => client.up || client.ended !== '');
    return client;
  }

  get up(): boolean {
    return this.#frames !== undefined && this.ended === '';
  }

  dial(gateway: string, kind: 'client' | 'node' = 'client'): void {
    const { id, host, port } = this.net.entry(gateway);
    const bytes = packetBytes(this.net.params.payloadBytes);
    this.ended = '';
    this.#dial = Dial.start({
      context: createSecureContext(secureOptionsOf(this.identity, 'any')),
      keyExchange: 'any',
      target: { id, host, port },
      kind,
      terms: { networkId: this.net.networkId, packetBytes: bytes },
      client: { trafficClass: 'standard', clocked: false },
      access: this.access,
      clock: this.net.clock,
      queueFrames: 4096,
      stallTimeoutMs: 10_000,
      handshakeTimeoutMs: 5000,
      onUp: (frames) => {
        this.#frames = frames;
      },
      onFrame: (frame) => {
        const kept = frame[bytes] === DOWNLINK_KIND.consensus ? this.pieces : this.received;
        kept.push(Buffer.from(frame.subarray(0, bytes)));
      },
      onDown: (reason) => {
        this.ended = reason;
        this.#frames = undefined;
      },
    });
  }

  close(): void {
    this.#dial?.close('test is over');
  }

  /** One frame up the link. */
  send(nextHop: Uint8Array, packet: Uint8Array): boolean {
    return this.#frames?.send(concatBytes(nextHop, packet)) === 'sent';
  }

  /** Hops by name, with the keys of `epoch` and `delayMs` at each mix. */
  hops(names: readonly string[], delayMs = 1, epoch?: number): SphinxHop[] {
    const topology = this.net.topology(epoch);
    return names.map((name) => {
      const node = topology.nodes.find((one) => one.name === name) as NodeEntry;
      const publicKey = node.sphinxKey(epochNumber(epoch ?? topology.epoch)) as Uint8Array;
      return { address: node.address, publicKey, delayNs: node.role === 'mixnode' ? delayMs * 1e6 : 0 };
    });
  }

  /** A loop of this client over its gateway; `key` of the recovery tells it again when it returns. */
  loop(names: readonly string[], delayMs = 1, epoch?: number) {
    return sphinx.createLoop({
      route: this.hops(names, delayMs, epoch),
      self: { address: this.address },
      message: Buffer.from('hello myself'),
      payloadBytes: this.net.params.payloadBytes,
    });
  }

  get key() {
    return addressKeyOf(this.identity.id);
  }
}
