/**
 * A member's view of the directory: keeps a verified consensus at hand, and the member's own descriptor announced.
 * The shell around ConsensusStore, PollPlan, Fetcher and Announcer: it sleeps, sends, logs and counts.
 * @module
 */
import { Agent } from 'undici';
import type { Timer } from '../clock.ts';
import type { Components, Running } from '../components.ts';
import { asMixError, MixError, systemCode } from '../errors.ts';
import { Announcer, type MakeDescriptor } from './announcer.ts';
import { CacheFile } from './cache-file.ts';
import { ConsensusStore, type Evidence } from './consensus-store.ts';
import type { Descriptor, NodeRole } from './documents.ts';
import { Fetcher, type Outcome } from './fetcher.ts';
import { epochMsOf, type NetworkFile } from './network-file.ts';
import { PollPlan } from './poll-plan.ts';
import type { Topology } from './topology.ts';
import type { HttpReply, HttpRequest, Transport } from './transport.ts';
import { Verifier } from './verify.ts';

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
/** Connecting takes no longer than this; the whole exchange is bounded by the epoch (timing.ts). */
const CONNECT_TIMEOUT_MS = 5_000;
/** Different problems logged between two consensuses; an authority chooses part of the text. */
const MAX_COMPLAINTS = 64;

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
  #announcer: Announcer | undefined;
  #published: Topology | undefined;
  /** Problems reported since a consensus was last had. */
  readonly #complaints = new Set<string>();
  #reported = 0;
  #running: Promise<void> | undefined;

  constructor(options: DirectoryClientOptions) {
    const { network, components, cacheFile } = options;
    this.#components = { ...components, log: components.log.child({ part: 'directory' }) };
    this.#verifier = new Verifier(network, components.crypto);
    this.#store = new ConsensusStore(this.#verifier);
    this.#plan = new PollPlan(epochMsOf(network), components.rng, network.authorities.length > 1);
    this.#transport = options.transport ?? httpTransport();
    this.#cache = cacheFile === undefined ? undefined : new CacheFile(cacheFile, this.#verifier.networkIdHex);
    this.#fetcher = new Fetcher({
      store: this.#store,
      transport: this.#transport,
      components: this.#components,
      stopped: this.#stop.signal,
      onOutcome: (outcome, problem) => this.#note(outcome, problem),
    });
    const exchanges = components.metrics.counter('directory_exchanges_total', 'Exchanges with authorities', ['result']);
    this.#count = (result) => exchanges.inc({ result });
    components.metrics.gaugeOf('consensus_epoch', 'Epoch of the consensus in use, -1 without', () => {
      return this.topology()?.epoch ?? -1;
    });
  }

  /** The id of the network, hex. */
  get networkIdHex(): string {
    return this.#verifier.networkIdHex;
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

  /** Keeps a node announced: now until accepted, before each turn, and when told `announceNow`. */
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
      const errand = this.#plan.next(clock.wallMs(), (epoch) => this.#store.has(epoch));
      const waitMs = errand.atMs - clock.wallMs();
      if (waitMs > 0) await this.#sleep(Math.min(Math.ceil(waitMs), MAX_SLEEP_MS));
      else this.#plan.done(errand, await this.#fetcher.consensus(errand.epoch), clock.wallMs());
      this.#publish();
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const wake = () => {
        timer?.cancel();
        this.#stop.signal.removeEventListener('abort', wake);
        resolve();
      };
      timer = this.#components.clock.after(ms, wake);
      this.#stop.signal.addEventListener('abort', wake);
    });
  }

  /** Tells everyone when another topology has come into force. */
  #publish(): void {
    if (this.#stop.signal.aborted) return;
    const { log } = this.#components;
    this.#reportEvidence();
    const topology = this.topology();
    if (topology === this.#published) return;
    this.#published = topology;
    if (topology === undefined) {
      log.error({ problem: this.#fetcher.problem }, 'the last consensus has expired');
      return;
    }
    log.info({ epoch: topology.epoch, nodes: topology.nodes.length }, 'consensus in force');
    for (const settle of [...this.#waiters]) settle(topology);
    for (const notify of [...this.#listeners]) this.#notify(notify, topology);
  }

  /** Counts, and says each problem once, not with every attempt. */
  #note(outcome: Outcome, problem: string): void {
    this.#count(outcome);
    if (outcome === 'new') {
      this.#complaints.clear();
      this.#saveCache();
    }
    if (problem === '' || this.#complaints.has(problem) || this.#complaints.size >= MAX_COMPLAINTS) return;
    this.#complaints.add(problem);
    const { log } = this.#components;
    if (outcome === 'absent') log.debug({ problem }, 'no consensus yet');
    else log.warn({ problem }, 'no consensus from an authority; trying on');
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

  #reportEvidence(): void {
    const { log } = this.#components;
    for (const evidence of this.#store.evidence.slice(this.#reported)) {
      const file = this.#cache?.evidencePath(evidence.epoch);
      log.error({ epoch: evidence.epoch, file }, 'authorities signed two consensuses for one epoch');
      this.#cache?.keepEvidence(evidence).catch((error) => {
        log.warn({ problem: asMixError(error).message }, 'the evidence can not be kept');
      });
    }
    this.#reported = this.#store.evidence.length;
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

/** HTTP through undici: few connections, no redirects, answers bounded while they are read. */
export function httpTransport(): Transport {
  const agent = new Agent({
    connections: 2,
    pipelining: 1,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    maxHeaderSize: 16 * 1024,
  });
  return {
    send: (request, signal) => exchange(agent, request, signal),
    close: () => agent.destroy(),
  };
}

async function exchange(
  agent: Agent,
  { url, maxBytes, ...rest }: HttpRequest,
  signal: AbortSignal,
): Promise<HttpReply> {
  const { origin, pathname, search } = new URL(url);
  try {
    const { method, headers = {}, body = null } = rest;
    const reply = await agent.request({ origin, path: pathname + search, method, headers, body, signal });
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of reply.body) {
      bytes += part.length;
      if (bytes > maxBytes) throw new MixError('LIMIT', `${url} sends more than ${maxBytes} bytes`);
      parts.push(part);
    }
    return { status: reply.statusCode, text: Buffer.concat(parts).toString('utf8') };
  } catch (error) {
    if (error instanceof MixError) throw error;
    if (signal.aborted && signal.reason instanceof MixError) throw signal.reason;
    throw new MixError('HOST_UNREACHABLE', `${origin} can not be reached (${systemCode(error) ?? 'unknown'})`, error);
  }
}
