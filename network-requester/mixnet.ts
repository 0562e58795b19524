/**
 * The requester's way into the mixnet: it announces itself with its Sphinx keys and its gateway, keeps a link to that
 * gateway, unwraps what is sent to it and hands it to the sessions.
 * @module
 */
import { join } from 'node:path';
import type { IdentityHex } from '../lib/bytes.ts';
import { FinalHop, MixEndpoint } from '../lib/client/index.ts';
import { every, sleep, type Timer } from '../lib/clock.ts';
import type { Components, Running } from '../lib/components.ts';
import {
  type DescriptorDraft,
  DirectoryClient,
  epochMsOf,
  loadNetworkFile,
  type NetworkFile,
  type NodeEntry,
  networkId,
  type Topology,
} from '../lib/directory/index.ts';
import { asMixError, MixError } from '../lib/errors.ts';
import { loadIdentity, type NodeIdentity } from '../lib/link/index.ts';
import { bootId, PacketPipeline, SphinxKeyRing } from '../lib/mixing/index.ts';
import { epochAt, packetBytes } from '../lib/params.ts';
import type { AcceptHandler } from '../lib/session/index.ts';
import { RequesterHub } from '../lib/session/requester-hub.ts';
import { SessionMeter } from '../lib/session/session-meter.ts';
import { Sphinx } from '../lib/sphinx/index.ts';
import type { RequesterConfig } from './config.ts';
import { GatewayPlan } from './gateway-plan.ts';

/** How often a new requester asks for a gateway's descriptor, and for the first consensus that lists itself. */
const POLL_MS = 500;
/** How long one wait for a consensus lasts before it is logged and repeated. */
const CONSENSUS_WAIT_MS = 60_000;
/** Old Sphinx keys are erased this soon after their time, also when nothing arrives; the gateway is looked after. */
const UPKEEP_MS = 10_000;

export class RequesterMixnet implements Running {
  readonly #config: RequesterConfig;
  readonly #components: Components;
  readonly #identity: NodeIdentity;
  readonly #network: NetworkFile;
  readonly #keys: SphinxKeyRing;
  readonly directory: DirectoryClient;
  readonly #upkeep: Timer;
  endpoint: MixEndpoint | undefined;
  hub: RequesterHub | undefined;
  readonly #plan: GatewayPlan;
  #stopped = false;

  private constructor(
    config: RequesterConfig,
    components: Components,
    identity: NodeIdentity,
    network: NetworkFile,
    readonly exitPolicy: () => string,
  ) {
    const { crypto, rng, log, clock } = components;
    this.#config = config;
    this.#components = components;
    this.#identity = identity;
    this.#network = network;
    this.#keys = SphinxKeyRing.open(
      { dir: join(config.dir, 'keys'), crypto, rng, log, epochMs: epochMsOf(network), bootId: bootId() },
      clock.wallMs(),
    );
    const fixed = config.gateway === undefined ? {} : { fixed: config.gateway as IdentityHex };
    this.#plan = new GatewayPlan({ self: identity.id, rng, ...fixed });
    this.#upkeep = every(clock, UPKEEP_MS, () => this.#look());
    this.directory = new DirectoryClient({ network, components, cacheFile: join(config.dir, 'consensus.json') });
  }

  /**
   * Loads identity and keys; `serve` goes on from there. `exitPolicy` gives the summary to announce. Throws MixError
   * CONFIG or IDENTITY.
   */
  static async start(
    config: RequesterConfig,
    components: Components,
    exitPolicy: () => string,
  ): Promise<RequesterMixnet> {
    const identity = await loadIdentity(config.dir);
    const network = await loadNetworkFile(config.networkFile ?? join(config.dir, 'network.json'));
    const mixnet = new RequesterMixnet(config, components, identity, network, exitPolicy);
    await mixnet.directory.start();
    return mixnet;
  }

  get identity(): IdentityHex {
    return this.#identity.id;
  }

  get ready(): boolean {
    return this.endpoint?.linkState === 'up';
  }

  /** Finds a gateway, announces it, waits for the consensus, connects. Resolves when sessions can come. */
  async serve(accept: AcceptHandler): Promise<void> {
    await this.#findGateway();
    if (this.#stopped) return;
    this.directory.announce((epochs) => this.#descriptor(epochs), this.#identity.seed, this.#config.joinToken);
    await this.#waitForListing();
    if (!this.#stopped) await this.#connect(accept);
  }

  /** The exit policy has changed: the directory hears of it, and clients with the next consensus. */
  announceNow(): void {
    this.directory.announceNow();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#upkeep.cancel();
    await this.hub?.stop();
    await this.endpoint?.stop();
    await this.directory.stop();
    this.#keys.close();
  }

  async #findGateway(): Promise<void> {
    for (;;) {
      const topology = this.directory.topology();
      const usable = topology?.soundGateways.map((node) => node.id) ?? (await this.#announcedGateways());
      if (this.#plan.settle(topology, usable) !== undefined || this.#stopped) return;
      await sleep(this.#components.clock, POLL_MS);
    }
  }

  /**
   * Before the first consensus: the gateways that it may list. An authority holds descriptors until their last key has
   * expired, but one that is not renewed for this epoch is most likely of a gateway that is gone.
   */
  async #announcedGateways(): Promise<IdentityHex[]> {
    const descriptors = await this.directory.fetchDescriptors('gateway').catch(() => []);
    const epoch = epochAt(this.#components.clock.wallMs(), epochMsOf(this.#network));
    const renewed = descriptors.filter(({ sphinxKeys }) =>
      [epoch, epoch + 1].every((wanted) => sphinxKeys.some((key) => key.epoch === wanted)),
    );
    return renewed.filter((node) => node.role === 'gateway').map((node) => node.identity);
  }

  #descriptor(epochs: readonly number[]): DescriptorDraft {
    const { name, family, accessToken } = this.#config;
    const wallMs = this.#components.clock.wallMs();
    return {
      role: 'requester',
      name,
      gateway: this.#plan.announced as IdentityHex,
      exitPolicy: this.exitPolicy(),
      sphinxKeys: epochs.flatMap((epoch) => {
        const key = this.#keys.publicKey(epoch, wallMs);
        return key === undefined ? [] : [{ epoch, key: Buffer.from(key).toString('hex') }];
      }),
      ...(family === undefined ? {} : { family }),
      ...(accessToken === undefined ? {} : { accessTokenRequired: true }),
    };
  }

  /**
   * A consensus that lists a gateway for us is enough to hold the link; proxies come when it lists us. A gateway that is
   * not heard of any more is given up: with it the requester would be in no consensus, and the first might need it.
   */
  async #waitForListing(): Promise<void> {
    for (;;) {
      const topology = await this.directory.waitForTopology(CONSENSUS_WAIT_MS).catch(() => undefined);
      if (this.#stopped || (topology !== undefined && this.#chooseGateway(topology) !== undefined)) return;
      this.#components.log.warn({}, 'waiting for a consensus that lists the gateway');
      if (topology === undefined && this.#plan.resettle(await this.#announcedGateways())) this.directory.announceNow();
      await sleep(this.#components.clock, POLL_MS);
    }
  }

  #chooseGateway(topology: Topology): NodeEntry | undefined {
    const announced = this.#plan.announced;
    const gateway = this.#plan.choose(topology);
    if (this.#plan.announced !== announced) this.directory.announceNow();
    return gateway;
  }

  #look(): void {
    this.#keys.advance(this.#components.clock.wallMs());
    if (this.#keys.takeRenewed()) this.directory.announceNow();
    const topology = this.directory.topology();
    const linked = this.endpoint?.gateway?.id;
    if (topology === undefined || linked === undefined) return;
    if (!this.#plan.review(topology, linked, this.endpoint?.linkDownMs ?? 0)) return;
    this.#components.log.warn({}, 'another gateway is announced, for the next consensus');
    this.directory.announceNow();
  }

  /** Tries until it starts; says why not once for each reason. */
  async #start(endpoint: MixEndpoint): Promise<void> {
    for (let said = ''; !this.#stopped; await sleep(this.#components.clock, POLL_MS)) {
      try {
        endpoint.start();
        return;
      } catch (error) {
        const { code, message } = asMixError(error);
        if (message !== said) this.#components.log.warn({ code, reason: message }, 'cannot join the network yet');
        said = message;
      }
    }
  }

  async #connect(accept: AcceptHandler): Promise<void> {
    const components = this.#components;
    const { accessToken, trafficClass } = this.#config;
    const { params } = this.directory.topology() ?? fail();
    const sphinx = new Sphinx(components.crypto, components.rng);
    const pipeline = new PacketPipeline({ sphinx, keys: this.#keys, packetBytes: packetBytes(params.payloadBytes) });
    const finalHop = new FinalHop({
      components,
      pipeline,
      keys: this.#keys,
      onMessage: (message) => this.hub?.receive(message),
    });
    const endpoint = new MixEndpoint({
      components,
      identity: this.#identity,
      networkId: networkId(this.#network, components.crypto),
      directory: this.directory,
      trafficClass,
      chooseGateway: (topology) => this.#chooseGateway(topology),
      onFinal: (packet) => finalHop.take(packet),
    });
    await this.#start(endpoint);
    if (this.#stopped) return;
    this.directory.onTopology((topology) => {
      const gateway = this.#chooseGateway(topology);
      if (gateway !== undefined) endpoint.moveTo(gateway);
    });
    this.endpoint = endpoint;
    this.hub = new RequesterHub({
      meter: new SessionMeter(components.metrics),
      components,
      endpoint,
      accept,
      ...(accessToken === undefined ? {} : { accessToken: Buffer.from(accessToken) }),
    });
  }
}

function fail(): never {
  throw new MixError('NO_CONSENSUS', 'there is no valid consensus');
}
