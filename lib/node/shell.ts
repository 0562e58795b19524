/**
 * The shell that mixes and gateways share: identity, Sphinx keys, directory, links, engine, own loops, metrics page.
 * What they do differently comes in as `NodeBehaviour`.
 * @module
 */
import { join } from 'node:path';
import type { IdentityHex } from '../core/bytes.ts';
import { every, type Timer } from '../core/clock.ts';
import { packetBytes } from '../core/params.ts';
import type { EpochNumber } from '../core/units.ts';
import {
  authorityHost,
  type DescriptorDraft,
  DirectoryClient,
  epochMsOf,
  loadNetworkFile,
  type NetworkFile,
  networkId,
} from '../directory/index.ts';
import {
  type InboundLink,
  type LinkListener,
  LinkMetrics,
  loadIdentity,
  type NodeIdentity,
  PeerLinks,
  sayKeyExchange,
} from '../link/index.ts';
import {
  Arrivals,
  DelayQueue,
  DepartureTicks,
  openPolicedKeys,
  PacketPipeline,
  type PolicedKeys,
} from '../mixing/index.ts';
import { joinHostPort } from '../net/address.ts';
import { warnIfUnbounded } from '../net/connection-bounds.ts';
import { HostSources } from '../net/host-sources.ts';
import type { LocalHttp } from '../net/http.ts';
import { serveMetricsPage } from '../net/metrics-page.ts';
import { fitYoungGeneration } from '../runtime/young-generation.ts';
import { Sphinx } from '../sphinx/index.ts';
import { RoleHealth } from '../telemetry/health.ts';
import { admits, countersigning, serveClient } from './admits.ts';
import { AdvertisedAddresses, advertisedAddresses, type ListeningAt } from './advertise.ts';
import type { NodeBehaviour, NodeSpec, RunningNode } from './behaviour.ts';
import { type CarriedLoad, openCarriedLoad } from './carried-load.ts';
import { describeNode } from './descriptor.ts';
import { drain } from './drain.ts';
import { PacketEngine, type PooledPacket } from './engine.ts';
import { faultsOf } from './fault.ts';
import { listenForLinks } from './listen-links.ts';
import { LoopDriver } from './loop-driver.ts';
import { NodeMetrics, showNodeGauges } from './metrics.ts';
import { type Neighbours, NetworkView } from './network-view.ts';
import { nodeFaults } from './readiness.ts';

/** How often keys and absent clients are looked after. */
const UPKEEP_PERIOD_MS = 1000;

/** Starts a node; resolves when it listens. It announces itself and waits for a consensus in the background. */
export async function startNode(spec: NodeSpec): Promise<RunningNode> {
  const { options, components, position } = spec;
  const identity = await loadIdentity(options.dir);
  const network = await loadNetworkFile(options.networkFile);
  const node = new NodeShell(spec, identity, network);
  try {
    await node.start();
  } catch (error) {
    await node.stop();
    throw error;
  }
  const role = position === 'gateway' ? 'gateway' : `mixnode of layer ${position ?? 'by the consensus'}`;
  components.log.info({ role, listen: node.listen }, 'node is running');
  return node;
}

class NodeShell implements RunningNode {
  readonly identity: IdentityHex;
  readonly health: RoleHealth;
  readonly #metrics: NodeMetrics;
  readonly #linkMetrics: LinkMetrics;
  readonly #directory: DirectoryClient;
  readonly #view: NetworkView;
  readonly #policed: PolicedKeys<IdentityHex>;
  readonly #peers: PeerLinks;
  readonly #behaviour: NodeBehaviour;
  readonly #loops: LoopDriver;
  readonly #engine: PacketEngine;
  readonly #load: CarriedLoad;
  /** They try whether we can be reached. */
  readonly #authorities: HostSources;
  #listener: LinkListener | undefined;
  #page: LocalHttp | undefined;
  #upkeep: Timer | undefined;
  #advertised: AdvertisedAddresses | undefined;

  constructor(
    readonly spec: NodeSpec,
    readonly nodeIdentity: NodeIdentity,
    readonly network: NetworkFile,
  ) {
    const { components, options, position, behaviourOf } = spec;
    const { clock, crypto, rng, log, memory } = components;
    const epochMs = epochMsOf(network);
    const sphinx = new Sphinx(crypto, rng);
    const metrics = new NodeMetrics(components.metrics);
    const pool = new DelayQueue<PooledPacket>(options.poolPackets);
    this.identity = nodeIdentity.id;
    this.#metrics = metrics;
    this.#linkMetrics = new LinkMetrics(components.metrics);
    this.#directory = new DirectoryClient({ network, components, cacheFile: join(options.dir, 'consensus.json') });
    const onChange = (next: Neighbours) => this.#onNeighbours(next);
    this.#view = new NetworkView({ identity: this.identity, position, clock, onChange });
    this.#policed = openPolicedKeys(components, { ...options, ...network, epochMs, dir: join(options.dir, 'sphinx') });
    const { policer, keys } = this.#policed;
    this.#peers = new PeerLinks({
      ...this.#linkTerms(),
      localAddress: components.outboundAddress,
      rng,
      queueFrames: options.linkQueuePackets,
      onResult: (result, packets) => metrics.sent('node', result, packets),
    });
    const listing = { directory: this.#directory, self: this.identity, keys, peers: this.#peers };
    this.health = new RoleHealth(clock, 'the upkeep', () => nodeFaults({ ...listing, wallMs: clock.wallMs() }));
    const bytes = packetBytes(network.payloadBytes);
    fitYoungGeneration(network.payloadBytes);
    const parts = {
      identity: nodeIdentity.id,
      components,
      metrics,
      view: this.#view,
      peers: this.#peers,
      packetBytes: bytes,
      recheck: () => this.#listener?.recheck(),
    };
    this.#behaviour = behaviourOf(parts);
    this.#loops = new LoopDriver({
      clock,
      rng,
      log,
      sphinx,
      address: nodeIdentity.publicKey,
      positionIn: (topology) => this.#view.positionIn(topology),
      epochMs,
      topology: () => this.#directory.topology(),
      metrics,
    });
    this.#engine = new PacketEngine({
      clock,
      policer,
      arrivals: new Arrivals(bytes),
      pipeline: new PacketPipeline({ sphinx, keys, packetBytes: bytes }),
      flushTags: () => keys.flush(),
      loops: this.#loops.loops,
      pool,
      ticks: new DepartureTicks(rng),
      maxDelayMs: () => this.#view.params.maxDelayMs,
      behaviour: this.#behaviour,
      metrics,
      ...(memory === undefined ? {} : { memory }),
      ...faultsOf(options.fault, components),
    });
    this.#load = openCarriedLoad(components, () => policer.perSecond, epochMs);
    this.#authorities = new HostSources(network.authorities.map(authorityHost), clock);
    showNodeGauges(components.metrics, pool, this.#peers, keys);
  }

  get listen(): string {
    return (this.#listener?.addresses ?? []).map(({ host, port }) => joinHostPort(host, port)).join(', ');
  }

  get metricsUrl(): string {
    return this.#page?.url ?? '';
  }

  async start(): Promise<void> {
    const { options, components } = this.spec;
    const { clock, log, metrics } = components;
    warnIfUnbounded(options.maxConnectionsPerSource, log);
    sayKeyExchange(options.linkKeyExchange, log);
    await this.#behaviour.open?.();
    this.#authorities.start();
    this.#listener = await this.#listen();
    const advertised = new AdvertisedAddresses(advertisedAddresses(options, this.#listener.addresses), clock);
    this.#advertised = advertised;
    this.#page = await serveMetricsPage({ config: options, metrics, health: this.health, log });
    this.#directory.onTopology((topology) => this.#view.update(topology));
    const describe = async (epochs: readonly EpochNumber[]) => this.#descriptor(epochs, await advertised.current());
    this.#directory.announce(describe, this.nodeIdentity.seed, options.joinToken);
    this.#directory.onUsable((documents) => this.#behaviour.onUsableConsensus?.(documents));
    await this.#directory.start();
    const known = this.#directory.topology();
    if (known !== undefined) this.#view.update(known);
    this.#loops.start((firstHop, packet) => this.#engine.sendLoop(firstHop, packet));
    this.#upkeep = every(clock, UPKEEP_PERIOD_MS, () => this.#maintain());
  }

  async stop(): Promise<void> {
    this.health.stop();
    this.#upkeep?.cancel();
    this.#loops.stop();
    const waiting = () => this.#engine.waiting + (this.#behaviour.waiting?.() ?? 0);
    if (this.#listener !== undefined) await drain({ ...this.spec.components, listener: this.#listener, waiting });
    this.#view.stop();
    this.#behaviour.stop?.();
    this.#advertised?.stop();
    this.#authorities.stop();
    await this.#directory.stop();
    await this.#listener?.close();
    this.#engine.stop();
    await this.#peers.stop();
    this.#policed.keys.close();
    await this.#page?.close();
  }

  #linkTerms() {
    const { clock, crypto, log, memory } = this.spec.components;
    return {
      ...(memory === undefined ? {} : { memory }),
      identity: this.nodeIdentity,
      networkId: networkId(this.network, crypto),
      packetBytes: packetBytes(this.network.payloadBytes),
      keyExchange: this.spec.options.linkKeyExchange,
      clock,
      log,
      metrics: this.#linkMetrics,
    };
  }

  #listen(): Promise<LinkListener> {
    return listenForLinks(this.spec.options, {
      ...this.#linkTerms(),
      isNeighbour: (source) => this.#view.neighbours.previousSources.has(source) || this.#authorities.has(source),
      admit: (peer, kind, client) => admits(peer, kind, client, this.#admitTerms()),
      countersign: countersigning(this.nodeIdentity, this.network, this.spec.components),
      onLink: (link) => this.#onLink(link),
    });
  }

  #admitTerms() {
    const { authorities } = this.network;
    return {
      identity: this.identity,
      authorities,
      neighbours: this.#view.neighbours,
      clients: this.#behaviour.clients,
    };
  }

  #onLink(link: InboundLink): void {
    if (link.kind === 'client') {
      const { clients } = this.#behaviour;
      if (clients !== undefined) serveClient(link, clients, this.#engine, this.#metrics);
      return;
    }
    const policed = this.#policed.policer.link(link.peer);
    link.onFrame((packet) => {
      this.#metrics.received.inc({ from: 'node' });
      this.#engine.receive(packet, policed);
    });
  }

  #onNeighbours({ nextHops, previousHops }: Neighbours): void {
    this.#policed.policer.setWeights(previousHops);
    this.#peers.setPeers([...nextHops.values()]);
    this.#listener?.recheck();
    this.#behaviour.onNeighbours?.();
  }

  #maintain(): void {
    const { clock } = this.spec.components;
    this.health.worked();
    this.#policed.look(clock.nowMs());
    this.#load.look(this.#engine.work, clock.nowMs());
    this.#policed.keys.advance(clock.wallMs());
    if (this.#policed.keys.takeRenewed()) this.#directory.announceNow();
    void this.#advertised?.look(() => this.#directory.announceNow());
    this.#behaviour.upkeep?.();
  }

  #descriptor(epochs: readonly EpochNumber[], at: ListeningAt): DescriptorDraft {
    const { options, position, components } = this.spec;
    const wallMs = components.clock.wallMs();
    const keyOf = (epoch: EpochNumber) => this.#policed.keys.publicKey(epoch, wallMs);
    const loops = this.#loops.tally.report(this.#directory.topology(), components.clock.nowMs());
    return describeNode(options, position, at, epochs, keyOf, { loops, ...this.#load.published });
  }
}
