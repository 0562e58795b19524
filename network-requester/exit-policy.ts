/**
 * Which of a destination's addresses this requester connects to. Decides on addresses only, after resolution, and hands
 * out the canonical text of the very address that was checked.
 * @module
 */
import { networkInterfaces } from 'node:os';
import { isPermitted, type ParsedAddress, parseAddress } from '../lib/address-policy.ts';
import type { Clock } from '../lib/clock.ts';

/** The machine's own addresses are read again after this long. */
const OWN_ADDRESSES_MS = 10_000;

export class ExitPolicy {
  #own: ReadonlySet<string> = new Set();
  #ownReadMs = Number.NEGATIVE_INFINITY;

  constructor(
    readonly clock: Clock,
    readonly allowPrivate: boolean,
    readonly ownAddresses: () => readonly string[] = systemAddresses,
  ) {}

  /** The permitted ones among `addresses`, in their order, each once. */
  permitted(addresses: readonly string[]): ParsedAddress[] {
    const found = new Map<string, ParsedAddress>();
    for (const text of addresses) {
      const address = parseAddress(text);
      if (address !== undefined && this.#allows(address)) found.set(address.text, address);
    }
    return [...found.values()];
  }

  /**
   * A public address of this machine itself is as private as loopback: what listens there may trust local
   * connections, and firewalls do not see them.
   */
  #allows(address: ParsedAddress): boolean {
    if (!isPermitted(address.scope, this.allowPrivate)) return false;
    return this.allowPrivate || !this.#isOwn(address.text);
  }

  #isOwn(text: string): boolean {
    const nowMs = this.clock.nowMs();
    if (nowMs - this.#ownReadMs > OWN_ADDRESSES_MS) {
      this.#own = new Set(this.ownAddresses().map((address) => parseAddress(address)?.text ?? ''));
      this.#ownReadMs = nowMs;
    }
    return this.#own.has(text);
  }
}

function systemAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}
