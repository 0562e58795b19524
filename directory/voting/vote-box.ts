/**
 * The votes of one voting, so that all honest authorities end with the same ones although others lie to each of them differently
 * (Dolev and Strong, Authenticated Algorithms for Byzantine Agreement, 1983).
 *
 * Time is cut into rounds. In round r a vote is accepted with the signatures of r authorities, the author's among them. Who accepts one
 * signs it too and shows it to all: so they accept it in the next round. There is one round more than authorities may fail; among the
 * signers in the last one is an honest one, who has shown the vote to all before. At the end an author counts whose votes are one; who has
 * signed two is at fault. Pure: bytes and rounds come in.
 * @module
 */
import { type IdentityHex, toHex } from '../../lib/core/bytes.ts';
import type { Crypto } from '../../lib/crypto/index.ts';
import {
  type Envelope,
  encodeEnvelope,
  parseEnvelope,
  type Signature,
  sign,
  validSignatures,
} from '../../lib/directory/envelope.ts';
import { epochMsOf, type NetworkFile } from '../../lib/directory/index.ts';
import {
  type Ballot,
  envelopeOf,
  MAX_VOTE_BYTES,
  parseBallot,
  parseVote,
  type Signed,
  type TwoSigned,
  unlessRefused,
  type Vote,
} from './vote.ts';

/** Votes of one author that are passed on: two show all that he signs several. */
export const MAX_VOTES_PER_AUTHOR = 2;

/** A vote that was accepted. */
export interface AcceptedVote extends Signed {
  readonly vote: Vote;
  readonly ballot: Ballot;
  readonly ballotText: string;
}

/** A vote with its ballot, as it is kept. */
export interface KeptVote {
  readonly vote: string;
  readonly ballot: string;
}

/** What became of a vote: `late` ones have too few signatures for the round. */
export type VoteOutcome = 'accepted' | 'known' | 'late' | 'refused';

export interface VoteBoxOptions {
  readonly network: NetworkFile;
  readonly networkIdHex: string;
  readonly epoch: number;
  readonly attempt: number;
  /** The last round, counted from 1. */
  readonly rounds: number;
  readonly identitySeed: Uint8Array;
  readonly crypto: Crypto;
}

interface Held extends AcceptedVote {
  readonly signatures: Map<IdentityHex, Signature>;
}

export class VoteBox {
  readonly #authorities: ReadonlySet<IdentityHex>;
  readonly #accepted = new Map<IdentityHex, Map<string, Held>>();
  /** The first envelope of each author that holds, accepted or not. */
  readonly #first = new Map<IdentityHex, { payload: string; envelope: string }>();
  readonly twoVotes: TwoSigned[] = [];

  constructor(readonly options: VoteBoxOptions) {
    this.#authorities = new Set(options.network.authorities.map(({ id }) => id));
  }

  /** The ballot that this vote names and that has to come with it; undefined when it is known, or the vote is none. */
  ballotWanted(text: string, round: number): string | undefined {
    const read = this.#read(text);
    if (read === undefined || this.#heldOf(read) !== undefined || this.#isFull(read.vote.authority)) return undefined;
    return this.#isTimely(this.#signaturesOf(read.envelope), round) ? read.vote.ballot : undefined;
  }

  /** Takes a vote with its ballot, which may be left out for one that is held. */
  take(text: string, ballotText: string | undefined, round: number): VoteOutcome {
    const read = this.#read(text);
    if (read === undefined) return 'refused';
    const { vote, envelope } = read;
    const held = this.#heldOf(read);
    if (held !== undefined) {
      for (const [signer, signature] of this.#signaturesOf(envelope, held.signatures)) {
        held.signatures.set(signer, signature);
      }
      return 'known';
    }
    const signatures = this.#signaturesOf(envelope);
    if (!signatures.has(vote.authority)) return 'refused';
    this.#noteAuthor(vote, envelope.payload, signatures);
    if (!this.#isTimely(signatures, round)) return 'late';
    const ballot = ballotText === undefined ? undefined : this.#ballot(vote, ballotText);
    if (ballot === undefined || ballotText === undefined || this.#isFull(vote.authority)) return 'refused';
    this.#accept({ vote, payload: envelope.payload, ballot, ballotText, signatures });
    return 'accepted';
  }

  /** What is passed on: each accepted vote with all its signatures. */
  envelopes(): string[] {
    return this.#all().map(envelopeOf);
  }

  /** The accepted votes with their ballots, by author. */
  kept(): Map<IdentityHex, KeptVote[]> {
    const kept = (held: Held): KeptVote => ({ vote: envelopeOf(held), ballot: held.ballotText });
    return new Map([...this.#accepted].map(([authority, votes]) => [authority, [...votes.values()].map(kept)]));
  }

  /** The text of a ballot of an accepted vote. */
  ballotText(digest: string): string | undefined {
    return this.#all().find(({ vote }) => vote.ballot === digest)?.ballotText;
  }

  /** After the last round: the votes of authors that have one, by author. */
  counted(): AcceptedVote[] {
    const single = [...this.#accepted.values()].filter(({ size }) => size === 1);
    return single
      .flatMap((votes) => [...votes.values()])
      .sort((a, b) => (a.vote.authority < b.vote.authority ? -1 : 1));
  }

  #accept(held: Held): void {
    const { identitySeed, crypto } = this.options;
    const own = sign('vote', held.payload, identitySeed, crypto);
    held.signatures.set(own.signer, own);
    const votes = this.#accepted.get(held.vote.authority) ?? new Map<string, Held>();
    this.#accepted.set(held.vote.authority, votes.set(held.payload, held));
  }

  #isFull(authority: IdentityHex): boolean {
    return (this.#accepted.get(authority)?.size ?? 0) >= MAX_VOTES_PER_AUTHOR;
  }

  #all(): Held[] {
    return [...this.#accepted.values()].flatMap((votes) => [...votes.values()]);
  }

  #heldOf({ vote, envelope }: { vote: Vote; envelope: Envelope }): Held | undefined {
    return this.#accepted.get(vote.authority)?.get(envelope.payload);
  }

  #isTimely(signatures: ReadonlyMap<IdentityHex, Signature>, round: number): boolean {
    return round <= this.options.rounds && signatures.size >= Math.max(1, round);
  }

  /** A vote for this voting by an authority; not yet whether its signatures hold. */
  #read(text: string): { vote: Vote; envelope: Envelope } | undefined {
    const { networkIdHex, epoch, attempt } = this.options;
    return unlessRefused(() => {
      const envelope = parseEnvelope('vote', text, MAX_VOTE_BYTES);
      const vote = parseVote(envelope.payload);
      const isOurs = vote.network === networkIdHex && vote.epoch === epoch && vote.attempt === attempt;
      return isOurs && this.#authorities.has(vote.authority) ? { vote, envelope } : undefined;
    });
  }

  /** The valid signatures of authorities, of each the first, without those that are `known`. */
  #signaturesOf(envelope: Envelope, known?: ReadonlyMap<IdentityHex, Signature>) {
    return validSignatures('vote', envelope, this.#authorities, this.options.crypto, known);
  }

  /** A second vote of an author is evidence, whenever it comes. */
  #noteAuthor({ authority }: Vote, payload: string, signatures: ReadonlyMap<IdentityHex, Signature>): void {
    const own = signatures.get(authority);
    const envelope = encodeEnvelope({ payload, signatures: own === undefined ? [] : [own] });
    const first = this.#first.get(authority);
    if (first === undefined) this.#first.set(authority, { payload, envelope });
    else if (first.payload !== payload && !this.twoVotes.some((two) => two.authority === authority)) {
      this.twoVotes.push({ authority, envelopes: [first.envelope, envelope] });
    }
  }

  #ballot(vote: Vote, text: string): Ballot | undefined {
    const { network, crypto } = this.options;
    if (toHex(crypto.sha256(Buffer.from(text, 'utf8'))) !== vote.ballot) return undefined;
    return unlessRefused(() => {
      const ballot = parseBallot(text);
      const fits = ballot.params.epochMs === epochMsOf(network) && ballot.params.payloadBytes === network.payloadBytes;
      return fits ? ballot : undefined;
    });
  }
}
