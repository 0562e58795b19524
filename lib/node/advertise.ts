/**
 * The address that a node's descriptor names. A name is resolved here and not by others: at each publication, and every few minutes between.
 * @module
 */
import { isIP } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { MixError, systemCode } from '../core/errors.ts';
import { laterMs } from '../core/units.ts';
import { type HostPort, parseListen } from '../net/address.ts';
import { isLoopback, parseAddress } from '../net/address-policy.ts';
import { type Resolve, resolveName, systemResolve } from '../net/resolve-name.ts';
import type { NodeOptions } from './config.ts';

/** How often a name is resolved between publications. */
export const RESOLVE_PERIOD_MS = 300_000;

/** What the address of a descriptor comes from. */
export type AdvertiseOptions = Pick<NodeOptions, 'advertise'> & { readonly listen: readonly string[] };

/**
 * `advertise` if it is given, else the first of `listen` that others can dial. Port 0 stands for the port that was bound: of `advertise`
 * the first of `bound`, which is in the order of `listen`. The host of `advertise` may be a name. Throws MixError CONFIG when others
 * could not dial any.
 */
export function advertisedAddress({ advertise, listen }: AdvertiseOptions, bound: readonly HostPort[]): HostPort {
  const given = (advertise === undefined ? listen : [advertise]).map(parseListen);
  const canBeDialled = ({ host }: HostPort) => !isUnspecified(host) && (isIP(host) !== 0 || advertise !== undefined);
  const index = given.findIndex(canBeDialled);
  const chosen = given[index];
  if (chosen === undefined) {
    const line = `'${given[0]?.host}' cannot be dialled by others: give --advertise with an address and port`;
    throw new MixError('CONFIG', line);
  }
  return { host: chosen.host, port: chosen.port === 0 ? (bound[index]?.port ?? 0) : chosen.port };
}

/** An advertised address over time. */
export class AdvertisedAddress {
  /** The last address of the name. */
  #host: string | undefined;
  #nextMs: number;
  readonly #stop = new AbortController();

  constructor(
    readonly wanted: HostPort,
    readonly clock: Clock,
    readonly resolve: Resolve = systemResolve,
  ) {
    this.#nextMs = clock.nowMs() + RESOLVE_PERIOD_MS;
  }

  /** The address now. While name servers fail it is the last one; rejects with NOT_FOUND where there has been none. */
  async current(): Promise<HostPort> {
    const { host, port } = this.wanted;
    if (isIP(host) !== 0) return this.wanted;
    this.#nextMs = laterMs(this.clock.nowMs(), RESOLVE_PERIOD_MS);
    try {
      this.#host = choice(await resolveName(host, this.clock, this.resolve, this.#stop.signal), this.#host);
    } catch (error) {
      const reason = systemCode(error) ?? (error as Error).message;
      if (this.#host === undefined)
        throw new MixError('NOT_FOUND', `${host} has no address (${reason}): see --advertise`);
    }
    return { host: this.#host ?? host, port };
  }

  /** Resolves a name again when it is time to; calls `onChange` when it has another address than the last published one. */
  async look(onChange: () => void): Promise<void> {
    const before = this.#host;
    if (before === undefined || this.clock.nowMs() < this.#nextMs) return;
    if ((await this.current()).host !== before) onChange();
  }

  /** Gives up what is asked: name servers that do not answer keep nobody waiting. */
  stop(): void {
    this.#stop.abort(new Error('stopped'));
  }
}

/**
 * One that the most others can dial: public before private, before this machine's own (a hosts file may have the name at 127.0.1.1), and IPv4,
 * which most neighbours have, before IPv6. Of several the one that there was `before`, else the first.
 */
function choice(addresses: readonly string[], before: string | undefined): string {
  const usable = addresses.filter((address) => isIP(address) !== 0 && !isUnspecified(address)).sort();
  const [first, ...others] = usable.sort((a, b) => distance(a) - distance(b));
  if (first === undefined) throw new Error('none that can be dialled');
  const equals = [first, ...others.filter((other) => distance(other) === distance(first))];
  return before !== undefined && equals.includes(before) ? before : first;
}

function distance(address: string): number {
  const ofScope = parseAddress(address)?.scope === 'public' ? 0 : isLoopback(address) ? 2 : 1;
  return 2 * ofScope + (isIP(address) === 4 ? 0 : 1);
}

function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || /^[0:]+$/.test(host);
}
