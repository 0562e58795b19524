/**
 * Which descriptors an authority takes. Pure: texts and times come in, the accepted descriptor or a DocumentRefused
 * comes out.
 * @module
 */
import { constantTimeEqual, fromHex, type IdentityHex, isIdentityHex } from '../lib/bytes.ts';
import type { Crypto } from '../lib/crypto/index.ts';
import {
  type Descriptor,
  DocumentRefused,
  epochMsOf,
  joinProof,
  timing,
  type VerifiedDescriptor,
  type Verifier,
} from '../lib/directory/index.ts';
import { MixError } from '../lib/errors.ts';
import { epochAt } from '../lib/params.ts';

/** Who may join. */
export interface JoinRules {
  readonly allow: ReadonlySet<IdentityHex>;
  readonly joinToken: string | undefined;
  readonly openToAll: boolean;
}

/** Hex digits of an identity that must be unique in a network: compact reply blocks name a node by them. */
const PREFIX_DIGITS = 16;

export class Admission {
  /** Grows with every change of what is held. */
  revision = 0;
  readonly #held = new Map<IdentityHex, VerifiedDescriptor>();
  readonly #byPrefix = new Map<string, IdentityHex>();

  constructor(
    readonly verifier: Verifier,
    readonly rules: JoinRules,
    readonly maxNodes: number,
    readonly crypto: Crypto,
  ) {}

  /** The descriptors held, by identity. */
  get held(): ReadonlyMap<IdentityHex, VerifiedDescriptor> {
    return this.#held;
  }

  /** Takes a descriptor in, with the proof that came with it; throws DocumentRefused. */
  accept(text: string, proofHex: string | undefined, nowMs: number): { descriptor: Descriptor; changed: boolean } {
    const verified = this.verifier.descriptor(text);
    const { descriptor } = verified;
    this.#requireMember(verified, proofHex);
    this.#requireTimely(descriptor, nowMs);
    const known = this.#held.get(descriptor.identity);
    if (known?.payload === verified.payload) return { descriptor, changed: false };
    if (known !== undefined && descriptor.publishedMs <= known.descriptor.publishedMs) {
      throw new DocumentRefused('stale', 'descriptor: a newer one of this identity is held');
    }
    this.#requireRoom(descriptor);
    this.#hold(verified);
    return { descriptor, changed: true };
  }

  /** Takes back what was accepted before a restart; whether it still counts is decided when a consensus is made. */
  restore(text: string): void {
    const verified = this.verifier.descriptor(text);
    this.#requireRoom(verified.descriptor);
    this.#hold(verified);
  }

  /** Forgets descriptors none of whose keys can be used any more; returns whose. */
  expire(nowMs: number): IdentityHex[] {
    const epoch = epochAt(nowMs, epochMsOf(this.verifier.network));
    const gone: IdentityHex[] = [];
    for (const [identity, { descriptor }] of this.#held) {
      if ((descriptor.sphinxKeys.at(-1)?.epoch ?? 0) >= epoch) continue;
      this.revision += 1;
      this.#held.delete(identity);
      this.#byPrefix.delete(prefixOf(identity));
      gone.push(identity);
    }
    return gone;
  }

  #hold(verified: VerifiedDescriptor): void {
    const { identity } = verified.descriptor;
    this.revision += 1;
    this.#held.set(identity, verified);
    this.#byPrefix.set(prefixOf(identity), identity);
  }

  #requireMember({ descriptor, payload }: VerifiedDescriptor, proofHex: string | undefined): void {
    const { allow, joinToken, openToAll } = this.rules;
    if (openToAll || allow.has(descriptor.identity)) return;
    if (joinToken === undefined) throw new DocumentRefused('not-a-member', 'the identity is not on the allow list');
    if (proofHex === undefined) throw new DocumentRefused('not-a-member', 'a join token is needed');
    const proof = fromHex(proofHex, 32);
    if (proof === undefined || !constantTimeEqual(proof, joinProof(joinToken, payload, this.crypto))) {
      throw new DocumentRefused('not-a-member', 'the join token is not the right one');
    }
  }

  #requireTimely({ publishedMs, sphinxKeys }: Descriptor, nowMs: number): void {
    const epochMs = epochMsOf(this.verifier.network);
    const aheadMs = publishedMs - nowMs;
    if (Math.abs(aheadMs) > timing.clockSkewMs(epochMs)) {
      const way = aheadMs > 0 ? 'ahead' : 'behind';
      throw new DocumentRefused(
        'clock-skew',
        `descriptor: made ${Math.round(Math.abs(aheadMs) / 1000)} s ${way} of the authority's clock`,
      );
    }
    const epoch = epochAt(nowMs, epochMs);
    const epochs = sphinxKeys.map((key) => key.epoch);
    if (!epochs.includes(epoch) || !epochs.includes(epoch + 1)) {
      throw new DocumentRefused('key-epochs', `descriptor: has no keys for epochs ${epoch} and ${epoch + 1}`);
    }
  }

  #requireRoom({ identity }: Descriptor): void {
    if (this.#held.has(identity)) return;
    if (this.#byPrefix.has(prefixOf(identity))) {
      throw new DocumentRefused('prefix-collision', 'another node shares the first 8 bytes of the identity');
    }
    if (this.#held.size >= this.maxNodes) {
      throw new DocumentRefused('full', `the authority keeps no more than ${this.maxNodes} nodes`);
    }
  }
}

function prefixOf(identity: IdentityHex): string {
  return identity.slice(0, PREFIX_DIGITS);
}

/** The rules as configured; throws CONFIG when nobody could join. */
export function joinRules(config: { allow: string[]; joinToken?: string | undefined; openToAll: boolean }): JoinRules {
  const bad = config.allow.find((identity) => !isIdentityHex(identity));
  if (bad !== undefined) throw new MixError('CONFIG', `allow: '${bad}' is not an identity (64 lower-case hex digits)`);
  if (config.allow.length === 0 && config.joinToken === undefined && !config.openToAll) {
    throw new MixError('CONFIG', 'nobody could join: set joinToken, allow or openToAll');
  }
  return {
    allow: new Set(config.allow.filter(isIdentityHex)),
    joinToken: config.joinToken,
    openToAll: config.openToAll,
  };
}
