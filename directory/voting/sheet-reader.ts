/**
 * Reads what another authority shows of its voting: takes what can be used at once, and says what to ask it for. Pure.
 * @module
 */
import type { IdentityHex } from '../../lib/core/bytes.ts';
import type { Clock } from '../../lib/core/clock.ts';
import type { EpochNumber, UnixMs } from '../../lib/core/units.ts';
import type { Crypto } from '../../lib/crypto/index.ts';
import { MAX_DESCRIPTOR_BYTES, parseDescriptorList } from '../../lib/directory/documents.ts';
import { parseEnvelope } from '../../lib/directory/envelope.ts';
import type { Verifier } from '../../lib/directory/index.ts';
import { payloadDigest } from '../../lib/directory/verify.ts';
import type { Election, Result } from './election.ts';
import { roundAt } from './schedule.ts';
import { claimedSigners, type Sheet } from './sheet.ts';
import type { SignedDocuments } from './signed-documents.ts';
import { MAX_VOTES_PER_AUTHOR } from './vote-box.ts';

/** Something to ask the authority for that has shown it. */
export interface Want {
  /** `descriptors`: all that the authority holds; it has no digest. */
  readonly kind: 'ballot' | 'descriptor' | 'descriptors' | 'document' | 'previous';
  readonly epoch: EpochNumber;
  readonly digest: string;
  /** What it is wanted for. */
  readonly use: (text: string, nowMs: UnixMs) => void;
}

/** Descriptors asked for one by one after one sheet. Each takes a round trip in which no sheet is read, and rounds are short. */
const MAX_DESCRIPTORS_WANTED = 8;
/** Ballots and consensuses that one authority is asked for in an epoch, per authority of the network: what it makes up costs it these. */
export const FETCHES_PER_AUTHORITY = 8;

export interface SheetReaderOptions {
  readonly verifier: Verifier;
  readonly crypto: Crypto;
  readonly clock: Pick<Clock, 'wallMs'>;
}

export class SheetReader {
  readonly #fetches = new Map<IdentityHex, number>();
  /** Whom all descriptors were asked of in this voting. */
  readonly #listed = new Set<IdentityHex>();

  constructor(readonly options: SheetReaderOptions) {}

  /** Another voting has begun. */
  begin(): void {
    this.#fetches.clear();
    this.#listed.clear();
  }

  /** Takes the sheet of the authority `from` into what is held of its epoch; what to ask it for. */
  read(from: IdentityHex, sheet: Sheet, documents: SignedDocuments, election: Election | undefined): Want[] {
    const wants = this.#documents(from, sheet, documents, election?.result);
    if (election === undefined) return wants;
    if (election.slot.attempt === sheet.attempt) {
      wants.push(...this.#votes(from, sheet, election));
      if (sheet.result !== undefined) election.takeResult(from, sheet.result);
    }
    return [...wants, ...this.#missing(from, election)];
  }

  #documents(from: IdentityHex, { epoch, documents }: Sheet, held: SignedDocuments, own: Result | undefined): Want[] {
    const wants: Want[] = [];
    for (const { digest, signatures } of documents) {
      const payload = held.get(digest)?.payload ?? (own?.digest === digest ? own.payload : undefined);
      if (payload !== undefined) held.take(digest, signatures, payload);
      else if (held.wants(digest, claimedSigners(signatures)) && this.#mayFetch(from)) {
        wants.push({ kind: 'document', epoch, digest, use: (text) => held.take(digest, signatures, text) });
      }
    }
    return wants;
  }

  #votes(from: IdentityHex, { epoch, votes }: Sheet, election: Election): Want[] {
    const nowMs = this.options.clock.wallMs();
    const round = roundAt(election.slot, nowMs);
    const wants: Want[] = [];
    for (const vote of votes.slice(0, MAX_VOTES_PER_AUTHOR * this.options.verifier.network.authorities.length)) {
      const digest = election.box.ballotWanted(vote, round);
      const known = digest === undefined ? undefined : election.box.ballotText(digest);
      if (digest === undefined || known !== undefined) election.take(vote, known, nowMs);
      else if (this.#mayFetch(from)) {
        wants.push({ kind: 'ballot', epoch, digest, use: (text, atMs) => election.take(vote, text, atMs) });
      }
    }
    return wants;
  }

  /** What the counted votes came to and is not here, of an authority whose vote names it. */
  #missing(from: IdentityHex, election: Election): Want[] {
    const ballot = election.counted?.find(({ vote }) => vote.authority === from)?.ballot;
    if (ballot === undefined) return [];
    const listed = new Set(ballot.nodes.map(([, digest]) => digest));
    const wanted = election.missingDescriptors().filter((digest) => listed.has(digest));
    const wants = this.#descriptors(from, wanted, election);
    const previous = election.missingPrevious();
    if (previous === undefined) return wants;
    const use = (text: string) => election.addPrevious(this.options.verifier.consensus(text));
    return [{ kind: 'previous', ...previous, use }, ...wants];
  }

  /** Where many are missing, all that the authority holds are asked for at once; what it has replaced since, one by one. */
  #descriptors(from: IdentityHex, wanted: readonly string[], election: Election): Want[] {
    const { epoch } = election.slot;
    if (wanted.length <= MAX_DESCRIPTORS_WANTED || this.#listed.has(from)) {
      return wanted.slice(0, MAX_DESCRIPTORS_WANTED).map((digest) => {
        return { kind: 'descriptor', epoch, digest, use: (text) => this.#take(text, [digest], election) };
      });
    }
    this.#listed.add(from);
    const use = (text: string) => {
      for (const one of parseDescriptorList(text)) this.#take(one, wanted, election);
    };
    return [{ kind: 'descriptors', epoch, digest: '', use }];
  }

  #take(text: string, wanted: readonly string[], election: Election): void {
    const { verifier, crypto } = this.options;
    const { payload } = parseEnvelope('descriptor', text, MAX_DESCRIPTOR_BYTES);
    if (wanted.includes(payloadDigest(payload, crypto))) election.addDescriptor(verifier.descriptor(text));
  }

  #mayFetch(from: IdentityHex): boolean {
    const count = (this.#fetches.get(from) ?? 0) + 1;
    this.#fetches.set(from, count);
    return count <= FETCHES_PER_AUTHORITY * this.options.verifier.network.authorities.length;
  }
}
