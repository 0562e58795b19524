/**
 * The sources (`sourceOf`) of a few hosts, addresses or names. Names are resolved at the start and every few minutes, one after another:
 * each look-up takes a thread of those that file operations need, for as long as name servers do not answer. While they fail the last
 * answer counts.
 * @module
 */
import { isIP } from 'node:net';
import { type Clock, every, type Timer } from '../core/clock.ts';
import { sourceOf } from './connection-table.ts';
import { type Resolve, systemResolve } from './resolve-name.ts';

/** How often names are resolved. */
export const HOST_RESOLVE_PERIOD_MS = 300_000;
/** Addresses of a name that count: who answers for one must not make friends of the whole internet. */
export const MAX_ADDRESSES_OF_HOST = 8;

export class HostSources {
  readonly #names: readonly string[];
  readonly #literal: ReadonlySet<string>;
  readonly #ofName = new Map<string, readonly string[]>();
  #timer: Timer | undefined;
  #isLooking = false;
  #isStopped = false;

  constructor(
    hosts: readonly string[],
    readonly clock: Clock,
    readonly resolve: Resolve = systemResolve,
  ) {
    this.#names = [...new Set(hosts.filter((host) => isIP(host) === 0))];
    this.#literal = new Set(hosts.filter((host) => isIP(host) !== 0).map(sourceOf));
  }

  /** Whether a source is that of one of the hosts, as far as is known by now. */
  has(source: string): boolean {
    return this.#literal.has(source) || [...this.#ofName.values()].some((sources) => sources.includes(source));
  }

  /** Begins to resolve; waits for nothing. */
  start(): void {
    if (this.#names.length === 0) return;
    this.#timer = every(this.clock, HOST_RESOLVE_PERIOD_MS, () => void this.#look());
    void this.#look();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    for (const name of this.#names) {
      if (this.#isStopped) return;
      const found = await this.resolve(name).catch(() => undefined);
      const addresses = found?.filter((address) => isIP(address) !== 0).slice(0, MAX_ADDRESSES_OF_HOST);
      if (addresses !== undefined && addresses.length > 0) this.#ofName.set(name, addresses.map(sourceOf));
    }
    this.#isLooking = false;
  }
}
