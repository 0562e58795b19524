/**
 * Which descriptors an authority takes. Pure: texts and times come in, the accepted descriptor or a DocumentRefused
 * comes out.
 * @module
 */

import { type IdentityHex, prefixOf } from '../lib/core/bytes.ts';
import { epochAt } from '../lib/core/params.ts';
import { laterEpoch, type MonotonicMs, type UnixMs } from '../lib/core/units.ts';
import {
  type Countersignature,
  type Descriptor,
  DocumentRefused,
  epochMsOf,
  hasCapacity,
  MAX_COUNTERSIGNATURE_AGE_MS,
  timing,
  type VerifiedDescriptor,
  type Verifier,
} from '../lib/directory/index.ts';
import { TokenBucket } from '../lib/mixing/index.ts';
import type { Membership } from './members/membership.ts';

/** New descriptors of one node per second, on average and at once. */
export const DESCRIPTORS_PER_SECOND = 1;
export const DESCRIPTOR_BURST = 30;

export interface AdmissionOptions {
  readonly verifier: Verifier;
  readonly membership: Membership;
  /** Members and nodes held at most. */
  readonly maxNodes: number;
  /** Packets per second that a mix or gateway carries at least; 0 by default. */
  readonly minCapacity?: number;
  readonly nowMs: () => MonotonicMs;
}

export class Admission {
  /** Grows with every change of what is held. */
  revision = 0;
  readonly #held = new Map<IdentityHex, VerifiedDescriptor>();
  readonly #byPrefix = new Map<string, IdentityHex>();
  /** Of the nodes that are held. */
  readonly #rates = new Map<IdentityHex, TokenBucket>();
  #dismissedAt = -1;

  constructor(readonly options: AdmissionOptions) {}

  /** The descriptors held, by identity. */
  get held(): ReadonlyMap<IdentityHex, VerifiedDescriptor> {
    return this.#held;
  }

  /**
   * Judges a descriptor with the proof that came with it; throws DocumentRefused. The one that is to be held, once the use of
   * its token is on the disk; undefined when it is held already.
   */
  accept(text: string, proof: string | undefined, nowMs: UnixMs): VerifiedDescriptor | undefined {
    const { verifier, membership } = this.options;
    const verified = verifier.descriptor(text);
    const { descriptor } = verified;
    const claim = membership.claim(verified, proof, nowMs);
    this.#requireTimely(descriptor, nowMs);
    if (this.#held.get(descriptor.identity)?.payload === verified.payload) return undefined;
    this.#requireNewer(descriptor);
    this.#requireCapacity(descriptor);
    this.#requireRoom(descriptor);
    this.#requireRate(descriptor);
    claim.enter();
    return verified;
  }

  /** Holds what was accepted. Throws DocumentRefused when something has come in between. */
  hold(verified: VerifiedDescriptor): void {
    const { descriptor } = verified;
    const { identity } = descriptor;
    const refusal = this.options.membership.refusalOf(descriptor);
    if (refusal !== undefined) throw refusal;
    this.#requireNewer(descriptor);
    this.#requireRoom(descriptor);
    this.revision += 1;
    this.#held.set(identity, verified);
    if (!this.#rates.has(identity)) {
      const bucket = new TokenBucket(DESCRIPTORS_PER_SECOND, DESCRIPTOR_BURST - 1, this.options.nowMs());
      this.#rates.set(identity, bucket);
    }
    this.#byPrefix.set(prefixOf(identity), identity);
  }

  /** Takes back what was accepted before a restart; whether it still counts is decided when a consensus is made. */
  restore(text: string): void {
    this.hold(this.options.verifier.descriptor(text));
  }

  /** Forgets descriptors none of whose keys can be used any more; returns whose. */
  expire(nowMs: UnixMs): IdentityHex[] {
    const epoch = epochAt(nowMs, epochMsOf(this.options.verifier.network));
    return this.#removeWhere(({ sphinxKeys }) => (sphinxKeys.at(-1)?.epoch ?? 0) < epoch);
  }

  /** Forgets the descriptors of those who have ceased to be members; returns whose. */
  dismiss(): IdentityHex[] {
    const { membership } = this.options;
    if (this.#dismissedAt === membership.revision) return [];
    this.#dismissedAt = membership.revision;
    return this.#removeWhere((descriptor) => membership.refusalOf(descriptor) !== undefined);
  }

  #removeWhere(isGone: (descriptor: Descriptor) => boolean): IdentityHex[] {
    const gone = [...this.#held.values()].map(({ descriptor }) => descriptor).filter(isGone);
    for (const { identity } of gone) {
      this.revision += 1;
      this.#held.delete(identity);
      this.#byPrefix.delete(prefixOf(identity));
      this.#rates.delete(identity);
    }
    return gone.map(({ identity }) => identity);
  }

  #requireNewer({ identity, publishedMs }: Descriptor): void {
    const held = this.#held.get(identity);
    if (held === undefined || publishedMs > held.descriptor.publishedMs) return;
    const which = publishedMs < held.descriptor.publishedMs ? 'a newer one' : 'another one of the same millisecond';
    throw new DocumentRefused('stale', `descriptor: ${which} of this identity is held`);
  }

  /** After all else: what others replay of a node's costs it nothing. */
  #requireRate({ identity }: Descriptor): void {
    if (this.#rates.get(identity)?.take(this.options.nowMs()) === false) {
      throw new DocumentRefused('rate', 'descriptor: too many new ones of this node');
    }
  }

  #requireTimely(descriptor: Descriptor, nowMs: UnixMs): void {
    const { publishedMs, sphinxKeys } = descriptor;
    const epochMs = epochMsOf(this.options.verifier.network);
    const aheadMs = publishedMs - nowMs;
    if (Math.abs(aheadMs) > timing.clockSkewMs(epochMs)) {
      const way = aheadMs > 0 ? 'ahead' : 'behind';
      throw new DocumentRefused(
        'clock-skew',
        `descriptor: made ${Math.round(Math.abs(aheadMs) / 1000)} s ${way} of the authority's clock`,
      );
    }
    if (descriptor.role === 'requester') this.#requireRecent(descriptor.gateways, nowMs);
    const epoch = epochAt(nowMs, epochMs);
    const epochs = sphinxKeys.map((key) => key.epoch);
    if (!epochs.includes(epoch) || !epochs.includes(laterEpoch(epoch, 1))) {
      throw new DocumentRefused('key-epochs', `descriptor: has no keys for epochs ${epoch} and ${epoch + 1}`);
    }
  }

  /** It would not be listed: its operator learns why. */
  #requireCapacity(descriptor: Descriptor): void {
    const { minCapacity = 0 } = this.options;
    if (hasCapacity(descriptor, minCapacity)) return;
    const carried = 'capacity' in descriptor ? descriptor.capacity : 'an unknown number of';
    throw new DocumentRefused(
      'capacity',
      `descriptor: this node carries ${carried} packets/s, and the network lists those that carry ${minCapacity} or more`,
    );
  }

  #requireRecent(gateways: readonly Countersignature[], nowMs: UnixMs): void {
    const skewMs = timing.clockSkewMs(epochMsOf(this.options.verifier.network));
    const isRecent = ({ madeMs }: Countersignature) =>
      nowMs - madeMs <= MAX_COUNTERSIGNATURE_AGE_MS && madeMs - nowMs <= skewMs;
    if (gateways.every(isRecent)) return;
    throw new DocumentRefused('stale', 'descriptor: gateways: the countersignature is too old or ahead of the clock');
  }

  /** A member has a seat, whether it is there or not: newcomers never take it. */
  #requireRoom({ identity }: Descriptor): void {
    if (this.#held.has(identity)) return;
    if (this.#byPrefix.has(prefixOf(identity))) {
      throw new DocumentRefused('prefix-collision', 'another node shares the first 8 bytes of the identity');
    }
    const { membership, maxNodes } = this.options;
    const isFull = this.#held.size >= maxNodes; // of members alone, where the bound was lowered
    if (!isFull && (membership.isKnown(identity) || this.#seatsTaken() < maxNodes)) return;
    throw new DocumentRefused(
      'full',
      `the authority keeps no more than ${maxNodes} nodes, those that are away included`,
    );
  }

  #seatsTaken(): number {
    const { membership } = this.options;
    const guests = [...this.#held.keys()].filter((identity) => !membership.isKnown(identity)).length;
    return membership.size + guests;
  }
}
