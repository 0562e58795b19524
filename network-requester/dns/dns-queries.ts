/**
 * One question to the name servers: both address families at once, or the names of an address. One failed family does
 * not matter while the other has an answer.
 * @module
 */
import { afterSilence, type Clock } from '../../lib/core/clock.ts';
import { MixError, systemCode } from '../../lib/core/errors.ts';

/** The answers of a DNS server; rejects with Node's DNS error codes. */
export interface DnsQueries {
  resolve4(name: string, options: { ttl: true }): Promise<AddressRecord[]>;
  resolve6(name: string, options: { ttl: true }): Promise<AddressRecord[]>;
  reverse(address: string): Promise<string[]>;
  /** Ends what is under way. */
  cancel(): void;
}

export interface AddressRecord {
  readonly address: string;
  /** Seconds. */
  readonly ttl: number;
}

/** What is known of a name, good or bad, and for how long. */
export interface DnsAnswer {
  /** Addresses in the order to try them, or names. */
  readonly found: readonly string[];
  /** When nothing was found. */
  readonly failure?: MixError;
  readonly ttlMs: number;
}

/** The name exists without such records, or does not exist. */
const ABSENT: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

/** How long an answer of one family waits for the other (RFC 8305 section 3: 50 ms). */
const OTHER_FAMILY_MS = 50;
/** An answer that only one family contributed to, while the other gave none. */
const PARTIAL_TTL_MS = 5_000;
/** The servers say how long a name will not exist (RFC 2308), but Node does not pass it on. */
const ABSENT_TTL_MS = 30_000;
/** Servers that fail are not asked again at once for the same name. */
const FAILURE_TTL_MS = 2_000;
/** Names of addresses come without their time to live. */
const REVERSE_TTL_MS = 60_000;
/** RFC 1035 section 2.3.4. A longer text has escapes for bytes that no host name has. */
const MAX_NAME_CHARS = 253;

interface Settled<T> {
  readonly records: readonly T[];
  readonly failed: boolean;
}

/** What bounds a question and its answer. */
export interface DnsBounds {
  readonly timeoutMs: number;
  /**
   * Addresses of a family, and names, that count; the rest is dropped. Whoever owns a name or an address decides how many it has: 64 KiB
   * hold thousands, and some versions of Node.js give the time to live of the first 256 only.
   */
  readonly records: number;
}

/** The addresses of a name. Never rejects. */
export async function askForAddresses(
  dns: DnsQueries,
  name: string,
  { timeoutMs, records: most }: DnsBounds,
  clock: Clock,
): Promise<DnsAnswer> {
  const answers: Settled<AddressRecord>[] = [PENDING, PENDING];
  const both = [dns.resolve4(name, { ttl: true }), dns.resolve6(name, { ttl: true })].map(async (query, family) => {
    const answer = await settle(query, most);
    answers[family] = answer;
    return answer;
  });
  await settled(both, timeoutMs, clock);
  dns.cancel();
  const [ipv4 = PENDING, ipv6 = PENDING] = answers;
  const records = [...ipv4.records, ...ipv6.records];
  const failed = ipv4.failed || ipv6.failed;
  if (records.length === 0) return nothing(failed);
  const ttlMs = 1000 * Math.min(...records.map(({ ttl }) => ttl));
  return {
    found: interleave(ipv6.records, ipv4.records),
    ttlMs: failed ? Math.min(ttlMs, PARTIAL_TTL_MS) : ttlMs,
  };
}

/** The names of an address. Never rejects. */
export async function askForNames(
  dns: DnsQueries,
  address: string,
  { timeoutMs, records: most }: DnsBounds,
  clock: Clock,
): Promise<DnsAnswer> {
  let answer: Settled<string> = PENDING;
  const names = dns.reverse(address).then((all) => all.filter(({ length }) => length <= MAX_NAME_CHARS));
  const query = settle(names, most).then((settled) => {
    answer = settled;
    return answer;
  });
  await settled([query], timeoutMs, clock);
  dns.cancel();
  return answer.records.length === 0 ? nothing(answer.failed) : { found: answer.records, ttlMs: REVERSE_TTL_MS };
}

const PENDING: Settled<never> = { records: [], failed: true };

function nothing(failed: boolean): DnsAnswer {
  const failure = failed
    ? new MixError('HOST_UNREACHABLE', 'the name servers gave no answer')
    : new MixError('NOT_FOUND', 'the name does not exist');
  return { found: [], failure, ttlMs: failed ? FAILURE_TTL_MS : ABSENT_TTL_MS };
}

/** The first `most` records of an answer. */
async function settle<T>(query: Promise<T[]>, most: number): Promise<Settled<T>> {
  try {
    return { records: (await query).slice(0, most), failed: false };
  } catch (error) {
    return { records: [], failed: !ABSENT.has(systemCode(error) ?? '') };
  }
}

/** Waits for all answers, for the time-out, or a moment longer than the first answer that found something. */
function settled(answers: readonly Promise<Settled<unknown>>[], timeoutMs: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const timer = afterSilence(clock, timeoutMs, resolve);
    const done = () => {
      timer.cancel();
      resolve();
    };
    void Promise.all(answers).then(done);
    for (const answer of answers) {
      void answer.then(({ records }) => {
        if (records.length > 0) clock.after(OTHER_FAMILY_MS, done);
      });
    }
  });
}

/** IPv6 first, then in turn (RFC 8305 section 4): an exit without it finds out at once. */
function interleave(ipv6: readonly AddressRecord[], ipv4: readonly AddressRecord[]): string[] {
  const mixed: string[] = [];
  for (let i = 0; i < Math.max(ipv4.length, ipv6.length); i++) {
    for (const record of [ipv6[i], ipv4[i]]) if (record !== undefined) mixed.push(record.address);
  }
  return mixed;
}
