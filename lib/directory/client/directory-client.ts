/**
 * A member's view of the directory: keeps a verified consensus at hand, and the member's own descriptor announced.
 * The shell around ConsensusStore, PollPlan, Fetcher and Announcer: it sleeps, sends, logs and counts.
 * @module
 */
import { sleep } from '../../core/clock.ts';
import { asMixError, MixError } from '../../core/errors.ts';
import type { Components, Running } from '../../runtime/components.ts';
import type { ConsensusText } from '../consensus-pieces.ts';
import type { Descriptor, NodeRole } from '../documents.ts';
import { epochMsOf, type NetworkFile } from '../network-file.ts';
import type { Topology } from '../topology.ts';
import { Verifier } from '../verify.ts';
import { Announcer, type MakeDescriptor } from './announcer.ts';
import { CacheFile } from './cache-file.ts';
import { ConsensusStore, type Evidence } from './consensus-store.ts';
import { DirectoryReports } from './directory-reports.ts';
import { DirectorySources, type SourcesStatus } from './directory-sources.ts';
import { type Exchange, Fetcher } from './fetcher.ts';
import type { GatewaySource } from './gateway-source.ts';
import { httpTransport } from './http-transport.ts';
import { PollPlan } from './poll-plan.ts';
import type { Transport } from './transport.ts';

export interface DirectoryClientOptions {
  readonly network: NetworkFile;
  readonly components: Components;
  /** Where the last good consensus is kept across restarts. */
  readonly cacheFile?: string;
  /** HTTP; undici by default. */
  readonly transport?: Transport;
}

/** Longest sleep in one go: after a suspend the wall clock has moved, the timers have not. */
const MAX_SLEEP_MS = 60_000;
export class DirectoryClient implements Running {
  readonly #components: Components;
  readonly #verifier: Verifier;
  readonly #store: ConsensusStore;
  readonly #plan: PollPlan;
  readonly #transport: Transport;
  readonly #fetcher: Fetcher;
  readonly #cache: CacheFile | undefined;
  readonly #stop = new AbortController();
  readonly #listeners = new Set<(topology: Topology) => void>();
  readonly #waiters = new Set<(topology: Topology | undefined) => void>();
  readonly #count: (outcome: string) => void;
  readonly #sources: DirectorySources;
  readonly #reports: DirectoryReports;
  #onUsable: ((documents: readonly ConsensusText[]) => void) | undefined;
  #usable = '';
  #announcer: Announcer | undefined;
  #published: Topology | undefined;
  #running: Promise<void> | undefined;

  constructor(options: DirectoryClientOptions) {
    const { network, components, cacheFile } = options;
    this.#components = { ...components, log: components.log.child({ part: 'directory' }) };
    this.#verifier = new Verifier(network, components.crypto);
    this.#store = new ConsensusStore(this.#verifier);
    this.#plan = new PollPlan(epochMsOf(network), components.rng, network.authorities.length > 1);
    this.#transport = options.transport ?? httpTransport(components.outboundAddress);
    this.#cache = cacheFile === undefined ? undefined : new CacheFile(cacheFile, this.#verifier.networkIdHex);
    this.#sources = new DirectorySources(this.#store, this.#components, (isNew) => this.#onHanded(isNew));
    this.#reports = new DirectoryReports(this.#components.log, this.#sources, this.#cache);
    this.#fetcher = new Fetcher({
      store: this.#store,
      transport: this.#transport,
      components: this.#components,
      stopped: this.#stop.signal,
      onExchange: (exchange) => this.#note(exchange),
    });
    const exchanges = components.metrics.counter('directory_exchanges_total', 'Exchanges with authorities', ['result']);
    this.#count = (result) => exchanges.inc({ result });
    components.metrics.gaugeOf('consensus_epoch', 'Epoch of the consensus in use, -1 without', () => {
      return this.topology()?.epoch ?? -1;
    });
  }

  /** Loads the cache and begins to poll. Resolves without waiting for the network. */
  async start(): Promise<void> {
    if (this.#running !== undefined) return;
    await this.#loadCache();
    this.#publish();
    this.#running = this.#run();
  }

  /** The consensus in force; undefined before the first and after the last has expired. */
  topology(): Topology | undefined {
    return this.#store.inForce(this.#components.clock.wallMs());
  }

  /** One line about a clock of this machine that is wrong by what the authorities say; undefined when it is not. */
  get clockFault(): string | undefined {
    return this.#fetcher.clock.fault;
  }

  /** Calls `notify` for each topology that comes into force from now on. Returns how to unsubscribe. */
  onTopology(notify: (topology: Topology) => void): () => void {
    this.#listeners.add(notify);
    return () => this.#listeners.delete(notify);
  }

  /** The topology in force, once there is one; rejects with NO_CONSENSUS. */
  waitForTopology(timeoutMs: number): Promise<Topology> {
    const topology = this.topology();
    if (topology !== undefined) return Promise.resolve(topology);
    if (this.#stop.signal.aborted)
      return Promise.reject(new MixError('NO_CONSENSUS', 'the directory client has stopped'));
    return new Promise((resolve, reject) => {
      const settle = (found: Topology | undefined) => {
        timer.cancel();
        this.#waiters.delete(settle);
        if (found !== undefined) resolve(found);
        else reject(new MixError('NO_CONSENSUS', `no consensus of this network yet: ${this.#fetcher.problem}`));
      };
      const timer = this.#components.clock.after(timeoutMs, () => settle(undefined));
      this.#waiters.add(settle);
    });
  }

  /** Pairs of consensuses of one epoch that authorities have signed against the rule. */
  get evidence(): readonly Evidence[] {
    return this.#store.evidence;
  }

  /** Where the consensus comes from, and who is behind. */
  get sources(): SourcesStatus {
    return this.#sources.status;
  }

  /** For a link to a gateway, which hands on the consensus. */
  gatewaySource(): GatewaySource {
    return this.#sources.gatewaySource();
  }

  /** The consensuses that others can use, whenever they change: the one in force, and the next. One handler. */
  onUsable(notify: (documents: readonly ConsensusText[]) => void): void {
    this.#onUsable = notify;
    this.#publishUsable();
  }

  /** Keeps a node announced: now until accepted, before each turn of the epoch, and after `announceNow`. */
  announce(makeDescriptor: MakeDescriptor, identitySeed: Uint8Array, joinToken?: string): void {
    if (this.#stop.signal.aborted) return;
    if (this.#announcer !== undefined) throw new MixError('INTERNAL', 'a member announces one node');
    this.#announcer = new Announcer({
      verifier: this.#verifier,
      transport: this.#transport,
      components: this.#components,
      makeDescriptor,
      identitySeed,
      joinToken,
      settled: () => this.topology() !== undefined,
      onOutcome: (outcome) => this.#count(`announcement-${outcome}`),
    });
    this.#announcer.now();
  }

  /** Announces again at once: keys or address have changed. */
  announceNow(): void {
    this.#announcer?.now();
  }

  /** Whether every authority has taken the latest announcement. */
  get announced(): boolean {
    return this.#announcer?.accepted ?? false;
  }

  /** Why an authority has not taken it, in one line; undefined where all have, or none has answered. */
  get announcementProblem(): string | undefined {
    return this.#announcer?.problem;
  }

  /**
   * The verified descriptors an authority holds; for a requester that picks its gateway before the first consensus.
   * Rejects with NO_CONSENSUS when no authority answers.
   */
  fetchDescriptors(role?: NodeRole): Promise<Descriptor[]> {
    return this.#fetcher.descriptors(role);
  }

  async stop(): Promise<void> {
    this.#stop.abort(new MixError('TIMEOUT', 'stopped'));
    for (const settle of [...this.#waiters]) settle(undefined);
    this.#listeners.clear();
    await this.#announcer?.stop();
    await this.#running;
    await this.#cache?.settle();
    await this.#transport.close();
  }

  async #run(): Promise<void> {
    const { clock } = this.#components;
    while (!this.#stop.signal.aborted) {
      const action = this.#plan.next(clock.wallMs(), (epoch) => this.#store.isConfirmed(epoch));
      const waitMs = action.atMs - clock.wallMs();
      if (waitMs > 0) await sleep(clock, Math.min(Math.ceil(waitMs), MAX_SLEEP_MS), this.#stop.signal);
      else this.#plan.done(action, await this.#fetcher.consensus(action.epoch), clock.wallMs());
      this.#publish();
    }
  }

  /** Notifies the listeners when another topology has come into force. */
  #publish(): void {
    if (this.#stop.signal.aborted) return;
    const { log } = this.#components;
    this.#reports.evidence(this.#store.evidence);
    this.#reports.lagging(this.sources.lagging);
    this.#publishUsable();
    const topology = this.topology();
    if (topology === this.#published) return;
    this.#published = topology;
    if (topology === undefined) {
      log.error({ problem: this.#fetcher.problem }, 'the last consensus has expired');
      return;
    }
    const from = this.#store.originOf(topology.epoch);
    log.info({ epoch: topology.epoch, nodes: topology.nodes.length, from }, 'consensus in force');
    for (const settle of [...this.#waiters]) settle(topology);
    for (const notify of [...this.#listeners]) this.#notify(notify, topology);
  }

  #publishUsable(): void {
    if (this.#onUsable === undefined) return;
    const documents = this.#store.usable(this.#components.clock.wallMs());
    const epochs = documents.map(({ epoch }) => epoch).join();
    if (epochs === this.#usable) return;
    this.#usable = epochs;
    this.#onUsable(documents);
  }

  #onHanded(isNew: boolean): void {
    if (isNew) this.#saveCache();
    this.#publish();
  }

  #note(exchange: Exchange): void {
    this.#count(exchange.outcome);
    this.#sources.onExchange(exchange);
    if (exchange.outcome === 'new') this.#saveCache();
    this.#reports.clock(this.clockFault);
    this.#reports.exchange(exchange);
  }

  /** A listener that throws must not end the polling. */
  #notify(notify: (topology: Topology) => void, topology: Topology): void {
    try {
      notify(topology);
    } catch (error) {
      this.#components.log.error({ problem: asMixError(error).message }, 'a listener failed on the new consensus');
    }
  }

  #saveCache(): void {
    const { log, clock } = this.#components;
    this.#cache?.save(this.#store.texts(clock.wallMs())).catch((error) => {
      log.warn({ problem: asMixError(error).message }, 'the consensus can not be cached');
    });
  }

  async #loadCache(): Promise<void> {
    const { log, clock } = this.#components;
    try {
      for (const text of (await this.#cache?.load()) ?? []) {
        try {
          this.#store.offer(text, clock.wallMs(), 'cache');
        } catch (error) {
          log.debug({ problem: asMixError(error).message }, 'cached consensus not used');
        }
      }
    } catch (error) {
      log.warn({ problem: asMixError(error).message }, 'starting without the cache');
    }
  }
}
