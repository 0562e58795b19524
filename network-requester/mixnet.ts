/**
 * The requester's way into the mixnet: it announces itself with its Sphinx keys and its gateways, keeps a link to each,
 * unwraps what is sent to it and hands it to the sessions.
 * @module
 */
import { join } from 'node:path';
import type { IdentityHex } from '../lib/core/bytes.ts';
import { every, sleep, type Timer } from '../lib/core/clock.ts';
import { asMixError, MixError } from '../lib/core/errors.ts';
import type { EpochNumber } from '../lib/core/units.ts';
import {
  type DescriptorDraft,
  DirectoryClient,
  epochMsOf,
  loadNetworkFile,
  MAX_REQUESTER_GATEWAYS,
  type NetworkFile,
  type NodeEntry,
  networkId,
  type Topology,
} from '../lib/directory/index.ts';
import { FinalHop, MixEndpoint } from '../lib/endpoint/index.ts';
import { type LinkTarget, loadIdentity, type NodeIdentity } from '../lib/link/index.ts';
import { openPolicedKeys, type PolicedKeys } from '../lib/mixing/index.ts';
import type { Components, Running } from '../lib/runtime/components.ts';
import type { AcceptHandler } from '../lib/session/index.ts';
import type { RequesterHub } from '../lib/session/requester/requester-hub.ts';
import { RoleHealth } from '../lib/telemetry/health.ts';
import { announcedGateways } from './announced-gateways.ts';
import type { RequesterConfig } from './config.ts';
import { Countersignatures } from './countersignatures.ts';
import { describeRequester } from './descriptor.ts';
import { GatewayPlan } from './gateway-plan.ts';
import { startHub } from './hub.ts';
import type { ExitPolicy } from './policy/exit-policy.ts';
import { requesterFaults } from './readiness.ts';

/** How often a new requester asks for a gateway's descriptor, and for the first consensus that lists itself. */
const POLL_MS = 500;
/** How long one wait for a consensus lasts before it is logged, and gateways that are not announced any more are replaced. */
const CONSENSUS_WAIT_MS = 60_000;
/** How often one looks for a second gateway meanwhile. */
const GATEWAY_POLL_MS = 1_000;
/** Old Sphinx keys are erased this soon after their time, also when nothing arrives; the gateway is looked after. */
const UPKEEP_MS = 10_000;

type Announced = Pick<ExitPolicy, 'summary' | 'observe'>;

export class RequesterMixnet implements Running {
  readonly #identity: NodeIdentity;
  /** Its policer shares what is accepted between the links, by their places. */
  readonly #policed: PolicedKeys<number>;
  readonly directory: DirectoryClient;
  readonly health: RoleHealth;
  #upkeep: Timer | undefined;
  /** A link to a gateway each, at the places of the plan. */
  readonly #endpoints: (MixEndpoint | undefined)[] = [];
  hub: RequesterHub | undefined;
  readonly #plan: GatewayPlan;
  readonly #countersignatures: Countersignatures;
  /** Those that may be announced. */
  #gateways: readonly LinkTarget[] = [];
  #stopped = false;
  /** What is to be announced has not been countersigned yet. */
  #pending = false;

  private constructor(
    private readonly config: RequesterConfig,
    private readonly components: Components,
    identity: NodeIdentity,
    private readonly network: NetworkFile,
    readonly policy: Announced,
  ) {
    this.#identity = identity;
    const terms = { ...config, ...network, epochMs: epochMsOf(network), dir: join(config.dir, 'keys') };
    this.#policed = openPolicedKeys(components, terms);
    const { policer, keys } = this.#policed;
    policer.setWeights(new Map(Array.from({ length: MAX_REQUESTER_GATEWAYS }, (_, place) => [place, 1])));
    const fixed = config.gateways.length === 0 ? {} : { fixed: config.gateways };
    this.#plan = new GatewayPlan({ self: identity.id, rng: components.rng, ...fixed });
    this.#countersignatures = new Countersignatures(components, identity, network, config);
    this.directory = new DirectoryClient({ network, components, cacheFile: join(config.dir, 'consensus.json') });
    const { clock } = components;
    const listing = { directory: this.directory, self: identity.id, keys };
    this.health = new RoleHealth(clock, 'the upkeep', () =>
      requesterFaults({ ...listing, hasLink: this.ready, wallMs: clock.wallMs() }),
    );
  }

  /** Loads identity and keys; `serve` goes on. `policy` is announced, and gets our address. Throws CONFIG or IDENTITY. */
  static async start(config: RequesterConfig, components: Components, policy: Announced): Promise<RequesterMixnet> {
    const identity = await loadIdentity(config.dir);
    const network = await loadNetworkFile(config.networkFile ?? join(config.dir, 'network.json'));
    const mixnet = new RequesterMixnet(config, components, identity, network, policy);
    mixnet.#upkeep = every(components.clock, UPKEEP_MS, () => mixnet.#maintain());
    await mixnet.directory.start();
    return mixnet;
  }

  get identity(): IdentityHex {
    return this.#identity.id;
  }

  get ready(): boolean {
    return this.#endpoints.some((endpoint) => endpoint?.linkState === 'up');
  }

  /** Finds gateways, announces them, waits for the consensus, connects. Resolves when sessions can come. */
  async serve(accept: AcceptHandler): Promise<void> {
    await this.#findGateways();
    if (this.#stopped) return;
    this.directory.announce((epochs) => this.#descriptor(epochs), this.#identity.seed, this.config.joinToken);
    await this.#waitForListing();
    if (this.#stopped) return;
    await this.#openLinks(accept);
    this.directory.onTopology(() => void this.#openLinks(accept));
  }

  /** Announces a changed exit policy; clients learn it with the next consensus. */
  announceNow(): void {
    this.directory.announceNow();
  }

  /** Takes no more streams. Resolves when those that are open have ended, `maxMs` at the latest; `stop` is to follow. */
  async drain(maxMs: number): Promise<void> {
    this.health.stop();
    await this.hub?.drain(maxMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.health.stop();
    this.#upkeep?.cancel();
    await this.hub?.stop();
    await Promise.all(this.#endpoints.map((endpoint) => endpoint?.stop()));
    await this.directory.stop();
    this.#policed.keys.close();
  }

  /** Until one has countersigned. Those that do not answer are replaced after a while. */
  async #findGateways(): Promise<void> {
    const { clock } = this.components;
    let sinceMs = clock.nowMs();
    for (; !this.#stopped; await sleep(clock, POLL_MS)) {
      await this.#lookForGateways();
      this.#plan.settle(this.directory.topology(), idsOf(this.#gateways));
      await this.#obtain();
      if (this.#countersignatures.of(this.#plan.announced).length > 0) return;
      if (clock.nowMs() - sinceMs < CONSENSUS_WAIT_MS) continue;
      sinceMs = clock.nowMs();
      const silent = this.#plan.announced;
      this.#plan.resettle(idsOf(this.#gateways).filter((id) => !silent.includes(id)));
    }
  }

  /** The gateways that are listed, or announced before there is a list. */
  async #lookForGateways(): Promise<void> {
    const wallMs = this.components.clock.wallMs();
    const topology = this.directory.topology();
    this.#gateways =
      topology?.soundGateways ?? (await announcedGateways(this.directory, wallMs, epochMsOf(this.network)));
  }

  /** Asks the gateways of the plan for their countersignatures. Whether all have given one. */
  async #obtain(): Promise<boolean> {
    const { announced } = this.#plan;
    const known = this.directory.topology()?.gateways ?? this.#gateways;
    await this.#countersignatures.obtain(announced, known);
    return this.#countersignatures.of(announced).length === announced.length;
  }

  /**
   * Announces the gateways of the plan, once they have countersigned: one that is known to serve us is not left out for one that
   * does not answer.
   */
  async #announce(): Promise<void> {
    this.#pending = !(await this.#obtain());
    if (!this.#pending && !this.#stopped) this.directory.announceNow();
  }

  #descriptor(epochs: readonly EpochNumber[]): DescriptorDraft {
    const gateways = this.#countersignatures.of(this.#plan.announced);
    if (gateways.length === 0) throw new MixError('NO_GATEWAY', 'no gateway has countersigned yet');
    const wallMs = this.components.clock.wallMs();
    const keyOf = (epoch: EpochNumber) => this.#policed.keys.publicKey(epoch, wallMs);
    return describeRequester(this.config, gateways, this.policy.summary, epochs, keyOf);
  }

  /**
   * A consensus that lists a gateway for us is enough to hold the link; proxies come when it lists us. A gateway that does not
   * announce itself any more is replaced: with it the requester would be in no consensus, and the first might need it.
   */
  async #waitForListing(): Promise<void> {
    const { clock, log } = this.components;
    let sinceMs = clock.nowMs();
    for (; !this.#stopped; await sleep(clock, POLL_MS)) {
      const topology = await this.directory.waitForTopology(GATEWAY_POLL_MS).catch(() => undefined);
      if (topology !== undefined && this.#chooseGateways(topology).some((gateway) => gateway !== undefined)) return;
      const isLong = clock.nowMs() - sinceMs >= CONSENSUS_WAIT_MS;
      if (isLong) log.warn({}, 'waiting for a consensus that lists the gateway');
      if (isLong) sinceMs = clock.nowMs();
      if (topology !== undefined) continue;
      await this.#lookForGateways();
      const before = this.#plan.announced.join();
      if (isLong) this.#plan.resettle(idsOf(this.#gateways));
      this.#plan.settle(undefined, idsOf(this.#gateways));
      if (this.#plan.announced.join() !== before || this.#pending) await this.#announce();
    }
  }

  #chooseGateways(topology: Topology): readonly (NodeEntry | undefined)[] {
    const announced = this.#plan.announced.join();
    const gateways = this.#plan.choose(topology);
    if (this.#plan.announced.join() !== announced) void this.#announce();
    return gateways;
  }

  #maintain(): void {
    this.health.worked();
    const { keys, look } = this.#policed;
    look(this.components.clock.nowMs());
    keys.advance(this.components.clock.wallMs());
    if (keys.takeRenewed()) this.directory.announceNow();
    const topology = this.directory.topology();
    if (topology === undefined || this.hub === undefined) return;
    if (this.#pending) this.#plan.giveUp((id) => this.#countersignatures.of([id]).length === 0);
    const changed = this.#endpoints.map((endpoint) => {
      const linked = endpoint?.gateway?.id;
      return linked !== undefined && this.#plan.review(topology, linked, endpoint?.linkDownMs ?? 0);
    });
    if (changed.includes(true)) this.components.log.warn({}, 'another gateway is announced, for the next consensus');
    if (changed.includes(true) || this.#pending) void this.#announce();
    else void this.#obtain(); // what is old is renewed
  }

  /** Tries until it starts; logs each reason once. */
  async #start(endpoint: MixEndpoint): Promise<void> {
    for (let lastReason = ''; !this.#stopped; await sleep(this.components.clock, POLL_MS)) {
      try {
        endpoint.start();
        return;
      } catch (error) {
        const { code, message } = asMixError(error);
        if (message !== lastReason) this.components.log.warn({ code, reason: message }, 'cannot join the network yet');
        lastReason = message;
      }
    }
  }

  /** Opens the links that the plan has a gateway for, and that are not open yet; the hub with the first. */
  async #openLinks(accept: AcceptHandler): Promise<void> {
    const topology = this.directory.topology();
    if (topology === undefined) return;
    for (const [place, gateway] of this.#chooseGateways(topology).entries()) {
      if (gateway === undefined || this.#endpoints[place] !== undefined || this.#stopped) continue;
      const endpoint = this.#makeEndpoint(place);
      this.#endpoints[place] = endpoint;
      await this.#start(endpoint);
      if (this.#stopped) return;
      if (this.hub === undefined) this.hub = startHub(this.config, this.components, endpoint, accept);
      else this.hub.attach(endpoint);
    }
  }

  #makeEndpoint(place: number): MixEndpoint {
    const components = this.components;
    const { policer, keys } = this.#policed;
    const finalHop = new FinalHop({
      components,
      policer,
      link: policer.link(place),
      keys,
      payloadBytes: this.network.payloadBytes,
      onMessage: (message) => this.hub?.receive(message, endpoint),
    });
    const endpoint: MixEndpoint = new MixEndpoint({
      components,
      identity: this.#identity,
      networkId: networkId(this.network, components.crypto),
      directory: this.directory,
      trafficClass: this.config.trafficClass,
      keyExchange: this.config.linkKeyExchange,
      usableGateways: (topology) => {
        const gateway = this.#chooseGateways(topology)[place];
        return gateway === undefined ? [] : [gateway];
      },
      onFinal: (packet) => finalHop.take(packet),
      onObservedAddress: (address) => this.policy.observe(address),
    });
    return endpoint;
  }
}

const idsOf = (gateways: readonly LinkTarget[]): IdentityHex[] => gateways.map(({ id }) => id);
