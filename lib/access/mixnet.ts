/**
 * A client's way into the mixnet: consensus, a gateway, sessions with requesters. The proxy role and `MixnetClient` are
 * built on it. Streams can be asked for from the first moment; until there is a way, opening one fails at once.
 * @module
 */
import { toHex } from '../core/bytes.ts';
import type { Timer } from '../core/clock.ts';
import { asMixError, MixError } from '../core/errors.ts';
import { DEFAULT_SESSION_PARAMS } from '../core/session-params.ts';
import {
  DirectoryClient,
  type NetworkFile,
  type NodeEntry,
  networkId,
  stagesThatShed,
  type Topology,
} from '../directory/index.ts';
import { GuardSample, MixEndpoint, sharesGateway } from '../endpoint/index.ts';
import { type AccessRefusal, createIdentity, sayKeyExchange } from '../link/index.ts';
import type { Components, Running } from '../runtime/components.ts';
import type { ProxySession, SessionStream, StreamHandlers } from '../session/index.ts';
import { ProxyHub } from '../session/proxy/proxy-hub.ts';
import { SessionMeter } from '../session/session-meter.ts';
import { GuardFile } from './guard-file.ts';
import { IdentityRenewal } from './identity-renewal.ts';
import { accessFault, ClientInvitations } from './invitations.ts';
import type { OpenTarget, StreamOpener, StreamTimes } from './opener.ts';
import { ReplyMeter } from './status/reply-meter.ts';
import { hubTerms, type MixnetTerms } from './terms.ts';

/** A link that is down for so long has been tried at every guard: 8 s each. */
const ALL_TRIED_MS = 30_000;
/** After a failed attempt to join, the next follows in this time. */
const RETRY_MS = 1_000;

/** Files of a client; what has none is kept in memory, for one run. */
export interface ClientFiles {
  /** The last consensus. */
  readonly cacheFile?: string | undefined;
  readonly guardFile?: string | undefined;
  /** The secret of its access keys; needed where there are invitations. */
  readonly accessFile?: string | undefined;
}

export class ProxyMixnet implements StreamOpener, Running {
  readonly directory: DirectoryClient;
  readonly #guardFile: GuardFile | undefined;
  #guards: GuardSample;
  #invitations: ClientInvitations | undefined;
  #made: MixEndpoint | undefined;
  /** Once it runs. */
  endpoint: MixEndpoint | undefined;
  hub: ProxyHub | undefined;
  #renewal: IdentityRenewal | undefined;
  #retry: Timer | undefined;
  #joining = false;
  #joinFault = '';
  #stopped = false;

  private constructor(
    readonly network: NetworkFile,
    private readonly config: MixnetTerms,
    private readonly components: Components,
    files: ClientFiles,
  ) {
    const { cacheFile, guardFile } = files;
    const { log, crypto } = components;
    this.directory = new DirectoryClient({ network, components, ...(cacheFile === undefined ? {} : { cacheFile }) });
    this.#guards = new GuardSample(components.rng);
    // Who names a gateway, or was invited, needs no sample of guards, and keeps that of before.
    if (guardFile !== undefined && this.#drawsGuards)
      this.#guardFile = new GuardFile(guardFile, toHex(networkId(network, crypto)), log);
  }

  /** Begins to join `network`, without waiting for it. */
  static async join(
    network: NetworkFile,
    config: MixnetTerms,
    components: Components,
    files: ClientFiles = {},
  ): Promise<ProxyMixnet> {
    sayKeyExchange(config.linkKeyExchange, components.log);
    const invitations = await ClientInvitations.load(config.invitation, files.accessFile, components);
    const mixnet = new ProxyMixnet(network, config, components, files);
    mixnet.#invitations = invitations;
    mixnet.#guards = new GuardSample(components.rng, await mixnet.#guardFile?.load());
    mixnet.directory.onTopology((topology) => void mixnet.#follow(topology));
    await mixnet.directory.start();
    const known = mixnet.directory.topology();
    if (known !== undefined) void mixnet.#follow(known);
    return mixnet;
  }

  get times(): StreamTimes {
    return this.directory.topology()?.params.session ?? DEFAULT_SESSION_PARAMS;
  }

  open(target: OpenTarget, handlers: StreamHandlers): SessionStream {
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

  /** Counts what comes in, by requester, and calls `look` beside it once a second; yours to start and stop. */
  replyMeter(look: () => void = () => {}): ReplyMeter<ProxySession> {
    return new ReplyMeter(
      this.components.clock,
      () => this.hub?.sessions() ?? [],
      (session) => this.hub?.requesterOf(session)?.name ?? '',
      look,
    );
  }

  /** Whether one gateway is at both ends: the network, or the configuration, leaves no choice. */
  get gatewaySeesBothEnds(): boolean {
    const { endpoint, hub } = this;
    if (endpoint?.gateway === undefined || hub === undefined) return false;
    const inUse = hub.sessions().flatMap((session) => hub.requesterOf(session)?.id ?? []);
    return inUse.some((id) => {
      const requester = endpoint.topology.byId(id);
      return requester !== undefined && endpoint.seesBothEnds(requester);
    });
  }

  /** Whether the gateway takes none of our groups of key exchange. */
  get noCommonGroup(): boolean {
    return this.endpoint?.stats().link?.noCommonGroup ?? false;
  }

  /** Why the gateways that may be used do not let this client in. */
  get accessRefusal(): AccessRefusal | undefined {
    if (this.endpoint?.linkState === 'up') return undefined;
    const isPrivate = this.directory.topology()?.params.clients === 'invited';
    return this.endpoint?.stats().accessRefusal ?? (isPrivate && this.#drawsGuards ? 'not-invited' : undefined);
  }

  /** The same in one line, with what to do. */
  get accessFault(): string | undefined {
    const refusal = this.accessRefusal;
    return refusal && accessFault(refusal, this.directory.topology()?.params.clients);
  }

  /** Whether every gateway that may be used says that it is full: they are tried on. */
  get gatewaysFull(): boolean {
    return this.endpoint?.linkState === 'down' && this.endpoint.stats().gatewaysFull;
  }

  /** Whether more is asked of the network than it carries: its gateways are full, or half of a stage or more says that it sheds packets. */
  get isOverCapacity(): boolean {
    const topology = this.directory.topology();
    return this.gatewaysFull || (topology !== undefined && stagesThatShed(topology) > 0);
  }

  /** What is missing for a stream to open at once; undefined when nothing is. */
  obstacle(): MixError | undefined {
    if (this.ready) return undefined;
    const topology = this.directory.topology();
    if (topology === undefined) {
      const fault = this.directory.clockFault ?? 'no directory authority has a list of nodes for us yet';
      return new MixError('NO_CONSENSUS', fault);
    }
    if (this.endpoint?.linkState !== 'up') return new MixError('NO_GATEWAY', this.#gatewayObstacle(topology));
    if (topology.requesters.length === 0) return new MixError('NO_REQUESTER', 'the network lists no requester');
    return new MixError('TIMEOUT', this.hub?.versionMismatch ?? 'the requester has not answered yet');
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#renewal?.stop();
    this.#retry?.cancel();
    await this.hub?.leave();
    await this.hub?.stop();
    await this.endpoint?.stop();
    await this.directory.stop();
    await this.#guardFile?.settle();
  }

  /** The guards are on disk before one is used. The endpoint takes over the consensus after them. */
  async #follow(topology: Topology): Promise<void> {
    if (this.#drawsGuards) {
      this.#guards.follow(topology);
      await this.#guardFile?.save(this.#guards.state);
    }
    await this.#join();
  }

  /** Tries again until it has joined; never rejects. */
  async #join(): Promise<void> {
    if (this.#joining || this.hub !== undefined || this.#stopped || this.directory.topology() === undefined) return;
    this.#joining = true;
    try {
      await this.#connect();
    } catch (error) {
      this.#onJoinFailed(error);
      this.#retry = this.components.clock.after(RETRY_MS, () => void this.#join());
    } finally {
      this.#joining = false;
    }
  }

  async #connect(): Promise<void> {
    const components = this.components;
    this.#made ??= await this.#makeEndpoint();
    if (this.#stopped) return;
    const endpoint = this.#made;
    endpoint.start();
    this.endpoint = endpoint;
    const hub = new ProxyHub({
      meter: new SessionMeter(components.metrics),
      components,
      endpoint,
      ...hubTerms(this.config),
      requesters: () => this.#requesters(endpoint),
    });
    hub.start();
    this.hub = hub;
    this.#renewal = new IdentityRenewal({
      clock: components.clock,
      log: components.log,
      makeIdentity: () => createIdentity(components.rng),
      renew: (fresh) => endpoint.renewIdentity(fresh),
    });
    this.#renewal.start();
  }

  /** Once: it registers what it counts, and can be started again when that failed. */
  async #makeEndpoint(): Promise<MixEndpoint> {
    const components = this.components;
    return new MixEndpoint({
      components,
      identity: await createIdentity(components.rng),
      networkId: networkId(this.network, components.crypto),
      directory: this.directory,
      trafficClass: this.config.trafficClass,
      keyExchange: this.config.linkKeyExchange,
      delivery: this.config.downlink === 'steady' ? 'clock' : 'immediate',
      usableGateways: (topology) => this.#usableGateways(topology),
      accessTo: (gateway) => this.#invitations?.accessTo(gateway) ?? [],
    });
  }

  /** Said once for each reason, however often it is tried. */
  #onJoinFailed(error: unknown): void {
    const { code, message } = asMixError(error);
    if (message !== this.#joinFault) this.components.log.warn({ code, reason: message }, 'cannot join the network yet');
    this.#joinFault = message;
  }

  get #drawsGuards(): boolean {
    return this.config.gateway === undefined && this.config.invitation.length === 0;
  }

  /** The one configured, those that invite, or the guards: what exits publish has no influence. */
  #usableGateways(topology: Topology): readonly NodeEntry[] {
    const { gateway } = this.config;
    if (gateway === undefined) return (this.#invitations ?? this.#guards).listedIn(topology);
    const node = topology.byId(gateway);
    return node === undefined ? [] : [node];
  }

  #gatewayObstacle(topology: Topology): string {
    if (this.noCommonGroup)
      return 'the gateway and this proxy have no key exchange in common (linkKeyExchange): the log says more';
    if (this.accessFault !== undefined) return this.accessFault;
    if (this.gatewaysFull)
      return 'every gateway that this proxy may use is full: the network is over its capacity; it tries them on';
    if (this.config.gateway !== undefined) return 'the gateway configured could not be reached yet';
    const guards = this.#usableGateways(topology).length;
    if (guards === 0) return 'none of the gateways that this proxy keeps to is listed: it waits for them';
    if ((this.endpoint?.linkDownMs ?? 0) < ALL_TRIED_MS) return 'no gateway could be reached yet';
    return `none of the ${guards} gateways that this proxy keeps to answers: it tries them on, and no other`;
  }

  /** The requesters a session may use: the one configured, or all that have another gateway than ours, or all. */
  #requesters(endpoint: MixEndpoint): readonly NodeEntry[] {
    const { requesters } = endpoint.topology;
    if (this.config.requester !== undefined) return requesters.filter((node) => node.id === this.config.requester);
    const open = requesters.filter((node) => !node.accessTokenRequired || this.config.accessToken !== undefined);
    const apart = open.filter((node) => !sharesGateway(node, endpoint.gateway));
    return apart.length > 0 ? apart : open;
  }
}
