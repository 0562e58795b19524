/**
 * Names to addresses: `localhost`, the hosts file, then DNS for both families at once. One failed family does not
 * matter while the other has an answer.
 *
 * A name that does not exist is NOT_FOUND. A resolver that does not answer or answers with a failure says nothing
 * about the name, so that is HOST_UNREACHABLE; a SOCKS client gets reply 4 for either.
 * @module
 */
import { Resolver as DnsResolver } from 'node:dns/promises';
import type { Clock } from '../lib/clock.ts';
import { MixError, systemCode } from '../lib/errors.ts';
import { DEFAULT_RESOLVER_LIMITS, type ResolverLimits } from './config.ts';
import { HostsFile } from './hosts-file.ts';

export interface NameResolver {
  /** At least one address, in the order to try them. Rejects with a MixError. */
  resolve(name: string): Promise<readonly string[]>;
}

/** The answers of a DNS server, one query at a time; rejects with Node's DNS error codes. */
export interface DnsQueries {
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
  /** Ends what is under way. */
  cancel(): void;
}

export interface SystemResolverOptions {
  readonly clock: Clock;
  readonly limits?: Partial<ResolverLimits>;
  readonly hosts?: Pick<HostsFile, 'lookup'>;
  /** Makes the queries of one name; each has its own, so that it can be cancelled and sees the present resolv.conf. */
  readonly dns?: (attemptMs: number) => DnsQueries;
}

/** The name exists without such records, or does not exist. */
const ABSENT: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

/** Attempts at each name server within the time-out. */
const DNS_ATTEMPTS = 3;

/** How long an answer of one family waits for the other (RFC 8305 section 3: 50 ms). */
const OTHER_FAMILY_MS = 50;

const LOOPBACK = ['127.0.0.1', '::1'];

type FamilyAnswer = { readonly addresses: readonly string[]; readonly failed: boolean };
const PENDING: FamilyAnswer = { addresses: [], failed: true };

export class SystemResolver implements NameResolver {
  readonly #clock: Clock;
  readonly #limits: ResolverLimits;
  readonly #hosts: Pick<HostsFile, 'lookup'>;
  readonly #dns: (attemptMs: number) => DnsQueries;
  #pending = 0;

  constructor(options: SystemResolverOptions) {
    this.#clock = options.clock;
    this.#limits = { ...DEFAULT_RESOLVER_LIMITS, ...options.limits };
    this.#hosts = options.hosts ?? new HostsFile();
    this.#dns = options.dns ?? ((attemptMs) => new DnsResolver({ timeout: attemptMs, tries: DNS_ATTEMPTS }));
  }

  async resolve(name: string): Promise<readonly string[]> {
    // RFC 6761 section 6.3: never a matter of DNS.
    if (name === 'localhost' || name.endsWith('.localhost')) return LOOPBACK;
    const local = this.#hosts.lookup(name);
    if (local.length > 0) return local;
    if (this.#pending >= this.#limits.pending) throw new MixError('LIMIT', 'too many names are being resolved');
    this.#pending += 1;
    try {
      return await this.#ask(name);
    } finally {
      this.#pending -= 1;
    }
  }

  async #ask(name: string): Promise<readonly string[]> {
    const dns = this.#dns(Math.ceil(this.#limits.timeoutMs / DNS_ATTEMPTS));
    const answers: [FamilyAnswer, FamilyAnswer] = [PENDING, PENDING];
    const both = [dns.resolve4(name), dns.resolve6(name)].map(async (query, family) => {
      answers[family] = await settle(query);
      return answers[family];
    });
    await this.#settled(both);
    dns.cancel();
    const addresses = interleave(answers[0].addresses, answers[1].addresses);
    if (addresses.length > 0) return addresses;
    if (answers.some((answer) => answer.failed))
      throw new MixError('HOST_UNREACHABLE', 'the name servers gave no answer');
    throw new MixError('NOT_FOUND', 'the name does not exist');
  }

  /** Waits for both answers, for the time-out, or a moment longer than the first answer with an address. */
  #settled(answers: readonly Promise<FamilyAnswer>[]): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(this.#limits.timeoutMs, resolve);
      const done = () => {
        timer.cancel();
        resolve();
      };
      void Promise.all(answers).then(done);
      for (const answer of answers) {
        void answer.then(({ addresses }) => {
          if (addresses.length > 0) this.#clock.after(OTHER_FAMILY_MS, done);
        });
      }
    });
  }
}

async function settle(query: Promise<string[]>): Promise<FamilyAnswer> {
  try {
    return { addresses: await query, failed: false };
  } catch (error) {
    return { addresses: [], failed: !ABSENT.has(systemCode(error) ?? '') };
  }
}

/** IPv4 first: many exits have no working IPv6, and attempts go in turn. */
function interleave(ipv4: readonly string[], ipv6: readonly string[]): string[] {
  const mixed: string[] = [];
  for (let i = 0; i < Math.max(ipv4.length, ipv6.length); i++) {
    for (const address of [ipv4[i], ipv6[i]]) if (address !== undefined) mixed.push(address);
  }
  return mixed;
}
