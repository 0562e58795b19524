/**
 * One voting of one authority: its box of votes, and after the last round what they come to. Pure but for what it is given.
 * @module
 */
import type { IdentityHex } from '../../lib/core/bytes.ts';
import type { UnixMs } from '../../lib/core/units.ts';
import { speaks, type VersionRange, versionsText } from '../../lib/core/version-range.ts';
import type { Crypto } from '../../lib/crypto/index.ts';
import { sign, validSigners } from '../../lib/directory/envelope.ts';
import {
  type Consensus,
  type Descriptor,
  DOCUMENT_VERSION,
  DocumentRefused,
  parseConsensus,
  type VerifiedConsensus,
  type VerifiedDescriptor,
} from '../../lib/directory/index.ts';
import { payloadDigest } from '../../lib/directory/verify.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Merged, mergeBallots, Quorum } from './merge.ts';
import { endOfRoundsMs, roundAt, type Slot } from './schedule.ts';
import type { Previous } from './vote.ts';
import type { AcceptedVote, VoteBox, VoteOutcome } from './vote-box.ts';

/** Makes the document of `epoch`; a line that says what is missing when there can be none. */
export type Assemble = (
  slot: Slot,
  descriptors: readonly Descriptor[],
  params: Merged['params'],
  previous: Consensus | undefined,
  version: number,
) => Consensus | string;

/**
 * What an authority would sign, as it shows it to the others before it signs: the digest of the document that its counted votes came to
 * (hex), with a signature under a prefix of its own (hex). So nobody on the way between two authorities can make one of them believe that
 * the others agree, and use up its epoch. Good for one voting only.
 */
export interface ShownResult {
  readonly digest: string;
  readonly signature: string;
}

/** The voting that a result is of. */
export type ResultOf = Pick<Slot, 'epoch' | 'attempt'> & { readonly network: string };

/** What all who counted the same votes would sign. */
export interface Result {
  readonly digest: string;
  /** The same, as the others are to see it. */
  readonly shown: ShownResult;
  readonly payload: string;
}

export interface ElectionOptions {
  readonly slot: Slot;
  readonly box: VoteBox;
  readonly quorum: Quorum;
  readonly crypto: Crypto;
  readonly network: string;
  readonly identitySeed: Uint8Array;
  readonly assemble: Assemble;
  readonly merge: typeof mergeBallots;
  /** Of consensuses, that this authority makes. */
  readonly versions: VersionRange;
}

export class Election {
  hasVoted = false;
  /** Since the votes were counted: those that count. */
  counted: readonly AcceptedVote[] | undefined;
  merged: Merged | undefined;
  result: Result | undefined;
  /** Why there is no result, in one line. */
  problem = '';
  readonly #descriptors = new Map<string, VerifiedDescriptor>();
  #previous: VerifiedConsensus | undefined;
  /** What the others would sign, as each has signed. */
  readonly #results = new Map<IdentityHex, string>();

  constructor(readonly options: ElectionOptions) {}

  get slot(): Slot {
    return this.options.slot;
  }

  get box(): VoteBox {
    return this.options.box;
  }

  take(text: string, ballotText: string | undefined, nowMs: UnixMs): VoteOutcome {
    return this.box.take(text, ballotText, roundAt(this.slot, nowMs));
  }

  /** Counts once, after the last round. */
  count(nowMs: UnixMs): boolean {
    if (this.counted !== undefined || nowMs < endOfRoundsMs(this.slot)) return false;
    this.counted = this.box.counted();
    this.merged = this.options.merge(
      this.counted.map(({ ballot }) => ballot),
      this.options.quorum,
      this.slot.attempt,
    );
    if (this.merged === undefined) {
      this.problem = `${this.counted.length} votes count, and ${this.options.quorum.threshold} are needed`;
    }
    return true;
  }

  /** A descriptor that a ballot may name. */
  addDescriptor(verified: VerifiedDescriptor): void {
    this.#descriptors.set(payloadDigest(verified.payload, this.options.crypto), verified);
  }

  descriptor(digest: string): VerifiedDescriptor | undefined {
    return this.#descriptors.get(digest);
  }

  addPrevious(verified: VerifiedConsensus): void {
    if (verified.digest === this.merged?.previous?.digest) this.#previous = verified;
  }

  /** Digests of the descriptors that were chosen and are not here. */
  missingDescriptors(): string[] {
    if (this.result !== undefined) return [];
    const chosen = this.merged?.nodes.map(([, digest]) => digest) ?? [];
    return chosen.filter((digest) => !this.#descriptors.has(digest));
  }

  missingPrevious(): Previous | undefined {
    return this.#previous === undefined && this.result === undefined ? this.merged?.previous : undefined;
  }

  /** Makes the document, once all that it is made of is here. */
  conclude(): void {
    const { merged } = this;
    if (merged === undefined || this.result !== undefined || this.problem !== '') return;
    const { version } = merged;
    if (version === undefined || !speaks(this.options.versions, version)) {
      this.problem = versionProblem(version, this.options.versions);
      return;
    }
    if (this.missingDescriptors().length > 0 || this.missingPrevious() !== undefined) return;
    const descriptors = merged.nodes.flatMap(([identity, digest]) => {
      const found = this.#descriptors.get(digest)?.descriptor;
      return found?.identity === identity ? [found] : [];
    });
    const made = this.options.assemble(this.slot, descriptors, merged.params, this.#previous?.consensus, version);
    if (typeof made === 'string') {
      this.problem = made;
      return;
    }
    const payload = canonicalJson(made);
    const fault = faultOf(payload, this.options.versions);
    if (fault !== undefined) {
      this.problem = `the votes come to what no member would take: ${fault}`;
      return;
    }
    const { crypto, identitySeed } = this.options;
    const digest = payloadDigest(payload, crypto);
    this.result = { payload, digest, shown: signResult(this.#of, digest, identitySeed, crypto) };
  }

  /** Takes what the authority `from` comes to, if it has signed that. */
  takeResult(from: IdentityHex, shown: ShownResult): void {
    if (this.#results.get(from) === shown.digest) return;
    if (isResultOf(this.#of, from, shown, this.options.crypto)) this.#results.set(from, shown.digest);
  }

  /** Other authorities that come to the document with this digest. */
  agreeing(digest: string): IdentityHex[] {
    return [...this.#results].flatMap(([from, result]) => (result === digest ? [from] : []));
  }

  get #of(): ResultOf {
    return { network: this.options.network, ...this.options.slot };
  }
}

/** Why there is none of this version, in one line. */
function versionProblem(agreed: number | undefined, ours: VersionRange): string {
  if (agreed === undefined) return 'the authorities have no version of the consensus in common: update the older ones';
  const line = `the votes agree on version ${agreed} of the consensus, and this authority makes ${versionsText(ours)}`;
  return agreed > ours.highest ? `${line}: update mixsocks` : line;
}

/** What is wrong with a consensus, in one line: one that members refuse must not use up the epoch. */
function faultOf(payload: string, versions: VersionRange): string | undefined {
  try {
    parseConsensus(payload, versions);
    return undefined;
  } catch (error) {
    if (error instanceof DocumentRefused) return error.message;
    throw error;
  }
}

/** The result `digest` with the signature of `seed`. */
export function signResult(of: ResultOf, digest: string, seed: Uint8Array, crypto: Crypto): ShownResult {
  return { digest, signature: sign('result', payloadOf(of, digest), seed, crypto).signature };
}

/** Whether the authority `from` has signed this result of this voting. */
export function isResultOf(
  of: ResultOf,
  from: IdentityHex,
  { digest, signature }: ShownResult,
  crypto: Crypto,
): boolean {
  const envelope = { payload: payloadOf(of, digest), signatures: [{ signer: from, signature }] };
  return validSigners('result', envelope, new Set([from]), crypto).has(from);
}

function payloadOf({ network, epoch, attempt }: ResultOf, digest: string): string {
  return canonicalJson({ version: DOCUMENT_VERSION, network, epoch, attempt, digest });
}
