/**
 * An authority on the virtual clock, with real files, whose network is complete: three mixes and two gateways that are on its allow
 * list. Who else comes needs a token.
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Admission, type AdmissionOptions } from '../../directory/admission.ts';
import { Api } from '../../directory/api.ts';
import { Archive } from '../../directory/archive.ts';
import { Authority } from '../../directory/authority.ts';
import { type JoinTerms, MemberFiles, Members } from '../../directory/members/member-files.ts';
import { Membership } from '../../directory/members/membership.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { DEFAULT_PARAMS, epochStartMs, keyGraceMs } from '../../lib/core/params.ts';
import type { EpochNumber } from '../../lib/core/units.ts';
import {
  type Descriptor,
  DocumentRefused,
  joinProof,
  type NodeRole,
  type Refusal,
  timing,
  Verifier,
} from '../../lib/directory/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { joinTokenOf, termsOf } from './admission.ts';
import {
  countersigned,
  crypto,
  descriptorOf,
  draft,
  epochOf,
  keys,
  signedDescriptor,
  testNetwork,
} from './signed-documents.ts';
import { epochNumber } from './units.ts';
import { SettableClock } from './virtual-clock.ts';

export const EPOCH_MS = 60_000;
const network = testNetwork(1, 1, EPOCH_MS / 1000);

/** Keys of the nodes that are there from the start. */
export const MIXES = [11, 12, 13] as const;
export const GATEWAYS = [3, 5] as const;

/** The parts of an authority; a mutant puts another in the place of one. */
export interface Parts {
  readonly Membership: typeof Membership;
  readonly Members: typeof Members;
  readonly Admission: typeof Admission;
  readonly Archive: typeof Archive;
  readonly Authority: typeof Authority;
  readonly maxNodes: number;
}

const REAL: Parts = { Membership, Members, Admission, Archive, Authority, maxNodes: 100 };

/** An announcement as it goes over the wire. */
export interface Sent {
  readonly text: string;
  readonly proof: string | undefined;
}

export class TokenNetwork {
  readonly clock = new SettableClock();
  /** The operator's commands. */
  readonly operator: MemberFiles;
  readonly verifier = new Verifier(network, crypto);
  authority!: Authority;
  admission!: Admission;

  private constructor(
    readonly dir: string,
    readonly parts: Parts,
  ) {
    this.operator = new MemberFiles(dir);
  }

  static async start(t: Test, parts: Partial<Parts> = {}): Promise<TokenNetwork> {
    const dir = await mkdtemp(join(tmpdir(), 'mixsocks-tokens-'));
    t.teardown(() => rm(dir, { recursive: true, force: true }));
    const world = new TokenNetwork(dir, { ...REAL, ...parts });
    await world.restart();
    return world;
  }

  /** The operator makes a token, and the authority knows it. */
  async grant(token: string, terms: Partial<JoinTerms> = {}): Promise<void> {
    await this.operator.create(termsOf(token, terms));
    await this.noticed();
  }

  /** Another process on the same folder: what was in memory is lost. */
  async restart(parts: Partial<Parts> = {}): Promise<void> {
    await this.authority?.settle();
    const { Membership, Members, Admission, Archive, Authority, maxNodes } = { ...this.parts, ...parts };
    const allow = new Set([...MIXES, ...GATEWAYS].map((n) => keys(n).id));
    const membership = new Membership({ allow, openToAll: false }, crypto);
    const { clock, verifier } = this;
    const options: AdmissionOptions = { verifier, membership, maxNodes, nowMs: () => clock.nowMs() };
    this.admission = new Admission(options);
    this.authority = new Authority({
      verifier,
      admission: this.admission,
      members: new Members({ membership, files: this.operator, clock, log: silentLog }),
      archive: new Archive(this.dir),
      params: { ...DEFAULT_PARAMS, epochMs: EPOCH_MS },
      minimums: { mixesPerLayer: 1, gateways: 2, requesters: 0 },
      identitySeed: keys(1000).seed,
      clock,
      crypto,
      log: silentLog,
    });
    await this.authority.open();
  }

  get epoch(): EpochNumber {
    return epochNumber(epochOf(network, this.clock.wallMs()));
  }

  /** What node `n` sends now. A requester is at both gateways. */
  sent(n: number, role: NodeRole, token?: string, extra: object = {}): Sent {
    const nowMs = this.clock.wallMs();
    const epochs = timing.descriptorEpochs(nowMs, EPOCH_MS);
    const gateways = GATEWAYS.map((by) => countersigned(network, n, by, nowMs));
    const both = role === 'requester' ? { gateways, ...extra } : extra;
    const made: Descriptor = descriptorOf(network, n, draft(role, epochs, both), nowMs, both);
    const proof = token === undefined ? undefined : joinProof(token, JSON.stringify(made), crypto);
    return { text: signedDescriptor(n, made), proof };
  }

  async give({ text, proof }: Sent): Promise<Refusal | 'accepted'> {
    try {
      await this.authority.announce(text, proof);
      return 'accepted';
    } catch (error) {
      if (error instanceof DocumentRefused) return error.reason;
      throw error;
    }
  }

  announce(n: number, role: NodeRole, token?: string, extra: object = {}): Promise<Refusal | 'accepted'> {
    return this.give(this.sent(n, role, token, extra));
  }

  /** The authority's HTTP API, without HTTP. */
  api(): Api {
    const { authority, admission, clock } = this;
    return new Api({ authority, admission, nowMs: () => clock.nowMs(), onAnnouncement: () => {} });
  }

  /** The nodes that are there from the start announce themselves. */
  async announceAllowed(): Promise<void> {
    for (const [index, n] of MIXES.entries()) await this.announce(n, 'mixnode', undefined, { layer: index + 1 });
    for (const n of GATEWAYS) await this.announce(n, 'gateway');
  }

  /** Over the turn of the epoch; `others` announce before it. Returns who is listed then. */
  async turn(others: () => Promise<unknown>): Promise<ReadonlySet<IdentityHex>> {
    this.beforeTurn(0.6);
    await this.announceAllowed();
    await others();
    this.beforeTurn(0.1);
    await this.authority.tick();
    this.beforeTurn(0);
    this.clock.advance(1);
    return this.listed();
  }

  /** Who is in the consensus in force. */
  listed(): ReadonlySet<IdentityHex> {
    return new Set(this.authority.consensus(this.epoch)?.consensus.nodes.map(({ identity }) => identity));
  }

  /** What the operator has done takes effect. */
  async noticed(): Promise<void> {
    this.clock.advance(1000);
    await this.authority.tick();
  }

  /** To `share` of Δ before the next turn of the epoch. */
  beforeTurn(share: number): void {
    const atMs = epochStartMs(epochNumber(this.epoch + 1), EPOCH_MS) - share * keyGraceMs(EPOCH_MS);
    this.clock.advance(Math.max(0, atMs - this.clock.wallMs()));
  }
}

/** A mutant that judges each announcement as it comes, and not in its turn. */
export class UnorderedAuthority extends Authority {
  override async announce(text: string, proof: string | undefined): Promise<void> {
    const { admission, members, clock } = this.options;
    const accepted = admission.accept(text, proof, clock.wallMs());
    await this.settle();
    await members.save();
    if (accepted !== undefined) admission.hold(accepted);
  }
}

export const TOKEN = joinTokenOf(1);

export const idOf = (n: number): IdentityHex => keys(n).id;

/** A network in which `TOKEN` has been granted by these terms. */
export async function withToken(t: Test, parts: Partial<Parts> = {}, terms: Parameters<typeof termsOf>[1] = {}) {
  const world = await TokenNetwork.start(t, parts);
  await world.grant(TOKEN, terms);
  return world;
}
