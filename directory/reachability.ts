/**
 * Which mixes and gateways an authority has reached at all addresses that they advertise: it votes for no other. These are tried
 * when they are announced, and then once or twice an epoch; a node counts until it has failed MAX_FAILURES times in a row, and another was
 * reached meanwhile.
 *
 * Members choose what is tried, so that they must not gain a weapon or an eye: one connection a try to each address, few tries of a member, few to one
 * source at a time and in a while, and only to addresses that this authority may dial. Pure but for the `attempt` that it is given.
 * @module
 */
import type { IdentityHex } from '../lib/core/bytes.ts';
import type { Clock } from '../lib/core/clock.ts';
import type { Rng } from '../lib/core/rng.ts';
import { laterMs, type MonotonicMs } from '../lib/core/units.ts';
import {
  type Consensus,
  type Descriptor,
  DocumentRefused,
  hostsOf,
  type NodeRecord,
  timing,
} from '../lib/directory/index.ts';
import { isSamePlace, type LinkTarget, linkTargetOf } from '../lib/link/index.ts';
import { TokenBucket, takeOfEach } from '../lib/mixing/index.ts';
import { sourceOf } from '../lib/net/connection-table.ts';
import type { Log } from '../lib/telemetry/log.ts';
import { SourceRates } from './source-rates.ts';

/** Tries that fail in a row before a node that was reached is not voted for. */
export const MAX_FAILURES = 3;
/** Tries at the same time, and of these to one source (an IPv4 address, an IPv6 /64). */
export const MAX_TRIES = 64;
export const MAX_TRIES_TO_SOURCE = 8;
/** Tries that the announcements of one member cause at once; then one each `timing.retryMs`. */
export const TRIES_OF_MEMBER = 6;
/** Tries that announcements cause at one source, on average and at once: members may name somebody who is none. */
export const TRIES_TO_SOURCE_PER_SECOND = 1;
export const TRIES_TO_SOURCE_BURST = 100;

/** Tries each address once: undefined when the node proved its key there and said hello, else why not, in one line. */
export type Attempt = (target: LinkTarget) => Promise<string | undefined>;

export interface ReachabilityOptions {
  readonly attempt: Attempt;
  /** Why this authority does not dial an address, in one line; undefined where it does. */
  readonly refusalOf: (host: string) => string | undefined;
  readonly epochMs: number;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly onTry?: (result: 'reached' | 'failed') => void;
}

type Listening = Extract<Descriptor | NodeRecord, { host: string }>;

/** What is known of one node where it says that it listens. */
interface Trial {
  readonly target: LinkTarget;
  /** Those of its addresses (`sourceOf`). */
  readonly sources: readonly string[];
  readonly name: string;
  readonly bucket: TokenBucket;
  isReached: boolean;
  failures: number;
  /** When the first of them was. */
  failingSinceMs: MonotonicMs;
  /** It cannot be reached, as far as is known; said once. */
  isGone: boolean;
  /** Why the last try failed; empty after one that did not. */
  problem: string;
  nextMs: MonotonicMs;
  /** While it waits or is on. */
  running: Promise<void> | undefined;
}

interface Waiting {
  readonly trial: Trial;
  readonly begin: () => void;
}

export class Reachability {
  readonly #trials = new Map<IdentityHex, Trial>();
  readonly #waiting: Waiting[] = [];
  readonly #rates = new SourceRates(TRIES_TO_SOURCE_PER_SECOND, TRIES_TO_SOURCE_BURST);
  readonly #toSource = new Map<string, number>();
  #tries = 0;
  /** When a try last reached a node. */
  #reachedMs = Number.NEGATIVE_INFINITY;
  #isCutOff = false;
  #isStopped = false;

  constructor(readonly options: ReachabilityOptions) {}

  /** Nodes that `last` lists count as reached where it has them: a restart forgets nobody. They are tried soon. */
  trust(last: Consensus): void {
    for (const node of last.nodes) {
      if (!('host' in node)) continue;
      const trial = this.#trialOf(node);
      trial.isReached = true;
      trial.nextMs = laterMs(this.#nowMs, this.options.rng.uniform() * (this.options.epochMs / 4));
    }
  }

  /** Whether a node that is held may be voted for. */
  counts(descriptor: Descriptor): boolean {
    if (!('host' in descriptor)) return true;
    const trial = this.#trials.get(descriptor.identity);
    if (trial === undefined || !isSamePlace(trial.target, descriptor) || !trial.isReached) return false;
    return this.#isCutOff || !trial.isGone;
  }

  /** Why a node is not voted for; undefined where it is, or has not been tried. */
  problemOf(descriptor: Descriptor): string | undefined {
    return this.counts(descriptor) ? undefined : this.#trials.get(descriptor.identity)?.problem || undefined;
  }

  /**
   * For an announcement that was taken: resolves when the node counts, rejects with DocumentRefused when it does not, after
   * one more try where it has some left. `waitMs`: how long to wait for that.
   */
  async confirm(descriptor: Descriptor, waitMs: number): Promise<void> {
    if (!('host' in descriptor) || this.counts(descriptor)) return;
    const refusal = this.#refusalOf(descriptor);
    if (refusal !== undefined) throw new DocumentRefused('unreachable', refusal);
    const trial = this.#trialOf(descriptor);
    if (trial.running === undefined && this.mayTry(trial)) this.#try(trial);
    await this.#within(trial.running, waitMs);
    if (this.counts(descriptor)) return;
    if (trial.problem !== '') throw new DocumentRefused('unreachable', trial.problem);
    throw new DocumentRefused('untried', 'this authority has not tried to reach the node yet: many wait for that');
  }

  /** Begins what is due, and forgets those that are not among `held`. */
  tick(held: ReadonlyMap<IdentityHex, { readonly descriptor: Descriptor }>): void {
    const nowMs = this.#nowMs;
    for (const identity of this.#trials.keys()) if (!held.has(identity)) this.#trials.delete(identity);
    for (const { descriptor } of held.values()) {
      if (!('host' in descriptor) || this.#refusalOf(descriptor) !== undefined) continue;
      const known = this.#trials.get(descriptor.identity);
      const trial = this.#trialOf(descriptor);
      const isDue = trial.isReached || trial !== known; // one that was never reached asks by announcing itself
      if (isDue && trial.running === undefined && nowMs >= trial.nextMs) this.#try(trial);
    }
    this.#compare();
  }

  /** Begins nothing any more. */
  stop(): void {
    this.#isStopped = true;
    this.#waiting.length = 0;
  }

  get #nowMs(): MonotonicMs {
    return this.options.clock.nowMs();
  }

  /** Why this authority does not dial it: because of any of its addresses. */
  #refusalOf(node: Listening): string | undefined {
    return hostsOf(node)
      .map((host) => this.options.refusalOf(host))
      .find((refusal) => refusal !== undefined);
  }

  /** That of the node at these addresses: at others nothing is known, but the tries that it has left stay. */
  #trialOf(node: Listening): Trial {
    const { identity: id, name } = node;
    const known = this.#trials.get(id);
    if (known !== undefined && isSamePlace(known.target, node)) return known;
    const nowMs = this.#nowMs;
    const perSecond = 1000 / timing.retryMs(this.options.epochMs);
    const bucket = known?.bucket ?? new TokenBucket(perSecond, TRIES_OF_MEMBER, nowMs);
    const fresh = { isReached: false, failures: 0, failingSinceMs: nowMs, isGone: false, problem: '', nextMs: nowMs };
    const trial: Trial = {
      target: linkTargetOf({ ...node, id }),
      sources: hostsOf(node).map(sourceOf),
      name,
      bucket,
      running: undefined,
      ...fresh,
    };
    this.#trials.set(id, trial);
    return trial;
  }

  /** Whether an announcement may cause one more try. */
  protected mayTry({ bucket, target }: Trial): boolean {
    const nowMs = this.#nowMs;
    return takeOfEach([bucket, ...hostsOf(target).map((host) => this.#rates.of(host, nowMs))], nowMs);
  }

  #try(trial: Trial): void {
    const begun = new Promise<void>((begin) => this.#waiting.push({ trial, begin }));
    trial.running = begun.then(() => this.#run(trial));
    this.#beginNext();
  }

  /** Those with the fewest failures come first: addresses where nobody answers must not keep others waiting. */
  #beginNext(): void {
    while (this.#tries < MAX_TRIES && !this.#isStopped) {
      let next: Waiting | undefined;
      for (const one of this.#waiting) {
        if (this.#running(one.trial) >= MAX_TRIES_TO_SOURCE) continue;
        if (next === undefined || one.trial.failures < next.trial.failures) next = one;
      }
      if (next === undefined) return;
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      this.#count(next.trial, 1);
      next.begin();
    }
  }

  async #run(trial: Trial): Promise<void> {
    const { attempt, rng, epochMs, onTry } = this.options;
    const isCurrent = this.#trials.get(trial.target.id) === trial; // it may have moved while it waited
    const problem = isCurrent ? await attempt(trial.target) : 'moved';
    this.#count(trial, -1);
    trial.running = undefined;
    this.#beginNext();
    if (this.#isStopped || !isCurrent) return;
    onTry?.(problem === undefined ? 'reached' : 'failed');
    const waitMs = problem === undefined ? epochMs * (0.5 + rng.uniform() / 2) : timing.retryMs(epochMs);
    trial.nextMs = laterMs(this.#nowMs, waitMs);
    this.#note(trial, problem ?? '');
  }

  /** Says once when a node ceases to count, or does again. */
  #note(trial: Trial, problem: string): void {
    const { log } = this.options;
    const said = { name: trial.name, identity: trial.target.id };
    const nowMs = this.#nowMs;
    trial.problem = problem;
    if (problem === '') {
      if (trial.isGone) log.info(said, 'the node can be reached again');
      Object.assign(trial, { isReached: true, failures: 0, isGone: false });
      this.#reachedMs = nowMs;
      return;
    }
    if (trial.failures === 0) trial.failingSinceMs = nowMs;
    trial.failures += 1;
    if (trial.isReached && trial.failures === MAX_FAILURES - 1) this.#tryAnother(nowMs);
    // While no other node is reached either it may be the connection of this authority, and nodes that are not due are not tried.
    const hasFailed = trial.failures >= MAX_FAILURES && this.#reachedMs > trial.failingSinceMs;
    if (trial.isGone || (trial.isReached && !hasFailed)) return;
    trial.isGone = true;
    log.warn({ ...said, problem }, 'a node cannot be reached: this authority does not list it');
  }

  /** Of those that do not fail one is due at once. */
  #tryAnother(nowMs: MonotonicMs): void {
    const others = [...this.#trials.values()].filter(({ isReached, failures }) => isReached && failures === 0);
    const other = others[this.options.rng.int(Math.max(1, others.length))];
    if (other !== undefined) other.nextMs = nowMs;
  }

  /** Where most of the nodes that had been reached fail at the same time, it is this authority's own connection. */
  #compare(): void {
    const reached = [...this.#trials.values()].filter(({ isReached }) => isReached);
    const failing = reached.filter(({ failures }) => failures >= MAX_FAILURES).length;
    const isCutOff = 2 * failing > reached.length;
    if (isCutOff && !this.#isCutOff) {
      const line = 'most nodes cannot be reached from this authority: check its connection; they stay listed meanwhile';
      this.options.log.error({ failing, of: reached.length }, line);
    }
    this.#isCutOff = isCutOff;
  }

  /** Tries to one of its sources: of the one with the most. */
  #running({ sources }: Trial): number {
    return Math.max(...sources.map((source) => this.#toSource.get(source) ?? 0));
  }

  #count(trial: Trial, change: 1 | -1): void {
    this.#tries += change;
    for (const source of trial.sources) {
      const count = (this.#toSource.get(source) ?? 0) + change;
      if (count === 0) this.#toSource.delete(source);
      else this.#toSource.set(source, count);
    }
  }

  #within(done: Promise<void> | undefined, waitMs: number): Promise<void> {
    if (done === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.options.clock.after(waitMs, resolve);
      void done.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}
