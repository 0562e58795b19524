/**
 * The shell that mixes and gateways share: identity, Sphinx keys, directory, links, engine, own loops, metrics page.
 * A role adds who may connect as a client and what becomes of a packet's next hop (`NodeRole`).
 * @module
 */
import { join } from 'node:path';
import { type HostPort, joinHostPort, parseListen } from '../address.ts';
import type { AddressKey, IdentityHex } from '../bytes.ts';
import { every, type Timer } from '../clock.ts';
import type { Components, Running } from '../components.ts';
import {
  type DescriptorDraft,
  DirectoryClient,
  epochMsOf,
  loadNetworkFile,
  type MixLayer,
  type NetworkFile,
  networkId,
} from '../directory/index.ts';
import { type LocalHttp, serveLocalHttp } from '../http.ts';
import {
  type ClientInboundLink,
  type InboundLink,
  type LinkKind,
  type LinkListener,
  LinkMetrics,
  listenLinks,
  loadIdentity,
  type NodeIdentity,
  PeerLinks,
} from '../link/index.ts';
import { bootId, DelayQueue, type LoopOrigin, type NodeDrop, PacketPipeline, SphinxKeyRing } from '../mixing/index.ts';
import { DEFAULT_PARAMS, type NetworkParams, packetBytes } from '../params.ts';
import { Sphinx } from '../sphinx/index.ts';
import { advertisedAddress } from './advertise.ts';
import type { NodeOptions } from './config.ts';
import { describeNode } from './descriptor.ts';
import { type EngineRole, PacketEngine, type PooledPacket } from './engine.ts';
import { FaultInjector, parseFault } from './fault.ts';
import { showNodeGauges } from './gauges.ts';
import { LoopDriver } from './loop-driver.ts';
import { NodeMetrics } from './metrics.ts';
import type { Neighbours } from './neighbours.ts';
import { listenAgain } from './remembered-port.ts';
import { Surroundings } from './surroundings.ts';

/** How often keys and absent clients are looked after. */
const UPKEEP_PERIOD_MS = 1000;

/** A mix or gateway that runs. */
export interface RunningNode extends Running {
  readonly identity: IdentityHex;
  /** Where links are accepted, host:port. */
  readonly listen: string;
  readonly metricsUrl: string;
}

/** What the shell offers a role. */
export interface NodeServices {
  readonly components: Components;
  readonly metrics: NodeMetrics;
  neighbours(): Neighbours;
  params(): NetworkParams;
  /** Sends a packet of a client on at once, by the role's `forward`; the reason when it could not. Takes ownership. */
  relay(next: AddressKey, packet: Uint8Array): NodeDrop | undefined;
  /** Puts a packet on the link to a node of the next layer; the reason when it could not. Takes ownership. */
  sendToNode(next: AddressKey, packet: Uint8Array): NodeDrop | undefined;
}

export interface NodeRole extends EngineRole {
  /** Whether an identity that is no mix or gateway may connect as a client; absent: nobody may. */
  admitsClient?(peer: IdentityHex): boolean;
  onClientLink?(link: ClientInboundLink): void;
  /** The consensus changed who is who. */
  onNeighbours?(): void;
  /** About once a second. */
  upkeep?(): void;
}

export interface NodeSpec {
  readonly options: NodeOptions;
  readonly components: Components;
  /** Mix layer, or gateway. */
  readonly place: MixLayer | 'gateway';
  readonly makeRole: (services: NodeServices) => NodeRole;
}

/** Starts a node; resolves when it listens. It announces itself and waits for a consensus in the background. */
export async function startNode(spec: NodeSpec): Promise<RunningNode> {
  const { options, components } = spec;
  const identity = await loadIdentity(options.dir);
  const network = await loadNetworkFile(options.networkFile);
  const node = new NodeShell(spec, identity, network);
  try {
    await node.start();
  } catch (error) {
    await node.stop();
    throw error;
  }
  components.log.info({ role: node.role, listen: node.listen }, 'node is running');
  return node;
}

class NodeShell implements RunningNode, NodeServices {
  readonly identity: IdentityHex;
  readonly components: Components;
  readonly metrics: NodeMetrics;
  readonly #linkMetrics: LinkMetrics;
  readonly #directory: DirectoryClient;
  readonly #surroundings: Surroundings;
  readonly #ring: SphinxKeyRing;
  readonly #peers: PeerLinks;
  readonly #pool: DelayQueue<PooledPacket>;
  readonly #loops: LoopDriver;
  readonly #engine: PacketEngine;
  readonly #nodeRole: NodeRole;
  #listener: LinkListener | undefined;
  #page: LocalHttp | undefined;
  #upkeep: Timer | undefined;

  constructor(
    readonly spec: NodeSpec,
    readonly nodeIdentity: NodeIdentity,
    readonly network: NetworkFile,
  ) {
    const { components, options, place } = spec;
    const { clock, crypto, rng, log } = components;
    this.identity = nodeIdentity.id;
    this.components = components;
    this.metrics = new NodeMetrics(components.metrics);
    this.#linkMetrics = new LinkMetrics(components.metrics);
    const cacheFile = join(options.dir, 'consensus.json');
    this.#directory = new DirectoryClient({ network, components, cacheFile });
    this.#surroundings = new Surroundings({ origin: place, clock, onChange: (next) => this.#onNeighbours(next) });
    const sphinx = new Sphinx(crypto, rng);
    this.#ring = SphinxKeyRing.open(
      {
        dir: join(options.dir, 'sphinx'),
        crypto,
        rng,
        log,
        epochMs: epochMsOf(network),
        bootId: bootId(),
        maxUnwrapsPerSecond: options.maxPacketsPerSecond,
      },
      clock.wallMs(),
    );
    this.#peers = new PeerLinks({
      ...this.#linkTerms(),
      rng,
      queueFrames: options.linkQueuePackets,
    });
    this.#pool = new DelayQueue(options.poolPackets);
    this.#nodeRole = spec.makeRole(this);
    this.#loops = this.#makeLoops(sphinx);
    const pipeline = new PacketPipeline({ sphinx, keys: this.#ring, packetBytes: packetBytes(network.payloadBytes) });
    this.#engine = new PacketEngine({
      clock,
      pipeline,
      flushTags: () => this.#ring.flush(),
      loops: this.#loops.loops,
      pool: this.#pool,
      maxDelayMs: () => this.params().maxDelayMs,
      role: this.#nodeRole,
      metrics: this.metrics,
      ...this.#faults(),
    });
    showNodeGauges(components.metrics, this.#pool, this.#peers, this.#ring);
  }

  get role(): string {
    return this.spec.place === 'gateway' ? 'gateway' : `mixnode of layer ${this.spec.place}`;
  }

  get listen(): string {
    return this.#listener === undefined ? '' : joinHostPort(this.#listener.host, this.#listener.port);
  }

  get metricsUrl(): string {
    return this.#page?.url ?? '';
  }

  async start(): Promise<void> {
    const { options, components } = this.spec;
    const { clock, log, metrics } = components;
    const { host, port } = parseListen(options.listen);
    this.#listener = await listenAgain(options.dir, port, (port) => this.#listenOn(host, port));
    const address = advertisedAddress(options, this.#listener.port);
    const routes = { '/metrics': async () => ({ type: metrics.registry.contentType, body: await metrics.text() }) };
    this.#page = await serveLocalHttp({ listen: options.metricsListen, routes, log });
    this.#directory.onTopology((topology) => this.#surroundings.update(topology));
    this.#directory.announce((epochs) => this.#descriptor(epochs, address), this.nodeIdentity.seed, options.joinToken);
    await this.#directory.start();
    const known = this.#directory.topology();
    if (known !== undefined) this.#surroundings.update(known);
    this.#loops.start();
    this.#upkeep = every(clock, UPKEEP_PERIOD_MS, () => this.#look());
  }

  async stop(): Promise<void> {
    this.#upkeep?.cancel();
    this.#loops.stop();
    this.#surroundings.stop();
    await this.#directory.stop();
    await this.#listener?.close();
    this.#engine.stop();
    await this.#peers.stop();
    this.#ring.close();
    await this.#page?.close();
  }

  neighbours(): Neighbours {
    return this.#surroundings.neighbours;
  }

  params(): NetworkParams {
    return this.#surroundings.topology?.params ?? DEFAULT_PARAMS;
  }

  relay(next: AddressKey, packet: Uint8Array): NodeDrop | undefined {
    return this.#engine.leave(next, packet);
  }

  sendToNode(next: AddressKey, packet: Uint8Array): NodeDrop | undefined {
    switch (this.#peers.send(next, packet)) {
      case 'sent':
        this.metrics.forwarded.inc({ to: 'node' });
        return undefined;
      case 'unknown-peer':
        return 'next-hop';
      case 'queue-full':
        return 'link-queue-full';
      case 'down':
        return 'link-down';
    }
  }

  #linkTerms() {
    const { clock, crypto, log } = this.spec.components;
    return {
      identity: this.nodeIdentity,
      networkId: networkId(this.network, crypto),
      packetBytes: packetBytes(this.network.payloadBytes),
      clock,
      log,
      metrics: this.#linkMetrics,
    };
  }

  #listenOn(host: string, port: number): Promise<LinkListener> {
    return listenLinks({
      ...this.#linkTerms(),
      host,
      port,
      limits: { queueFrames: this.spec.options.linkQueuePackets },
      admit: (peer, kind) => this.#admits(peer, kind),
      onLink: (link) => this.#onLink(link),
    });
  }

  #faults(): { faults?: FaultInjector } {
    const { fault } = this.spec.options;
    if (fault === undefined) return {};
    const { log, metrics, rng } = this.components;
    log.warn({ fault }, 'FAULTS ON PURPOSE: this node harms what it sends, for experiments only');
    return { faults: new FaultInjector(parseFault(fault), rng, metrics) };
  }

  #makeLoops(sphinx: Sphinx): LoopDriver {
    const { clock, rng, log } = this.spec.components;
    return new LoopDriver({
      clock,
      rng,
      log,
      sphinx,
      address: this.nodeIdentity.publicKey,
      origin: this.spec.place as LoopOrigin,
      epochMs: epochMsOf(this.network),
      topology: () => this.#directory.topology(),
      send: (firstHop, packet) => {
        const reason = this.#engine.leave(firstHop, packet);
        if (reason !== undefined) this.metrics.drop(reason);
      },
      metrics: this.metrics,
    });
  }

  #admits(peer: IdentityHex, kind: LinkKind): boolean {
    const { before, nodes } = this.neighbours();
    if (kind === 'node') return before.has(peer);
    return !nodes.has(peer) && peer !== this.identity && this.#nodeRole.admitsClient?.(peer) === true;
  }

  #onLink(link: InboundLink): void {
    if (link.kind === 'client') {
      this.#nodeRole.onClientLink?.(link);
      return;
    }
    link.onFrame((packet) => {
      this.metrics.received.inc({ from: 'node' });
      this.#engine.receive(packet);
    });
  }

  #onNeighbours({ after }: Neighbours): void {
    this.#peers.setPeers([...after.values()]);
    this.#listener?.recheck();
    this.#nodeRole.onNeighbours?.();
  }

  #look(): void {
    this.#ring.advance(this.components.clock.wallMs());
    if (this.#ring.takeRenewed()) this.#directory.announceNow();
    this.#nodeRole.upkeep?.();
  }

  #descriptor(epochs: readonly number[], address: HostPort): DescriptorDraft {
    const { options, place, components } = this.spec;
    const { clock } = components;
    const wallMs = clock.wallMs();
    const loops = this.#loops.tally.report(this.#directory.topology(), clock.nowMs());
    return describeNode(options, place, address, epochs, (epoch) => this.#ring.publicKey(epoch, wallMs), loops);
  }
}
