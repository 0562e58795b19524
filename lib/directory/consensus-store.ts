/**
 * The consensuses a member holds: the one in force and the one that follows it, what was seen of each epoch, and
 * the evidence of authorities that signed two. A pure state machine: bytes and times come in, nothing goes out.
 * @module
 */
import { epochAt, epochStartMs, keyGraceMs } from '../params.ts';
import { epochMsOf } from './network-file.ts';
import { DocumentRefused } from './refusal.ts';
import { Topology } from './topology.ts';
import type { VerifiedConsensus, Verifier } from './verify.ts';

/** Two valid documents of one epoch: authorities that signed both are at fault. */
export interface Evidence {
  readonly epoch: number;
  /** The two envelopes, the one in use first. */
  readonly documents: readonly [string, string];
}

/** Pairs of evidence kept, one an epoch; one is enough to act on. */
export const MAX_EVIDENCE = 8;
/** Epochs of which a document is remembered: the one in use, its neighbours, one to compare with. */
const EPOCHS_REMEMBERED = 4;

export class ConsensusStore {
  readonly evidence: Evidence[] = [];
  #held = new Map<number, { readonly verified: VerifiedConsensus; readonly topology: Topology }>();
  #newestInForce = -1;
  /** The last answer of `inForce`. */
  #inForce: Topology | undefined;

  constructor(readonly verifier: Verifier) {}

  get epochMs(): number {
    return epochMsOf(this.verifier.network);
  }

  /**
   * Takes a consensus in, or throws DocumentRefused. From the network only that of the current epoch is taken, and from
   * Δ before a turn the next one; from the own cache whatever has not expired. An authority must give the one `asked`
   * for: with another it would pass for an answer, and be asked again at once.
   */
  offer(text: string, nowMs: number, from: 'network' | 'cache', asked?: number): 'new' | 'known' {
    const verified = this.verifier.consensus(text);
    const { epoch } = verified.consensus;
    const held = this.#held.get(epoch)?.verified;
    if (held !== undefined) this.#compare(held, verified);
    if (asked !== undefined && epoch !== asked) {
      throw new DocumentRefused('other-epoch', `consensus: is that of epoch ${epoch}, not of epoch ${asked}`);
    }
    if (held !== undefined) return 'known';
    this.#requireTimely(verified, nowMs, from);
    this.#held.set(epoch, { verified, topology: new Topology(verified.consensus) });
    this.#advance(nowMs);
    this.#inForce = undefined;
    return 'new';
  }

  /** The newest consensus whose time has come and that has not expired. */
  inForce(nowMs: number): Topology | undefined {
    // Asked for every packet: within its epoch the newest one stays the newest.
    const last = this.#inForce;
    if (last !== undefined && nowMs >= last.validAfterMs && nowMs < last.validAfterMs + this.epochMs) return last;
    this.#advance(nowMs);
    this.#inForce = this.#newest(nowMs)?.topology;
    return this.#inForce;
  }

  /** SHA-256 of the payload held for `epoch`. */
  digest(epoch: number): string | undefined {
    return this.#held.get(epoch)?.verified.digest;
  }

  has(epoch: number): boolean {
    return this.#held.has(epoch);
  }

  /** The envelopes worth keeping over a restart, oldest first. */
  texts(nowMs: number): string[] {
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
      this.evidence.push({ epoch, documents: [held.text, offered.text] });
    }
    throw new DocumentRefused(
      'equivocation',
      `consensus: the authorities signed two different ones for epoch ${epoch}`,
    );
  }

  #requireTimely({ consensus }: VerifiedConsensus, nowMs: number, from: 'network' | 'cache'): void {
    const { epoch } = consensus;
    const current = epochAt(nowMs, this.epochMs);
    const is = (what: string) => `consensus: epoch ${epoch} ${what} (this is epoch ${current})`;
    if (nowMs >= consensus.validUntilMs) throw new DocumentRefused('expired', is('has expired'));
    if (nowMs < epochStartMs(epoch, this.epochMs) - keyGraceMs(this.epochMs)) {
      throw new DocumentRefused('future-epoch', is('is still to come'));
    }
    if (epoch < current && from === 'network') throw new DocumentRefused('past-epoch', is('is past'));
    if (epoch < this.#newestInForce) throw new DocumentRefused('rollback', is('is older than one seen before'));
  }

  /** Notes the newest consensus that has been in force, and forgets what is far behind it. */
  #advance(nowMs: number): void {
    this.#newestInForce = Math.max(this.#newestInForce, this.#newest(nowMs)?.topology.epoch ?? -1);
    for (const epoch of this.#held.keys()) {
      if (epoch <= this.#newestInForce - EPOCHS_REMEMBERED) this.#held.delete(epoch);
    }
  }

  #newest(nowMs: number) {
    let newest: { readonly verified: VerifiedConsensus; readonly topology: Topology } | undefined;
    for (const held of this.#held.values()) {
      const { epoch, validAfterMs, validUntilMs } = held.topology;
      // An older one than was in force must not come back when the wall clock is set back.
      const usable = nowMs >= validAfterMs ? nowMs < validUntilMs : epoch === this.#newestInForce;
      if (usable && epoch >= this.#newestInForce && epoch > (newest?.topology.epoch ?? -1)) newest = held;
    }
    return newest;
  }
}
