/**
 * One authority: holds the descriptors, and signs at most one consensus per epoch.
 *
 * The first consensus is made as soon as the configured minimums have announced. Later ones list whoever has announced
 * for their epoch, as long as a packet still finds a route, and an exit where the last one is valid and had some; before that nothing is
 * signed, and members go on with the last one until it expires.
 * @module
 */

import { type IdentityHex, identityHexOf } from '../lib/core/bytes.ts';
import type { Clock } from '../lib/core/clock.ts';
import { epochAt, keyGraceMs, type NetworkParams } from '../lib/core/params.ts';
import { type EpochNumber, laterEpoch, type UnixMs } from '../lib/core/units.ts';
import type { Crypto } from '../lib/crypto/index.ts';
import {
  type Descriptor,
  epochMsOf,
  MAX_REQUESTER_GATEWAYS,
  type NodeRecord,
  signDocument,
  timing,
  type VerifiedConsensus,
  type VerifiedDescriptor,
  type Verifier,
} from '../lib/directory/index.ts';
import type { Log } from '../lib/telemetry/log.ts';
import type { Admission } from './admission.ts';
import { Announcements, type Taken } from './announcements.ts';
import type { Archive } from './archive.ts';
import { buildConsensus, lacking, type Minimums, nodesFor, ROUTABLE } from './consensus-builder.ts';
import type { Members } from './members/member-files.ts';
import type { Reachability } from './reachability.ts';
import { SignedAhead } from './readiness.ts';
import { ServedConsensuses } from './served.ts';
import { assembler, viewOf } from './voting/ballot-view.ts';
import type { VotingRecords } from './voting/disk-records.ts';
import type { Slot } from './voting/schedule.ts';
import type { Ballot } from './voting/vote.ts';
import { Voting } from './voting/voting.ts';

/**
 * How long the first consensus waits for requesters to name two gateways, where there are two: they announce themselves while
 * gateways still come, and the consensus is for an epoch.
 */
export const SECOND_GATEWAY_WAIT_MS = 10_000;

export interface AuthorityOptions {
  readonly verifier: Verifier;
  readonly admission: Admission;
  readonly members: Members;
  readonly archive: Archive;
  readonly params: NetworkParams;
  readonly minimums: Minimums;
  /** Without it all nodes count as reached. */
  readonly reachability?: Reachability;
  readonly identitySeed: Uint8Array;
  /** Of an authority that votes with others; one that is alone signs alone. */
  readonly votingRecords?: VotingRecords;
  readonly clock: Clock;
  readonly crypto: Crypto;
  readonly log: Log;
}

export class Authority {
  /** No epoch up to its newest one is signed any more. */
  readonly #signed: ServedConsensuses;
  /** What was last logged about missing nodes. */
  #lacks = '';
  #startedMs = 0;
  /** When the configured numbers of nodes had first announced. */
  #sufficientMs: UnixMs | undefined;
  #work: Promise<void> = Promise.resolve();

  /** How it comes to a consensus with the others; undefined when there are none. */
  readonly voting: Voting | undefined;

  readonly #announcements: Announcements;
  readonly signedAhead: SignedAhead;

  constructor(readonly options: AuthorityOptions) {
    this.#announcements = new Announcements(options);
    this.#signed = new ServedConsensuses({
      ...options,
      // A clock that is set back makes nothing that had expired good again.
      onConsensus: ({ epoch }) => options.members.membership.book.noteTime(timing.signingMs(epoch, this.epochMs, true)),
    });
    this.signedAhead = new SignedAhead(this.epochMs, options.log);
    const { votingRecords: records, admission, verifier, crypto, identitySeed } = options;
    if (records === undefined) return;
    const identity = identityHexOf(crypto.ed25519PublicKey(identitySeed));
    this.voting = new Voting({
      ...options,
      identity,
      records,
      view: (slot) => this.#view(slot),
      held: () => admission.held.values(),
      assemble: assembler(verifier),
      published: (epoch) => this.#signed.get(epoch),
      publish: (text) => this.#publish(text),
    });
  }

  get epochMs(): number {
    return epochMsOf(this.options.verifier.network);
  }

  /** Reads what was kept: the authority serves on at once where it was killed. */
  async open(): Promise<void> {
    const { archive, clock, members, reachability } = this.options;
    this.#startedMs = clock.wallMs();
    await archive.open();
    await members.open();
    await this.#announcements.restore();
    await this.#signed.open();
    const { last } = this.#signed;
    if (last !== undefined) reachability?.trust(last.consensus);
  }

  /** The consensus of `epoch`, if signed. */
  consensus(epoch: EpochNumber): VerifiedConsensus | undefined {
    return this.#signed.get(epoch);
  }

  /** The newest consensus whose epoch has begun. */
  current(): VerifiedConsensus | undefined {
    return this.#signed.current();
  }

  /** Takes a descriptor; resolves when it is kept and its node was reached. Rejects with DocumentRefused. */
  async announce(text: string, proof: string | undefined): Promise<void> {
    let taken: Taken | undefined;
    await this.#inOrder(async () => {
      taken = await this.#announcements.take(text, proof);
    });
    if (taken === undefined) return;
    // Not in order: whoever does not answer keeps nobody else waiting.
    await this.options.reachability?.confirm(taken.descriptor, timing.confirmWaitMs(this.epochMs));
    if (taken.isNew) await this.tick();
  }

  /** Signs what is due. Called on a timer and after each announcement. */
  tick(): Promise<void> {
    return this.#inOrder(async () => {
      const { admission, members, archive, clock, reachability } = this.options;
      const nowMs = clock.wallMs();
      await members.reread();
      await this.#forget([...admission.dismiss(), ...admission.expire(nowMs)]);
      reachability?.tick(admission.held);
      await archive.saveUnreachable(this.unreachable());
      await this.#signed.recall();
      this.signedAhead.look((await this.options.votingRecords?.newestSigned()) ?? this.#signed.newest, nowMs);
      if (this.voting !== undefined) return this.voting.tick();
      const epoch = epochAt(nowMs, this.epochMs);
      await this.#signIfDue(epoch, nowMs);
      await this.#signIfDue(laterEpoch(epoch, 1), nowMs);
    });
  }

  /** Nodes that are held, and not listed since they could not be reached: why. */
  unreachable(): ReadonlyMap<IdentityHex, string> {
    const { admission, reachability } = this.options;
    const problems = [...admission.held.values()].flatMap(({ descriptor }): [IdentityHex, string][] => {
      const problem = reachability?.problemOf(descriptor);
      return problem === undefined ? [] : [[descriptor.identity, problem]];
    });
    return new Map(problems);
  }

  /** Resolves when what has been begun is done. */
  settle(): Promise<void> {
    return this.#work;
  }

  async #signIfDue(epoch: EpochNumber, nowMs: UnixMs): Promise<void> {
    if (epoch <= this.#signed.newest) return;
    const { verifier, params } = this.options;
    if (nowMs < timing.signingMs(epoch, this.epochMs, true)) return;
    const descriptors = this.#reached().map(({ descriptor }) => descriptor);
    const nodes = nodesFor(epoch, descriptors, verifier.network, params, this.#signed.last?.consensus);
    if (!this.#isEnough(epoch, nodes, nowMs)) return;
    if (!this.#complete(nodes) && nowMs < this.#waitUntilMs(epoch)) return;
    await this.#sign(epoch, nodes, descriptors);
  }

  /** What is held of nodes that this authority may vote for. */
  #reached(): VerifiedDescriptor[] {
    const { admission, reachability } = this.options;
    return [...admission.held.values()].filter(({ descriptor }) => reachability?.counts(descriptor) ?? true);
  }

  /** Whether a consensus of these nodes is worth an epoch. */
  #isEnough(epoch: EpochNumber, nodes: readonly NodeRecord[], nowMs: UnixMs): boolean {
    const lacks = lacking(nodes, this.#signed.newest < 0 ? this.options.minimums : this.#least(nowMs));
    if (epoch === epochAt(nowMs, this.epochMs)) this.#tellLacking(lacks);
    return lacks === '' && !(this.#signed.newest < 0 && this.#waitsForGateways(nodes, nowMs));
  }

  /**
   * What a later consensus must have. One without an exit serves nobody: while the last one is valid and lists exits that may come back, as
   * after a restart of the whole network, members go on with that.
   */
  #least(nowMs: UnixMs): Minimums {
    const last = this.#signed.last?.consensus;
    if (last === undefined || nowMs >= last.validUntilMs) return ROUTABLE;
    const { membership } = this.options.members;
    const hasExit = last.nodes.some((node) => node.role === 'requester' && membership.refusalOf(node) === undefined);
    return hasExit ? { ...ROUTABLE, requesters: 1 } : ROUTABLE;
  }

  /** What this authority votes for. */
  #view({ epoch }: Slot): Omit<Ballot, 'version'> | undefined {
    const { clock } = this.options;
    const view = viewOf(epoch, this.#reached(), this.#signed.last, this.options);
    return this.#isEnough(epoch, view.nodes, clock.wallMs()) ? view.ballot : undefined;
  }

  /** Serves a consensus that enough authorities have signed. */
  async #publish(text: string): Promise<void> {
    const { archive, verifier, log } = this.options;
    const verified = verifier.consensus(text);
    const { epoch, nodes } = verified.consensus;
    await archive.recordConsensus(epoch, text);
    log.info({ epoch, nodes: nodes.length, signatures: verified.signers.size }, 'consensus published');
    this.#signed.add(verified);
  }

  /** Before the first consensus: whether a requester is about to name another gateway. */
  #waitsForGateways(nodes: readonly NodeRecord[], nowMs: UnixMs): boolean {
    this.#sufficientMs ??= nowMs;
    const gateways = nodes.filter(({ role }) => role === 'gateway').length;
    const wanted = Math.min(MAX_REQUESTER_GATEWAYS, gateways);
    const short = nodes.some((node) => node.role === 'requester' && node.gateways.length < wanted);
    return short && nowMs - this.#sufficientMs < SECOND_GATEWAY_WAIT_MS;
  }

  /** Who starts a network looks here for why it does not begin. Each state once. */
  #tellLacking(lacks: string): void {
    if (lacks !== this.#lacks && lacks !== '') this.options.log.info({ lacks }, 'no consensus yet: waiting for nodes');
    this.#lacks = lacks;
  }

  /** Whether every node of the last consensus that may has announced again. */
  #complete(nodes: readonly NodeRecord[]): boolean {
    const { membership } = this.options.members;
    const announced = new Set(nodes.map((node) => node.identity));
    const last = this.#signed.last?.consensus.nodes ?? [];
    return last.every((node) => announced.has(node.identity) || membership.refusalOf(node) !== undefined);
  }

  /**
   * How long to wait for nodes that are missing: until shortly before the turn; and when the authority itself has just
   * come back, for as long as the nodes need to notice.
   */
  #waitUntilMs(epoch: EpochNumber): number {
    if (this.#signed.newest < 0) return 0;
    const graceMs = keyGraceMs(this.epochMs);
    const ownMs = this.#startedMs + Math.min(graceMs / 2, 45_000);
    return Math.max(timing.signingMs(epoch, this.epochMs, false), ownMs);
  }

  async #sign(epoch: EpochNumber, nodes: NodeRecord[], descriptors: readonly Descriptor[]): Promise<void> {
    const { verifier, params, identitySeed, crypto, archive, log } = this.options;
    const last = this.#signed.last?.consensus;
    const consensus = buildConsensus(epoch, nodes, params, verifier.networkIdHex, descriptors, last);
    const text = signDocument('consensus', consensus, identitySeed, crypto);
    const verified = verifier.consensus(text); // what members would refuse must not use up the epoch
    const recorded = await archive.recordConsensus(epoch, text);
    this.#signed.useUp(epoch);
    if (recorded) {
      const { meanDelayMs } = consensus.params;
      log.info({ epoch, nodes: nodes.length, fromMs: consensus.validAfterMs, meanDelayMs }, 'consensus signed');
      this.#signed.add(verified);
    } else {
      log.warn({ epoch }, 'a consensus of this epoch was recorded already; serving that one');
      this.#signed.add(verifier.consensus(await archive.consensus(epoch)));
    }
  }

  async #forget(identities: readonly IdentityHex[]): Promise<void> {
    for (const identity of identities) await this.options.archive.deleteDescriptor(identity);
  }

  /** Runs one thing at a time, in order; a failure is the caller's and does not stop what follows. */
  #inOrder(run: () => Promise<void>): Promise<void> {
    const done = this.#work.then(run);
    this.#work = done.catch(() => {});
    return done;
  }
}
