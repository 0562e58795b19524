/**
 * The consensuses a member holds: the one in force and the one that follows it, what was seen of each epoch, and
 * the evidence of authorities that signed two. A pure state machine: bytes and times come in, nothing goes out.
 * @module
 */

import type { IdentityHex } from '../../core/bytes.ts';
import { epochAt, epochStartMs, keyGraceMs } from '../../core/params.ts';
import type { EpochNumber, UnixMs } from '../../core/units.ts';
import type { DifferenceEnd } from '../consensus-difference.ts';
import type { ConsensusText } from '../consensus-pieces.ts';
import { epochMsOf } from '../network-file.ts';
import { DocumentRefused } from '../refusal.ts';
import { Topology } from '../topology.ts';
import type { VerifiedConsensus, Verifier } from '../verify.ts';

/** Where a consensus came from; its signatures count, whoever brings it. */
export type DocumentOrigin = 'authority' | 'gateway' | 'cache';

/** Two valid documents of one epoch: authorities that signed both are at fault. */
export interface Evidence {
  readonly epoch: EpochNumber;
  /** The authorities that signed both. */
  readonly signers: readonly IdentityHex[];
  /** The two envelopes, the one in use first. */
  readonly documents: readonly [string, string];
}

/** Pairs of evidence kept, one an epoch; one is enough to act on. */
export const MAX_EVIDENCE = 8;
/** Epochs of which a document is remembered: the one in use, its neighbours, one to compare with. */
const EPOCHS_REMEMBERED = 4;

interface Held {
  readonly verified: VerifiedConsensus;
  readonly topology: Topology;
  readonly origin: DocumentOrigin;
  /** Had from an authority, or from the cache: one that only a gateway has given is still asked for. */
  confirmed: boolean;
}

export class ConsensusStore {
  readonly evidence: Evidence[] = [];
  #held = new Map<number, Held>();
  #newestInForce = -1;
  /** The last answer of `inForce`. */
  #inForce: Topology | undefined;

  constructor(readonly verifier: Verifier) {}

  get epochMs(): number {
    return epochMsOf(this.verifier.network);
  }

  /**
   * Takes a consensus in, or throws DocumentRefused. From an authority only that of the current epoch is taken, and from
   * Δ before a turn the next one; from a gateway and from the own cache whatever has not expired. It must be the one `asked`
   * for: with another an authority would pass for having answered, and be asked again at once.
   */
  offer(text: string, nowMs: UnixMs, from: DocumentOrigin, asked?: number): 'new' | 'known' {
    const verified = this.verifier.consensus(text);
    const { epoch } = verified.consensus;
    const held = this.#held.get(epoch);
    if (held !== undefined) this.#compare(held.verified, verified);
    if (asked !== undefined && epoch !== asked) {
      throw new DocumentRefused('other-epoch', `consensus: is that of epoch ${epoch}, not of epoch ${asked}`, epoch);
    }
    if (held !== undefined) {
      held.confirmed ||= from !== 'gateway';
      return 'known';
    }
    this.#requireTimely(verified, nowMs, from);
    const topology = new Topology(verified.consensus);
    this.#held.set(epoch, { verified, topology, origin: from, confirmed: from !== 'gateway' });
    this.#advance(nowMs);
    this.#inForce = undefined;
    return 'new';
  }

  /** The newest consensus whose time has come and that has not expired. */
  inForce(nowMs: UnixMs): Topology | undefined {
    // Asked for every packet: within its epoch the newest one stays the newest.
    const last = this.#inForce;
    if (last !== undefined && nowMs >= last.validAfterMs && nowMs < last.validAfterMs + this.epochMs) return last;
    this.#advance(nowMs);
    this.#inForce = this.#newest(nowMs)?.topology;
    return this.#inForce;
  }

  /** SHA-256 of the payload held for `epoch`. */
  digest(epoch: EpochNumber): string | undefined {
    return this.#held.get(epoch)?.verified.digest;
  }

  /** The newest one held of an epoch before `epoch`: a difference can start from it. */
  before(epoch: EpochNumber): DifferenceEnd | undefined {
    const earlier = [...this.#held.keys()].filter((one) => one < epoch);
    return this.#held.get(Math.max(...earlier))?.verified;
  }

  /** Whether exactly this document is held. */
  isHeld({ epoch, text }: ConsensusText): boolean {
    return this.#held.get(epoch)?.verified.text === text;
  }

  /** Whether an authority has given, or confirmed, the consensus of `epoch`; what is in the cache counts as such. */
  isConfirmed(epoch: EpochNumber): boolean {
    return this.#held.get(epoch)?.confirmed === true;
  }

  /** An authority has the consensus that is held for `epoch`. */
  confirm(epoch: EpochNumber): void {
    const held = this.#held.get(epoch);
    if (held !== undefined) held.confirmed = true;
  }

  /** Who gave the consensus of `epoch` first. */
  originOf(epoch: EpochNumber): DocumentOrigin | undefined {
    return this.#held.get(epoch)?.origin;
  }

  /** Those that others can use: the one in force, and what is to follow it. Oldest first. */
  usable(nowMs: UnixMs): ConsensusText[] {
    const oldest = this.inForce(nowMs)?.epoch ?? 0;
    return [...this.#held.values()]
      .filter(({ topology }) => topology.epoch >= oldest && nowMs < topology.validUntilMs)
      .map(({ topology, verified }) => ({ epoch: topology.epoch, text: verified.text }))
      .sort((a, b) => a.epoch - b.epoch);
  }

  /** The envelopes worth keeping over a restart, oldest first. */
  texts(nowMs: UnixMs): string[] {
    return [...this.#held.values()]
      .filter(({ verified }) => nowMs < verified.consensus.validUntilMs)
      .sort((a, b) => a.topology.epoch - b.topology.epoch)
      .map(({ verified }) => verified.text);
  }

  /**
   * One pair convicts those who signed it. More of the same epoch are not kept: they could be the same two documents
   * under other signatures, of which anybody can make as many as he likes.
   */
  #compare(held: VerifiedConsensus, offered: VerifiedConsensus): void {
    if (held.digest === offered.digest) return;
    const { epoch } = held.consensus;
    if (this.evidence.length < MAX_EVIDENCE && !this.evidence.some((pair) => pair.epoch === epoch)) {
      const signers = [...held.signers].filter((signer) => offered.signers.has(signer));
      this.evidence.push({ epoch, signers, documents: [held.text, offered.text] });
    }
    throw new DocumentRefused(
      'equivocation',
      `consensus: the authorities signed two different ones for epoch ${epoch}`,
      epoch,
    );
  }

  #requireTimely({ consensus }: VerifiedConsensus, nowMs: UnixMs, from: DocumentOrigin): void {
    const { epoch } = consensus;
    const current = epochAt(nowMs, this.epochMs);
    const is = (what: string) => `consensus: epoch ${epoch} ${what} (this is epoch ${current})`;
    if (nowMs >= consensus.validUntilMs) throw new DocumentRefused('expired', is('has expired'), epoch);
    if (nowMs < epochStartMs(epoch, this.epochMs) - keyGraceMs(this.epochMs)) {
      throw new DocumentRefused('future-epoch', is('is still to come'), epoch);
    }
    if (epoch < current && from === 'authority') throw new DocumentRefused('past-epoch', is('is past'), epoch);
    if (epoch < this.#newestInForce) throw new DocumentRefused('rollback', is('is older than one seen before'), epoch);
  }

  /** Notes the newest consensus that has been in force, and forgets what is far behind it. */
  #advance(nowMs: UnixMs): void {
    this.#newestInForce = Math.max(this.#newestInForce, this.#newest(nowMs)?.topology.epoch ?? -1);
    for (const epoch of this.#held.keys()) {
      if (epoch <= this.#newestInForce - EPOCHS_REMEMBERED) this.#held.delete(epoch);
    }
  }

  #newest(nowMs: UnixMs) {
    let newest: Held | undefined;
    for (const held of this.#held.values()) {
      const { epoch, validAfterMs, validUntilMs } = held.topology;
      // An older one than was in force must not come back when the wall clock is set back.
      const usable = nowMs >= validAfterMs ? nowMs < validUntilMs : epoch === this.#newestInForce;
      if (usable && epoch >= this.#newestInForce && epoch > (newest?.topology.epoch ?? -1)) newest = held;
    }
    return newest;
  }
}
