/**
 * Names to addresses and back: `localhost`, the hosts file, what is remembered, then DNS. Who asks for a name that is
 * being asked for already waits for the same answer. When as many are being asked for as may be, sessions share that max-min by what they
 * send: the owner of a zone that never answers can have a look-up last for the whole time-out.
 *
 * A name that does not exist is NOT_FOUND. A resolver that does not answer or answers with a failure says nothing
 * about the name, so that is HOST_UNREACHABLE; a SOCKS client gets reply 4 for either.
 * @module
 */
import { Resolver as DnsResolver } from 'node:dns/promises';
import type { Clock } from '../../lib/core/clock.ts';
import { MixError } from '../../lib/core/errors.ts';
import { DEFAULT_RESOLVER_LIMITS, type ResolverLimits } from '../config.ts';
import { type PaidBy, sessionToGive } from '../shares.ts';
import { DnsCache } from './dns-cache.ts';
import { askForAddresses, askForNames, type DnsAnswer, type DnsQueries } from './dns-queries.ts';
import { HostsFile } from './hosts-file.ts';

export interface NameResolver {
  /** At least one address, in the order to try them. Rejects with a MixError. */
  resolve(name: string, session: string): Promise<readonly string[]>;
  /** At least one name of an address in canonical form. Rejects with a MixError. */
  reverse(address: string, session: string): Promise<readonly string[]>;
}

export interface SystemResolverOptions {
  readonly clock: Clock;
  readonly limits?: Partial<ResolverLimits>;
  readonly hosts?: Pick<HostsFile, 'lookup' | 'namesOf'>;
  /** Asked instead of the system's: `192.0.2.53`, `[2001:db8::53]:5353`. */
  readonly nameServers?: readonly string[];
  /** Makes the queries of one name; each has its own, so that it can be cancelled and sees the present resolv.conf. */
  readonly dns?: (attemptMs: number) => DnsQueries;
  /** Sessions weigh as much as they send; all weigh the same without it. */
  readonly paidBy?: PaidBy;
}

/** One that is under way. */
interface Question {
  /** Which asked first. */
  readonly session: string;
  readonly answer: Promise<DnsAnswer>;
  /** Ends it for another one; who waits for it gets LIMIT. */
  readonly giveUp: () => void;
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
  readonly #pending = new Map<string, Question>();
  readonly #paidBy: PaidBy;

  constructor(options: SystemResolverOptions) {
    this.#clock = options.clock;
    this.#limits = { ...DEFAULT_RESOLVER_LIMITS, ...options.limits };
    this.#hosts = options.hosts ?? new HostsFile();
    this.#dns = options.dns ?? dnsOf(options.nameServers ?? []);
    this.#cache = new DnsCache(this.#limits.cached);
    this.#paidBy = options.paidBy ?? (() => 1);
  }

  async resolve(name: string, session = ''): Promise<readonly string[]> {
    // RFC 6761 section 6.3: never a matter of DNS.
    if (name === 'localhost' || name.endsWith('.localhost')) return LOOPBACK;
    const local = this.#hosts.lookup(name);
    return local.length > 0 ? local : this.#remembered(name, askForAddresses, session);
  }

  async reverse(address: string, session = ''): Promise<readonly string[]> {
    const local = this.#hosts.namesOf(address);
    return local.length > 0 ? local : this.#remembered(address, askForNames, session);
  }

  async #remembered(key: string, ask: Ask, session: string): Promise<readonly string[]> {
    const known = this.#cache.get(key, this.#clock.nowMs());
    if (known !== undefined) return foundIn(known);
    const question = this.#pending.get(key) ?? this.#ask(key, ask, session);
    const answer = await question.answer;
    if (answer === GIVEN_UP && question.session !== session) return this.#remembered(key, ask, session);
    return foundIn(answer);
  }

  #ask(key: string, ask: Ask, session: string): Question {
    const { pending, timeoutMs } = this.#limits;
    if (this.#pending.size >= pending) this.#makeRoom(session);
    const dns = this.#dns(Math.ceil(timeoutMs / DNS_ATTEMPTS));
    let giveUp = () => {};
    const givenUp = new Promise<DnsAnswer>((resolve) => {
      giveUp = () => resolve(GIVEN_UP);
    });
    const end = () => {
      if (this.#pending.get(key) === question) this.#pending.delete(key);
    };
    const answer = Promise.race([givenUp, ask(dns, key, this.#limits, this.#clock)]).then((found) => {
      end();
      this.#cache.put(key, found, found.ttlMs, this.#clock.nowMs());
      return found;
    });
    const question: Question = {
      session,
      answer,
      giveUp: () => {
        end();
        giveUp();
        dns.cancel();
      },
    };
    this.#pending.set(key, question);
    return question;
  }

  /** The oldest question of the session that has the most for its weight. Throws MixError LIMIT where that is `session`. */
  #makeRoom(session: string): void {
    const held = new Map<string, number>();
    for (const question of this.#pending.values()) held.set(question.session, (held.get(question.session) ?? 0) + 1);
    const gives = sessionToGive(held, session, this.#paidBy);
    if (gives === undefined) throw TOO_MANY;
    for (const question of this.#pending.values()) {
      if (question.session !== gives) continue;
      question.giveUp();
      return;
    }
  }
}

type Ask = typeof askForAddresses;

const TOO_MANY = new MixError('LIMIT', 'too many names are being resolved');
const GIVEN_UP: DnsAnswer = { found: [], failure: TOO_MANY, ttlMs: 0 };

function foundIn({ found, failure }: DnsAnswer): readonly string[] {
  if (failure !== undefined) throw failure;
  return found;
}

/** Queries to these servers, or to the system's when there are none. */
function dnsOf(nameServers: readonly string[]): (attemptMs: number) => DnsQueries {
  return (attemptMs) => {
    const resolver = new DnsResolver({ timeout: attemptMs, tries: DNS_ATTEMPTS });
    if (nameServers.length > 0) resolver.setServers(nameServers);
    return resolver;
  };
}
