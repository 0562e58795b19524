/**
 * An authority that lies: it has several votes for each voting, shows each of the others those that it likes and when it likes, signs
 * whatever it sees, and signs a consensus of its own besides.
 */

import { buildConsensus, nodesFor } from '../../../directory/consensus-builder.ts';
import { canonicalJson } from '../../../directory/voting/canonical-json.ts';
import { signResult } from '../../../directory/voting/election.ts';
import type { Slot } from '../../../directory/voting/schedule.ts';
import { parseSheet, type Sheet, sheetText } from '../../../directory/voting/sheet.ts';
import type { Want } from '../../../directory/voting/sheet-reader.ts';
import { toHex } from '../../../lib/core/bytes.ts';
import type { NetworkParams } from '../../../lib/core/params.ts';
import { type EpochNumber, laterEpoch } from '../../../lib/core/units.ts';
import { encodeEnvelope, type Signature, sign } from '../../../lib/directory/envelope.ts';
import { DOCUMENT_VERSION } from '../../../lib/directory/index.ts';
import { payloadDigest } from '../../../lib/directory/verify.ts';
import { crypto, keys } from '../signed-documents.ts';
import { descriptorsIn } from './voting-nodes.ts';
import { paramsOf, type Shown, type VotingWorld } from './voting-world.ts';

/** One of its votes. */
export interface Lie {
  /** Keys of the nodes that it lists. */
  readonly nodes: readonly number[];
  readonly params?: Partial<NetworkParams>;
  /** From when on it is shown to each of the others, in rounds from the start of the voting; never where that is undefined. */
  readonly fromRound: readonly (number | undefined)[];
}

export interface LiarPlan {
  readonly lies: readonly Lie[];
  /** All liars are one: these sign each other's votes. */
  readonly gang: readonly number[];
  /** From when on it shows a consensus that it has signed and nobody agreed to; never where that is undefined. */
  readonly signsOwnFromMs?: number | undefined;
  /** Whether it shows the consensus of the epoch before, which all authorities signed, as one of this epoch. */
  readonly showsOld?: boolean;
  /** Whether it signs whatever it sees. */
  readonly signsAll: boolean;
  /** Whether it says that it comes to the same as whoever asks. */
  readonly agrees: boolean;
}

export class Liar implements Shown {
  readonly #contents = new Map<string, string>();

  constructor(
    readonly world: VotingWorld,
    readonly index: number,
    readonly plan: LiarPlan,
  ) {
    world.liars.set(index, this);
  }

  sheet(to: number, epoch: EpochNumber): string | undefined {
    const victim = this.world.honest.find(({ index }) => index === to);
    const shown = victim?.isUp ? victim.voting.sheet(epoch) : undefined;
    if (victim === undefined || shown === undefined) return undefined;
    const theirs = parseSheet(shown);
    const slot = victim.voting.openSlot;
    const votes = slot?.epoch === epoch ? this.#votes(to, slot) : [];
    const seen = !this.plan.signsAll
      ? []
      : this.world.honest.flatMap(({ records }) => records.released.filter((one) => one.epoch === epoch));
    const payloads = new Set(seen.map(({ text }) => (JSON.parse(text) as { payload: string }).payload));
    const { signsOwnFromMs = Number.POSITIVE_INFINITY } = this.plan;
    if (this.world.clock.nowMs() >= signsOwnFromMs) payloads.add(this.#ownDocument(epoch));
    return sheetText({
      version: DOCUMENT_VERSION,
      network: this.world.verifier.networkIdHex,
      epoch,
      attempt: slot?.attempt ?? theirs.attempt,
      ...(this.plan.agrees && theirs.result !== undefined
        ? { result: resultOf(this.index, theirs, theirs.result.digest) }
        : {}),
      votes,
      documents: [
        ...(this.plan.showsOld === true ? [this.#oldDocument(epoch)] : []),
        ...[...payloads].map((payload) => ({
          digest: this.#keep(payload),
          signatures: this.#signed('consensus', payload),
        })),
      ],
    });
  }

  content(_to: number, { digest }: Want): string | undefined {
    return this.#contents.get(digest);
  }

  #votes(to: number, slot: Slot): string[] {
    const rounds = (this.world.clock.wallMs() - slot.startMs) / slot.roundMs;
    return this.plan.lies.flatMap((lie) => {
      const from = lie.fromRound[to];
      return from === undefined || rounds < from ? [] : [this.#vote(lie, slot)];
    });
  }

  #vote({ nodes: keysOfNodes, params = {} }: Lie, slot: Slot): string {
    const { network, verifier } = this.world;
    const nodes = descriptorsIn(this.world, keysOfNodes)
      .map((one) => {
        this.#contents.set(payloadDigest(one.payload, crypto), one.text);
        return [one.descriptor.identity, payloadDigest(one.payload, crypto)];
      })
      .sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
    const ballot = canonicalJson({ version: DOCUMENT_VERSION, params: { ...paramsOf(network), ...params }, nodes });
    const payload = canonicalJson({
      version: DOCUMENT_VERSION,
      network: verifier.networkIdHex,
      epoch: slot.epoch,
      attempt: slot.attempt,
      authority: this.world.idOf(this.index),
      ballot: this.#keep(ballot),
    });
    return encodeEnvelope({ payload, signatures: this.#signed('vote', payload) });
  }

  #ownDocument(epoch: EpochNumber): string {
    const { network, verifier } = this.world;
    const descriptors = descriptorsIn(this.world, this.plan.lies[0]?.nodes ?? []).map(({ descriptor }) => descriptor);
    const nodes = nodesFor(epoch, descriptors, network, paramsOf(network), undefined);
    const params = { ...paramsOf(network), meanDelayMs: 1 };
    return canonicalJson(buildConsensus(epoch, nodes, params, verifier.networkIdHex, descriptors, undefined));
  }

  #oldDocument(epoch: EpochNumber) {
    const payload = this.#ownDocument(laterEpoch(epoch, -1));
    const signers = this.world.network.authorities.map((_, index) => keys(1000 + index).seed);
    const signatures = signers.map((seed) => sign('consensus', payload, seed, crypto));
    return { digest: this.#keep(payload), signatures };
  }

  #signed(type: 'vote' | 'consensus', payload: string): Signature[] {
    const signers = new Set([this.index, ...this.plan.gang]);
    return [...signers].map((index) => sign(type, payload, keys(1000 + index).seed, crypto));
  }

  #keep(text: string): string {
    const digest = toHex(crypto.sha256(Buffer.from(text, 'utf8')));
    this.#contents.set(digest, text);
    return digest;
  }
}

/** The result `digest` of the voting that `sheet` is of, signed by the authority with this index. */
export function resultOf(index: number, sheet: Sheet, digest: string): NonNullable<Sheet['result']> {
  return signResult(sheet, digest, keys(1000 + index).seed, crypto);
}
