/**
 * The addresses that a node's descriptor names: one, or one of IPv4 and one of IPv6. A name is resolved here and not by others: at each
 * publication, and every few minutes between.
 * @module
 */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { MixError, systemCode } from '../core/errors.ts';
import { laterMs } from '../core/units.ts';
import type { LinkTarget } from '../link/index.ts';
import { type HostPort, parseListen } from '../net/address.ts';
import { isLoopback, parseAddress } from '../net/address-policy.ts';
import { type Resolve, resolveName, systemResolve } from '../net/resolve-name.ts';

/** How often a name is resolved between publications. */
export const RESOLVE_PERIOD_MS = 300_000;

/** What the addresses of a descriptor come from. */
export interface AdvertiseOptions {
  readonly listen: readonly string[];
  readonly advertise?: readonly string[] | undefined;
}

/** Where a node listens, as its descriptor has it. */
export type ListeningAt = Omit<LinkTarget, 'id'>;

/** What is to be published: one name, or the addresses. */
export interface Advertised {
  readonly at: readonly HostPort[];
  /** The families that the node listens on: of a name only addresses of these are published. */
  readonly families: ReadonlySet<number>;
}

/**
 * `advertise` if it is given, else the addresses of `listen` that the most others can dial, the first of each family. Port 0 stands for
 * the port that was bound: of `advertise` the first of `bound`, which is in the order of `listen`. Throws MixError CONFIG when others could
 * not dial any, and when there are more than a descriptor takes.
 */
export function advertisedAddresses({ advertise, listen }: AdvertiseOptions, bound: readonly HostPort[]): Advertised {
  const listening = listen.map(parseListen);
  const given = (advertise?.map(parseListen) ?? listening).map(({ host, port }, index) => ({
    host,
    port: port === 0 ? (bound[advertise === undefined ? index : 0]?.port ?? 0) : port,
  }));
  const usable = given.filter(({ host }) => !isUnspecified(host) && (isIP(host) !== 0 || advertise !== undefined));
  if (usable.length === 0 || (advertise !== undefined && usable.length < given.length)) {
    const refused = given.find((one) => !usable.includes(one))?.host;
    throw new MixError('CONFIG', `'${refused}' cannot be dialled by others: give --advertise with an address and port`);
  }
  if (advertise === undefined) return { at: nearestOf(usable), families: familiesOf(listening) };
  const isOfEach = given.length === 2 && [isIPv4, isIPv6].every((isOf) => given.some(({ host }) => isOf(host)));
  if (given.length > 1 && !isOfEach) {
    const rule = 'give one of IPv4 and one of IPv6 at most, or one name, which is resolved to both';
    throw new MixError('CONFIG', `advertise: ${advertise.join(', ')}: ${rule}`);
  }
  return { at: given, families: familiesOf(listening) };
}

/** The advertised addresses over time. */
export class AdvertisedAddresses {
  /** The last addresses of the name. */
  #hosts: readonly string[] = [];
  #nextMs: number;
  readonly #stop = new AbortController();

  constructor(
    readonly wanted: Advertised,
    readonly clock: Clock,
    readonly resolve: Resolve = systemResolve,
  ) {
    this.#nextMs = clock.nowMs() + RESOLVE_PERIOD_MS;
  }

  /** The addresses now. While name servers fail they are the last ones; rejects with NOT_FOUND where there have been none. */
  async current(): Promise<ListeningAt> {
    const { at, families } = this.wanted;
    const name = at.find(({ host }) => isIP(host) === 0);
    if (name === undefined) return listeningAt(at);
    this.#nextMs = laterMs(this.clock.nowMs(), RESOLVE_PERIOD_MS);
    try {
      const found = await resolveName(name.host, this.clock, this.resolve, this.#stop.signal);
      this.#hosts = choice(found, families, this.#hosts);
    } catch (error) {
      const reason = systemCode(error) ?? (error as Error).message;
      if (this.#hosts.length === 0)
        throw new MixError('NOT_FOUND', `${name.host} has no address (${reason}): see --advertise`);
    }
    return listeningAt(this.#hosts.map((host) => ({ host, port: name.port })));
  }

  /** Resolves a name again when it is time to; calls `onChange` when it has other addresses than the last published ones. */
  async look(onChange: () => void): Promise<void> {
    const before = this.#hosts;
    if (before.length === 0 || this.clock.nowMs() < this.#nextMs) return;
    await this.current();
    if (this.#hosts.join() !== before.join()) onChange();
  }

  /** Gives up what is asked: name servers that do not answer keep nobody waiting. */
  stop(): void {
    this.#stop.abort(new Error('stopped'));
  }
}

function listeningAt(at: readonly HostPort[]): ListeningAt {
  const ipv4 = at.find(({ host }) => isIPv4(host));
  const ipv6 = at.find(({ host }) => isIPv6(host));
  const first = ipv4 ?? ipv6 ?? { host: '', port: 0 };
  return ipv4 === undefined || ipv6 === undefined ? { ...first } : { ...first, ipv6 };
}

/**
 * Of the addresses of a name those that the node listens on, if any, and the most others can dial; of a family the one that there was
 * `before`, else the first.
 */
function choice(found: readonly string[], families: ReadonlySet<number>, before: readonly string[]): string[] {
  const usable = found.filter((address) => isIP(address) !== 0 && !isUnspecified(address)).sort();
  if (usable.length === 0) throw new Error('none that can be dialled');
  const listened = usable.filter((address) => families.has(isIP(address)));
  const kept = [...usable.filter((address) => before.includes(address)), ...usable];
  const eligible = kept.filter((address) => listened.length === 0 || listened.includes(address));
  return nearestOf(eligible.map((host) => ({ host }))).map(({ host }) => host);
}

/**
 * Those that the most others can dial, the first of each family: public ones, else private ones, else this machine's own (a hosts file may
 * have a name at 127.0.1.1). A public address is not published together with one that leads nowhere from outside.
 */
function nearestOf<T extends { readonly host: string }>(addresses: readonly T[]): T[] {
  const nearest = Math.min(...addresses.map(({ host }) => distance(host)));
  const eligible = addresses.filter(({ host }) => distance(host) === nearest);
  return [isIPv4, isIPv6].flatMap((isOf) => eligible.find(({ host }) => isOf(host)) ?? []);
}

function distance(address: string): number {
  if (parseAddress(address)?.scope === 'public') return 0;
  return isLoopback(address) ? 2 : 1;
}

/** Those that listeners take connections of; a name may be both. */
function familiesOf(listening: readonly HostPort[]): ReadonlySet<number> {
  return new Set(
    listening.flatMap(({ host }) => (isIPv4(host) ? [4] : isIPv6(host) && !isUnspecified(host) ? [6] : [4, 6])),
  );
}

function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || /^[0:]+$/.test(host);
}
