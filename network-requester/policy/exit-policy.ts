/**
 * Which of a destination's addresses this requester connects to. Decides on addresses only, after resolution, and hands
 * out the canonical text of the very address that was checked.
 *
 * Three gates, all of which must be open: what is never reachable or private (lib/net/address-policy.ts), this machine's own
 * addresses (of its interfaces, as listed, and as gateways see it), and the operator's rules (exit-rules.ts), which can be
 * replaced while the requester runs.
 * @module
 */
import { networkInterfaces } from 'node:os';
import type { Clock } from '../../lib/core/clock.ts';
import {
  type AddressRange,
  embeddedAddresses,
  isInRange,
  isPermitted,
  type ParsedAddress,
  parseAddress,
  parseRange,
} from '../../lib/net/address-policy.ts';
import { type ExitRule, rulesAllow, summaryOf } from './exit-rules.ts';

/** The machine's own addresses are read again after this long. */
const OWN_ADDRESSES_MS = 10_000;
/** A machine has two families, perhaps two gateways, and a line whose address changes: the oldest is forgotten. */
export const MAX_OBSERVED = 8;

export interface ExitPolicyOptions {
  readonly clock: Clock;
  readonly allowPrivate: boolean;
  /** The operator's rules; the default ones follow them. */
  readonly rules?: readonly ExitRule[];
  /** Those of this machine's interfaces. */
  readonly ownAddresses?: () => readonly string[];
  /** Further addresses, and prefixes, that lead to this machine, as the operator lists them. */
  readonly listedAddresses?: readonly string[];
}

export class ExitPolicy {
  #rules: readonly ExitRule[];
  #summary: string;
  #own: ReadonlySet<string> = new Set();
  readonly #listed: readonly AddressRange[];
  /** Under which gateways see this machine, the newest last. */
  readonly #observed: string[] = [];
  #ownReadMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: ExitPolicyOptions) {
    this.#rules = options.rules ?? [];
    this.#summary = summaryOf(this.#rules);
    this.#listed = (options.listedAddresses ?? []).flatMap((text) => parseRange(text) ?? []);
  }

  /** A gateway sees this machine under `address`: it counts as its own, as do the last few before it. */
  observe(address: string): void {
    const parsed = parseAddress(address);
    if (parsed === undefined || this.#observed.includes(parsed.text)) return;
    this.#observed.push(parsed.text);
    if (this.#observed.length > MAX_OBSERVED) this.#observed.shift();
  }

  /** Replaces the operator's rules; what is open already stays open. */
  setRules(rules: readonly ExitRule[]): void {
    this.#rules = rules;
    this.#summary = summaryOf(rules);
  }

  /** The ports that are let through, as a descriptor says it. */
  get summary(): string {
    return this.#summary;
  }

  /** The ones among `addresses` that may be connected to at `port`, in their order, each once. */
  permitted(addresses: readonly string[], port: number): ParsedAddress[] {
    return this.speakable(addresses).filter((address) => rulesAllow(this.#rules, address, port));
  }

  /** The ones among `addresses` that a client may learn, whatever the port. */
  speakable(addresses: readonly string[]): ParsedAddress[] {
    const found = new Map<string, ParsedAddress>();
    for (const text of addresses) {
      const address = parseAddress(text);
      if (address !== undefined && this.#isReachable(address)) found.set(address.text, address);
    }
    return [...found.values()];
  }

  /**
   * A public address of this machine itself is as private as loopback: what listens there may trust local
   * connections, and firewalls do not see them.
   */
  #isReachable(address: ParsedAddress): boolean {
    const { allowPrivate } = this.options;
    return isPermitted(address.scope, allowPrivate) && (allowPrivate || !this.#isOwn(address));
  }

  /** Whether it is one of this machine's addresses, or leads to one inside it. */
  #isOwn(address: ParsedAddress): boolean {
    const { clock, ownAddresses = systemAddresses } = this.options;
    const nowMs = clock.nowMs();
    if (nowMs - this.#ownReadMs > OWN_ADDRESSES_MS) {
      this.#own = new Set(ownAddresses().map((address) => parseAddress(address)?.text ?? ''));
      this.#ownReadMs = nowMs;
    }
    return [address, ...embeddedAddresses(address)].some(
      ({ text }) =>
        this.#own.has(text) || this.#observed.includes(text) || this.#listed.some((range) => isInRange(text, range)),
    );
  }
}

function systemAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}
