/**
 * The proxy's way into the mixnet: consensus, a gateway, a session with a requester. The front can serve from the first
 * moment; until there is a way, opening a stream fails at once and truthfully.
 * @module
 */
import { join } from 'node:path';
import type { IdentityHex } from '../lib/bytes.ts';
import { MixEndpoint } from '../lib/client/index.ts';
import { type Clock, every, type Timer } from '../lib/clock.ts';
import type { Components, Running } from '../lib/components.ts';
import {
  DirectoryClient,
  loadNetworkFile,
  type NetworkFile,
  type NodeEntry,
  networkId,
  type Topology,
} from '../lib/directory/index.ts';
import { asMixError, MixError } from '../lib/errors.ts';
import { createIdentity, type NodeIdentity } from '../lib/link/index.ts';
import { pick } from '../lib/rng.ts';
import type { ProxySession, SessionStream, StreamHandlers } from '../lib/session/index.ts';
import { ProxyHub } from '../lib/session/proxy-hub.ts';
import { SessionMeter } from '../lib/session/session-meter.ts';
import type { ProxyConfig } from './config.ts';
import type { FrontTarget, StreamOpener } from './opener.ts';
import { ReplyMeter } from './reply-meter.ts';

/** The proxy's identity at its gateway lives in memory only, and this long. */
export const IDENTITY_LIFE_MS = 24 * 3_600_000;
/** After a failed attempt to join, the next follows in this time. */
const RETRY_MS = 1_000;

/** What of the configuration concerns the way into the network. */
export type MixnetTerms = Pick<
  ProxyConfig,
  'downlink' | 'trafficClass' | 'gateway' | 'requester' | 'requesterSpread' | 'accessToken'
>;

export class ProxyMixnet implements StreamOpener, Running {
  readonly directory: DirectoryClient;
  readonly network: NetworkFile;
  readonly #config: MixnetTerms;
  readonly #components: Components;
  #made: MixEndpoint | undefined;
  /** Once it runs. */
  endpoint: MixEndpoint | undefined;
  hub: ProxyHub | undefined;
  #renewal: Timer | undefined;
  #retry: Timer | undefined;
  #joining = false;
  #joinFault = '';
  #stopped = false;

  private constructor(network: NetworkFile, config: MixnetTerms, components: Components, cacheFile?: string) {
    this.#config = config;
    this.#components = components;
    this.network = network;
    this.directory = new DirectoryClient({ network, components, ...(cacheFile === undefined ? {} : { cacheFile }) });
  }

  /** Loads the bootstrap file and begins to join; resolves without waiting for the network. Throws MixError CONFIG. */
  static async start(config: ProxyConfig, components: Components): Promise<ProxyMixnet> {
    const network = await loadNetworkFile(config.networkFile ?? join(config.dir, 'network.json'));
    return ProxyMixnet.join(network, config, components, join(config.dir, 'consensus.json'));
  }

  /** Begins to join `network`; the consensus is kept in `cacheFile`, if one is given. */
  static async join(
    network: NetworkFile,
    config: MixnetTerms,
    components: Components,
    cacheFile?: string,
  ): Promise<ProxyMixnet> {
    const mixnet = new ProxyMixnet(network, config, components, cacheFile);
    mixnet.directory.onTopology(() => mixnet.#join());
    await mixnet.directory.start();
    mixnet.#join();
    return mixnet;
  }

  open(target: FrontTarget, handlers: StreamHandlers): SessionStream {
    if (this.directory.topology() === undefined) throw new MixError('NO_CONSENSUS', 'there is no valid consensus');
    if (this.hub === undefined) throw new MixError('NO_GATEWAY', 'no gateway could be used yet');
    const { kind, host, port, isolation, forPort } = target;
    return this.hub.open({ kind, host, port }, handlers, isolation, forPort);
  }

  suits(stream: SessionStream, port: number): boolean {
    return this.hub?.suits(stream, port) ?? true;
  }

  get ready(): boolean {
    return this.hub?.ready ?? false;
  }

  /** Counts what comes in, by requester, until it is stopped. */
  replyMeter(clock: Clock): ReplyMeter<ProxySession> {
    return new ReplyMeter(
      clock,
      () => this.hub?.sessions() ?? [],
      (session) => this.hub?.requesterOf(session)?.name ?? '',
    );
  }

  /** What is missing for a stream to open at once; undefined when nothing is. */
  obstacle(): MixError | undefined {
    if (this.ready) return undefined;
    const topology = this.directory.topology();
    if (topology === undefined) {
      return new MixError('NO_CONSENSUS', 'no directory authority has a list of nodes for us yet');
    }
    if (this.endpoint?.linkState !== 'up') return new MixError('NO_GATEWAY', 'no gateway could be reached yet');
    if (topology.requesters.length === 0) return new MixError('NO_REQUESTER', 'the network lists no requester');
    return new MixError('TIMEOUT', 'the requester has not answered yet');
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#renewal?.cancel();
    this.#retry?.cancel();
    await this.hub?.stop();
    await this.endpoint?.stop();
    await this.directory.stop();
  }

  async #join(): Promise<void> {
    if (this.#joining || this.hub !== undefined || this.#stopped || this.directory.topology() === undefined) return;
    this.#joining = true;
    try {
      await this.#connect();
    } catch (error) {
      this.#onJoinFailed(error);
      this.#retry = this.#components.clock.after(RETRY_MS, () => this.#join());
    } finally {
      this.#joining = false;
    }
  }

  async #connect(): Promise<void> {
    const components = this.#components;
    this.#made ??= await this.#makeEndpoint();
    if (this.#stopped) return;
    const endpoint = this.#made;
    endpoint.start();
    this.endpoint = endpoint;
    const { accessToken, downlink, requesterSpread } = this.#config;
    this.hub = new ProxyHub({
      meter: new SessionMeter(components.metrics),
      components,
      endpoint,
      downlink,
      spread: requesterSpread,
      requesters: () => this.#requesters(endpoint),
      ...(accessToken === undefined ? {} : { accessToken: Buffer.from(accessToken) }),
    });
    this.#renewal = every(components.clock, IDENTITY_LIFE_MS, () => {
      createIdentity(components.rng).then((fresh) => endpoint.renewIdentity(fresh));
    });
  }

  /** Once: it registers what it counts, and can be started again when that failed. */
  async #makeEndpoint(): Promise<MixEndpoint> {
    const components = this.#components;
    return new MixEndpoint({
      components,
      identity: await createIdentity(components.rng),
      networkId: networkId(this.network, components.crypto),
      directory: this.directory,
      trafficClass: this.#config.trafficClass,
      chooseGateway: (topology, avoid) => this.#chooseGateway(topology, avoid),
    });
  }

  /** Said once for each reason, however often it is tried. */
  #onJoinFailed(error: unknown): void {
    const { code, message } = asMixError(error);
    if (message !== this.#joinFault)
      this.#components.log.warn({ code, reason: message }, 'cannot join the network yet');
    this.#joinFault = message;
  }

  /** Uniform over the gateways; not one that a requester uses where that can be avoided, so that no gateway sees both ends. */
  #chooseGateway(topology: Topology, avoid: ReadonlySet<IdentityHex>): NodeEntry | undefined {
    if (this.#config.gateway !== undefined) return topology.byId(this.#config.gateway as IdentityHex);
    const usable = topology.soundGateways.filter((node) => !avoid.has(node.id));
    const used = new Set(topology.requesters.map((node) => node.gateway));
    const apart = usable.filter((node) => !used.has(node.id));
    return pick(this.#components.rng, apart.length > 0 ? apart : usable);
  }

  /** The requesters a session may use: the one configured, or all that are not on our gateway, or all. */
  #requesters(endpoint: MixEndpoint): readonly NodeEntry[] {
    const { requesters } = endpoint.topology;
    if (this.#config.requester !== undefined) return requesters.filter((node) => node.id === this.#config.requester);
    const open = requesters.filter((node) => !node.accessTokenRequired || this.#config.accessToken !== undefined);
    const apart = open.filter((node) => node.gateway !== endpoint.gateway?.id);
    return apart.length > 0 ? apart : open;
  }
}

/** Calls `renew` with a fresh identity whenever the last one has served its time. */
export function renewIdentity(
  { clock, rng }: Pick<Components, 'clock' | 'rng'>,
  renew: (fresh: NodeIdentity) => void,
): Timer {
  return every(clock, IDENTITY_LIFE_MS, () => {
    createIdentity(rng).then(renew);
  });
}
