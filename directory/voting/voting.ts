/**
 * How several authorities come to one consensus for each epoch (docs/PROTOCOL.md section 4.9): each votes, all count the same votes, each
 * signs what they come to, and what enough have signed is published. An authority signs one document of an epoch; the record of it is on
 * the disk before the signature leaves.
 *
 * No I/O but through its options: a shell asks the other authorities, and gives what they answer to `takeSheet` and `takeAnswer`.
 * @module
 */
import { type IdentityHex, toHex } from '../../lib/core/bytes.ts';
import type { Clock } from '../../lib/core/clock.ts';
import { epochAt } from '../../lib/core/params.ts';
import { type EpochNumber, laterEpoch, type UnixMs } from '../../lib/core/units.ts';
import type { Crypto } from '../../lib/crypto/index.ts';
import { MAX_CONSENSUS_BYTES } from '../../lib/directory/documents.ts';
import { encodeEnvelope, parseEnvelope, type Signature, sign } from '../../lib/directory/envelope.ts';
import {
  DOCUMENT_VERSION,
  epochMsOf,
  parseConsensus,
  type VerifiedConsensus,
  type VerifiedDescriptor,
  type Verifier,
} from '../../lib/directory/index.ts';
import { payloadDigest } from '../../lib/directory/verify.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { canonicalJson } from './canonical-json.ts';
import type { EvidenceKind, VotingRecords } from './disk-records.ts';
import { type Assemble, Election } from './election.ts';
import { mergeBallots, quorumOf } from './merge.ts';
import { type Slot, slotAt } from './schedule.ts';
import { parseSheet, type Sheet, sheetText } from './sheet.ts';
import { SheetReader, type Want } from './sheet-reader.ts';
import { SignedDocuments } from './signed-documents.ts';
import { type Ballot, type TwoSigned, unlessRefused } from './vote.ts';
import { type KeptVote, VoteBox } from './vote-box.ts';

export interface VotingOptions {
  readonly verifier: Verifier;
  readonly identity: IdentityHex;
  readonly identitySeed: Uint8Array;
  readonly crypto: Crypto;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly log: Log;
  readonly records: VotingRecords;
  /** What to vote for; undefined: not yet. */
  readonly view: (slot: Slot) => Omit<Ballot, 'version'> | undefined;
  /** The descriptors held now. */
  readonly held: () => Iterable<VerifiedDescriptor>;
  readonly assemble: Assemble;
  readonly published: (epoch: EpochNumber) => VerifiedConsensus | undefined;
  readonly publish: (text: string) => Promise<void>;
  /** How ballots become one; only a test puts another in its place. */
  readonly merge?: typeof mergeBallots;
}

export class Voting {
  readonly #quorum;
  #election: Election | undefined;
  readonly #documents = new Map<EpochNumber, SignedDocuments>();
  readonly #reader: SheetReader;
  /** Of the epochs whose documents are held: against whom evidence was kept. */
  readonly #accused = new Map<EpochNumber, Set<string>>();

  constructor(readonly options: VotingOptions) {
    this.#quorum = quorumOf(options.verifier.network);
    this.#reader = new SheetReader(options);
  }

  get epochMs(): number {
    return epochMsOf(this.options.verifier.network);
  }

  /** The voting that is on; undefined once its consensus is published, or when there is none. */
  get openSlot(): Slot | undefined {
    const slot = this.#slot(this.options.clock.wallMs());
    return slot === undefined || this.options.published(slot.epoch) !== undefined ? undefined : slot;
  }

  /** The epoch to ask other authorities about. */
  get watched(): EpochNumber {
    const nowMs = this.options.clock.wallMs();
    return this.#slot(nowMs)?.epoch ?? epochAt(nowMs, this.epochMs);
  }

  /** Does what is due: votes, counts, signs, publishes. */
  async tick(): Promise<void> {
    const nowMs = this.options.clock.wallMs();
    await this.#keepDocuments(epochAt(nowMs, this.epochMs));
    const slot = this.#slot(nowMs);
    if (slot !== undefined) await this.#runElection(slot, nowMs);
    for (const epoch of this.#documents.keys()) await this.#publish(epoch);
    await this.#report();
  }

  /** What is shown of `epoch`; undefined when there is nothing of it. */
  sheet(epoch: EpochNumber): string | undefined {
    const documents = this.#documents.get(epoch);
    if (documents === undefined) return undefined;
    const election = this.#election?.slot.epoch === epoch ? this.#election : undefined;
    const sheet: Sheet = {
      version: DOCUMENT_VERSION,
      network: this.options.verifier.networkIdHex,
      epoch,
      attempt: election?.slot.attempt ?? 0,
      ...(election?.result === undefined ? {} : { result: election.result.shown }),
      votes: election?.box.envelopes() ?? [],
      documents: documents.all.map(({ digest, signatures }) => ({ digest, signatures: [...signatures.values()] })),
    };
    return sheetText(sheet);
  }

  /** A ballot, the payload of a consensus or the envelope of a descriptor, by the SHA-256 of what is signed of it. */
  content(epoch: EpochNumber, digest: string): string | undefined {
    const election = this.#election?.slot.epoch === epoch ? this.#election : undefined;
    return (
      election?.box.ballotText(digest) ??
      this.#documents.get(epoch)?.get(digest)?.payload ??
      election?.descriptor(digest)?.text
    );
  }

  /** Takes what the authority `from` shows; what to ask it for. Throws DocumentRefused. */
  takeSheet(from: IdentityHex, text: string): Want[] {
    const sheet = parseSheet(text);
    if (sheet.network !== this.options.verifier.networkIdHex) return [];
    const documents = this.#documents.get(sheet.epoch);
    const election = this.#election?.slot.epoch === sheet.epoch ? this.#election : undefined;
    return documents === undefined ? [] : this.#reader.read(from, sheet, documents, election);
  }

  /** Takes an answer to what was wanted. Throws DocumentRefused. */
  takeAnswer(want: Want, text: string): void {
    want.use(text, this.options.clock.wallMs());
  }

  #slot(nowMs: UnixMs): Slot | undefined {
    const epoch = epochAt(nowMs, this.epochMs);
    const isSettled = this.options.published(epoch) !== undefined;
    return slotAt(nowMs, this.epochMs, this.#quorum.faults + 1, isSettled);
  }

  async #runElection(slot: Slot, nowMs: UnixMs): Promise<void> {
    const before = this.#election?.slot;
    if (before?.epoch !== slot.epoch || before.attempt !== slot.attempt) this.#election = this.#newElection(slot);
    const election = this.#election as Election;
    if (!election.hasVoted) await this.#vote(election, nowMs);
    const { problem } = election;
    if (election.count(nowMs)) await this.#keepVotes(election);
    const previous = election.missingPrevious();
    const own = previous && this.options.published(previous.epoch);
    if (own !== undefined) election.addPrevious(own);
    election.conclude();
    if (election.problem !== problem) {
      const fields = { epoch: slot.epoch, problem: election.problem };
      this.options.log[election.hasVoted ? 'warn' : 'debug'](fields, 'no consensus comes of this voting');
    }
    await this.#sign(election);
  }

  #newElection(slot: Slot): Election {
    const { verifier, identitySeed, crypto, assemble, merge = mergeBallots } = this.options;
    const { network, networkIdHex } = verifier;
    const box = new VoteBox({ network, networkIdHex, ...slot, identitySeed, crypto });
    this.#reader.begin();
    return new Election({
      slot,
      box,
      quorum: this.#quorum,
      crypto,
      network: networkIdHex,
      identitySeed,
      assemble,
      merge,
      versions: verifier.versions,
    });
  }

  /** Votes within the first half of the first round, so that all have the vote before it ends; and again as before a crash. */
  async #vote(election: Election, nowMs: UnixMs): Promise<void> {
    const { records, held } = this.options;
    const { slot } = election;
    const isEarly = nowMs < slot.startMs + slot.roundMs / 2;
    const kept = (await records.ownVote(slot)) ?? (isEarly ? await this.#newVote(slot) : undefined);
    if (kept === undefined) return;
    election.hasVoted = true;
    for (const verified of held()) election.addDescriptor(verified);
    election.take(kept.vote, kept.ballot, nowMs);
  }

  async #newVote(slot: Slot): Promise<KeptVote | undefined> {
    const { verifier, identity, identitySeed, crypto, records, view } = this.options;
    const viewed = view(slot);
    if (viewed === undefined) return undefined;
    const { lowest, highest } = verifier.versions;
    const isPlain = lowest === DOCUMENT_VERSION && highest === DOCUMENT_VERSION;
    const named = isPlain ? {} : { consensusVersions: verifier.versions };
    const ballot = canonicalJson({ version: DOCUMENT_VERSION, ...viewed, ...named });
    const payload = canonicalJson({
      version: DOCUMENT_VERSION,
      network: verifier.networkIdHex,
      epoch: slot.epoch,
      attempt: slot.attempt,
      authority: identity,
      ballot: toHex(crypto.sha256(Buffer.from(ballot, 'utf8'))),
    });
    const vote = encodeEnvelope({ payload, signatures: [sign('vote', payload, identitySeed, crypto)] });
    return records.ownVote(slot, { vote, ballot });
  }

  async #keepVotes({ box, slot, counted = [] }: Election): Promise<void> {
    const { records, log, verifier } = this.options;
    await records.keepVotes(slot, box.kept());
    const { epoch, attempt } = slot;
    const fields = { epoch, attempt, votes: counted.length, of: verifier.network.authorities.length };
    log[counted.length > 0 ? 'info' : 'debug'](fields, 'votes counted');
  }

  /** Signs when as many come to the same as must sign: else all would have used up the epoch for nothing. */
  async #sign(election: Election): Promise<void> {
    const { result, slot } = election;
    const documents = this.#documents.get(slot.epoch);
    if (result === undefined || documents === undefined) return;
    const { identity, identitySeed, crypto, records, log } = this.options;
    const { digest, payload } = result;
    const signers = documents.get(digest)?.signatures ?? new Map<IdentityHex, Signature>();
    const agreeing = new Set([identity, ...signers.keys(), ...election.agreeing(digest)]);
    if (agreeing.size < this.#quorum.threshold || signers.has(identity)) return;
    const fresh = encodeEnvelope({ payload, signatures: [sign('consensus', payload, identitySeed, crypto)] });
    const recorded = await records.ownDocument(slot.epoch, fresh);
    if (recorded === undefined) return;
    this.#takeEnvelope(documents, recorded);
    if (recorded === fresh) log.info({ epoch: slot.epoch }, 'consensus signed');
  }

  async #publish(epoch: EpochNumber): Promise<void> {
    const { published, publish, verifier } = this.options;
    const text = this.#documents.get(epoch)?.complete;
    if (text === undefined || published(epoch) !== undefined) return;
    if (unlessRefused(() => verifier.consensus(text)) !== undefined) await publish(text);
  }

  /** Holds the documents of the current epoch and its neighbours, the own ones from before a crash among them. */
  async #keepDocuments(current: EpochNumber): Promise<void> {
    const { verifier, crypto, records, published } = this.options;
    for (const epoch of this.#documents.keys()) {
      if (Math.abs(epoch - current) <= 1) continue;
      this.#documents.delete(epoch);
      this.#accused.delete(epoch);
    }
    for (const epoch of [current, laterEpoch(current, 1)]) {
      if (this.#documents.has(epoch)) continue;
      const documents = new SignedDocuments(verifier.network, crypto, (payload) => this.#isOf(epoch, payload));
      this.#documents.set(epoch, documents);
      for (const text of [published(epoch)?.text, await records.ownDocument(epoch)]) {
        if (text !== undefined) this.#takeEnvelope(documents, text);
      }
    }
  }

  /** Takes an own document. One of another epoch, by hand in its place, is as good as one that cannot be read. */
  #takeEnvelope(documents: SignedDocuments, text: string): void {
    const { payload, signatures } = parseEnvelope('consensus', text, MAX_CONSENSUS_BYTES);
    unlessRefused(() => documents.take(payloadDigest(payload, this.options.crypto), signatures, payload));
  }

  #isOf(epoch: EpochNumber, payload: string): boolean {
    const consensus = unlessRefused(() => parseConsensus(payload, this.options.verifier.versions));
    return consensus?.epoch === epoch && consensus.network === this.options.verifier.networkIdHex;
  }

  /** Keeps evidence against others, and names them; each once. */
  async #report(): Promise<void> {
    for (const [epoch, { twoDocuments }] of this.#documents) {
      const election = this.#election?.slot.epoch === epoch ? this.#election : undefined;
      for (const two of election?.box.twoVotes ?? []) await this.#accuse(epoch, 'votes', two);
      for (const two of twoDocuments) await this.#accuse(epoch, 'consensuses', two);
    }
  }

  async #accuse(epoch: EpochNumber, kind: EvidenceKind, { authority, envelopes }: TwoSigned): Promise<void> {
    const accused = this.#accused.get(epoch) ?? new Set();
    if (accused.has(`${kind} ${authority}`)) return;
    this.#accused.set(epoch, accused.add(`${kind} ${authority}`));
    const { records, log, verifier } = this.options;
    await records.keepEvidence(epoch, kind, authority, envelopes);
    const url = verifier.network.authorities.find(({ id }) => id === authority)?.url;
    log.error({ epoch, authority, url }, `an authority signed two ${kind} for one epoch; both are kept`);
  }
}
