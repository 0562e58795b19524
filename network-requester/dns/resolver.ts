/**
 * Names to addresses and back: `localhost`, the hosts file, what is remembered, then DNS. Who asks for a name that is
 * being asked for already waits for the same answer.
 *
 * A name that does not exist is NOT_FOUND. A resolver that does not answer or answers with a failure says nothing
 * about the name, so that is HOST_UNREACHABLE; a SOCKS client gets reply 4 for either.
 * @module
 */
import { Resolver as DnsResolver } from 'node:dns/promises';
import type { Clock } from '../../lib/core/clock.ts';
import { MixError } from '../../lib/core/errors.ts';
import { DEFAULT_RESOLVER_LIMITS, type ResolverLimits } from '../config.ts';
import { DnsCache } from './dns-cache.ts';
import { askForAddresses, askForNames, type DnsAnswer, type DnsQueries } from './dns-queries.ts';
import { HostsFile } from './hosts-file.ts';

export interface NameResolver {
  /** At least one address, in the order to try them. Rejects with a MixError. */
  resolve(name: string): Promise<readonly string[]>;
  /** At least one name of an address in canonical form. Rejects with a MixError. */
  reverse(address: string): Promise<readonly string[]>;
}

export interface SystemResolverOptions {
  readonly clock: Clock;
  readonly limits?: Partial<ResolverLimits>;
  readonly hosts?: Pick<HostsFile, 'lookup' | 'namesOf'>;
  /** Asked instead of the system's: `192.0.2.53`, `[2001:db8::53]:5353`. */
  readonly nameServers?: readonly string[];
  /** Makes the queries of one name; each has its own, so that it can be cancelled and sees the present resolv.conf. */
  readonly dns?: (attemptMs: number) => DnsQueries;
}

/** Attempts at each name server within the time-out. */
const DNS_ATTEMPTS = 3;

const LOOPBACK = ['127.0.0.1', '::1'];

export class SystemResolver implements NameResolver {
  readonly #clock: Clock;
  readonly #limits: ResolverLimits;
  readonly #hosts: Pick<HostsFile, 'lookup' | 'namesOf'>;
  readonly #dns: (attemptMs: number) => DnsQueries;
  /** Names, and addresses for `reverse`: no text is both. */
  readonly #cache: DnsCache<DnsAnswer>;
  readonly #pending = new Map<string, Promise<DnsAnswer>>();

  constructor(options: SystemResolverOptions) {
    this.#clock = options.clock;
    this.#limits = { ...DEFAULT_RESOLVER_LIMITS, ...options.limits };
    this.#hosts = options.hosts ?? new HostsFile();
    this.#dns = options.dns ?? dnsOf(options.nameServers ?? []);
    this.#cache = new DnsCache(this.#limits.cached);
  }

  async resolve(name: string): Promise<readonly string[]> {
    // RFC 6761 section 6.3: never a matter of DNS.
    if (name === 'localhost' || name.endsWith('.localhost')) return LOOPBACK;
    const local = this.#hosts.lookup(name);
    return local.length > 0 ? local : this.#remembered(name, askForAddresses);
  }

  async reverse(address: string): Promise<readonly string[]> {
    const local = this.#hosts.namesOf(address);
    return local.length > 0 ? local : this.#remembered(address, askForNames);
  }

  async #remembered(key: string, ask: typeof askForAddresses): Promise<readonly string[]> {
    const known = this.#cache.get(key, this.#clock.nowMs());
    const { found, failure } = known ?? (await (this.#pending.get(key) ?? this.#ask(key, ask)));
    if (failure !== undefined) throw failure;
    return found;
  }

  async #ask(key: string, ask: typeof askForAddresses): Promise<DnsAnswer> {
    const { pending, timeoutMs } = this.#limits;
    if (this.#pending.size >= pending) throw new MixError('LIMIT', 'too many names are being resolved');
    const question = ask(this.#dns(Math.ceil(timeoutMs / DNS_ATTEMPTS)), key, this.#limits, this.#clock);
    this.#pending.set(key, question);
    try {
      const answer = await question;
      this.#cache.put(key, answer, answer.ttlMs, this.#clock.nowMs());
      return answer;
    } finally {
      this.#pending.delete(key);
    }
  }
}

/** Queries to these servers, or to the system's when there are none. */
function dnsOf(nameServers: readonly string[]): (attemptMs: number) => DnsQueries {
  return (attemptMs) => {
    const resolver = new DnsResolver({ timeout: attemptMs, tries: DNS_ATTEMPTS });
    if (nameServers.length > 0) resolver.setServers(nameServers);
    return resolver;
  };
}
