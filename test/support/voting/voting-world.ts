/**
 * A network of authorities on one virtual clock: honest ones, which may crash and whose clocks and links may be slow, and liars, which show
 * each of the others what they like.
 */
import { assembler, viewOf } from '../../../directory/voting/ballot-view.ts';
import { pollMs, type Slot } from '../../../directory/voting/schedule.ts';
import type { Want } from '../../../directory/voting/sheet-reader.ts';
import { unlessRefused } from '../../../directory/voting/vote.ts';
import { Voting, type VotingOptions } from '../../../directory/voting/voting.ts';
import { DEFAULT_PARAMS, epochAt, type NetworkParams } from '../../../lib/core/params.ts';
import { type EpochNumber, laterMs, type UnixMs } from '../../../lib/core/units.ts';
import type { NetworkFile, VerifiedConsensus } from '../../../lib/directory/index.ts';
import { Verifier } from '../../../lib/directory/index.ts';
import { silentLog } from '../../../lib/telemetry/log.ts';
import { crypto, keys } from '../signed-documents.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { MemoryRecords, PowerCut } from './memory-records.ts';
import { descriptorsIn } from './voting-nodes.ts';

/** How an honest authority differs from the others. */
export interface Temper {
  /** Its clock, ms ahead. */
  readonly skewMs?: number;
  /** Each exchange takes so long either way. */
  readonly delayMs?: number;
  /** After how many writes its power goes, whether that write is done, and when it is back. */
  readonly crash?: { readonly writes: number; readonly after: boolean; readonly backMs: number };
  /** It is not there at all. */
  readonly down?: boolean;
  /** Keys of the nodes that it would list. */
  readonly nodes: readonly number[];
  readonly params?: Partial<NetworkParams>;
}

/** What one authority shows another. */
export interface Shown {
  sheet(to: number, epoch: EpochNumber): string | undefined;
  content(to: number, want: Want): string | undefined;
}

const STEP_MS = 80;

export class Honest implements Shown {
  readonly records = new MemoryRecords();
  readonly published = new Map<number, VerifiedConsensus>();
  isUp = true;
  /** Of its last start. */
  startedMs = 0;
  voting: Voting;
  /** When each of the others is asked next. */
  readonly #nextPollMs = new Map<number, number>();

  constructor(
    readonly world: VotingWorld,
    readonly index: number,
    public temper: Temper,
    public mutant: Partial<VotingOptions>,
  ) {
    this.isUp = temper.down !== true;
    if (temper.crash !== undefined) this.records.cut = { ...temper.crash };
    this.voting = this.#start();
  }

  get wallMs(): UnixMs {
    return laterMs(this.world.clock.wallMs(), this.temper.skewMs ?? 0);
  }

  sheet(_to: number, epoch: EpochNumber): string | undefined {
    return this.isUp ? this.voting.sheet(epoch) : undefined;
  }

  content(_to: number, { kind, epoch, digest }: Want): string | undefined {
    if (!this.isUp) return undefined;
    if (kind === 'previous') return this.published.get(epoch)?.text;
    if (kind === 'descriptors') {
      return `{"descriptors":[${descriptorsIn(this.world, this.temper.nodes).map(({ text }) => text)}]}`;
    }
    return this.voting.content(epoch, digest);
  }

  async turn(): Promise<void> {
    const { clock } = this.world;
    if (!this.isUp) return;
    await this.#unlessCut(() => this.voting.tick());
    for (const from of this.world.others(this.index)) {
      if (clock.nowMs() < (this.#nextPollMs.get(from) ?? 0)) continue;
      this.#nextPollMs.set(from, Number.POSITIVE_INFINITY);
      this.#poll(from);
    }
  }

  /** A question and its answer each take their time; so do those that follow from it, one after the other as in Peers. */
  #poll(from: number): void {
    const { voting } = this;
    const epoch = voting.watched;
    this.world.exchange(
      this.index,
      from,
      (shown) => shown.sheet(this.index, epoch),
      (sheet) => {
        if (!this.isUp || this.voting !== voting) return;
        const text = sheet && this.world.rewrite(this.index, from, sheet);
        const wants = text === undefined ? [] : unlessRefused(() => voting.takeSheet(this.world.idOf(from), text));
        this.#fetch(from, wants ?? [], voting);
      },
    );
  }

  #fetch(from: number, [want, ...later]: readonly Want[], voting: Voting): void {
    const { clock } = this.world;
    if (want === undefined) {
      this.#nextPollMs.set(from, clock.nowMs() + pollMs(voting.openSlot, voting.epochMs));
      return;
    }
    this.world.exchange(
      this.index,
      from,
      (shown) => shown.content(this.index, want),
      (answer) => {
        if (!this.isUp || this.voting !== voting) return;
        if (answer !== undefined) unlessRefused(() => voting.takeAnswer(want, answer));
        this.#fetch(from, later, voting);
      },
    );
  }

  async #unlessCut(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
      this.isUp = false;
      this.world.clock.after(this.temper.crash?.backMs ?? 0, () => {
        this.isUp = true;
        this.voting = this.#start();
      });
    }
  }

  /** Another process, with what is on the disk, and other nodes that it would list. */
  restart(nodes: readonly number[]): void {
    this.temper = { ...this.temper, nodes };
    this.published.clear();
    this.voting = this.#start();
  }

  #start(): Voting {
    const { world } = this;
    this.startedMs = world.clock.nowMs();
    this.#nextPollMs.clear();
    const verifier = this.mutant.verifier ?? world.verifier;
    return new Voting({
      verifier,
      identity: world.idOf(this.index),
      identitySeed: keys(1000 + this.index).seed,
      crypto,
      clock: { wallMs: () => this.wallMs },
      log: silentLog,
      records: this.records,
      view: (slot) => world.viewOf(this.temper, slot, this.published),
      held: () => descriptorsIn(world, this.temper.nodes),
      assemble: assembler(verifier),
      published: (epoch) => this.published.get(epoch),
      publish: async (text) => {
        const verified = verifier.consensus(text);
        this.published.set(verified.consensus.epoch, verified);
      },
      ...this.mutant,
    });
  }
}

export class VotingWorld {
  readonly clock = new VirtualClock(Date.UTC(2026, 0, 1) + 5_000);
  readonly verifier: Verifier;
  readonly honest: Honest[] = [];
  readonly liars = new Map<number, Shown>();
  /** Whether anything gets from one to another. */
  reach: (from: number, to: number) => boolean = () => true;
  /** What whoever is on the path makes of the sheets that `from` gets of `to`. */
  rewrite: (from: number, to: number, sheet: string) => string = (_from, _to, sheet) => sheet;

  constructor(readonly network: NetworkFile) {
    this.verifier = new Verifier(network, crypto);
  }

  get epochMs(): number {
    return this.network.epochSeconds * 1000;
  }

  get epoch(): EpochNumber {
    return epochAt(this.clock.wallMs(), this.epochMs);
  }

  addHonest(index: number, temper: Temper, mutant: Partial<VotingOptions> = {}): Honest {
    const made = new Honest(this, index, temper, mutant);
    this.honest.push(made);
    return made;
  }

  idOf(index: number) {
    return keys(1000 + index).id;
  }

  others(index: number): number[] {
    return this.network.authorities.map((_, other) => other).filter((other) => other !== index);
  }

  /** What an authority votes for that holds what `temper` says. */
  viewOf(temper: Temper, { epoch }: Slot, published: ReadonlyMap<number, VerifiedConsensus>) {
    const params = { ...paramsOf(this.network), ...temper.params };
    const last = [...published.values()].filter(({ consensus }) => consensus.epoch < epoch).at(-1);
    return viewOf(epoch, descriptorsIn(this, temper.nodes), last, { verifier: this.verifier, params, crypto }).ballot;
  }

  /** Asks `to` on behalf of `from`; nothing comes back when it is down or silent. */
  exchange(from: number, to: number, ask: (shown: Shown) => string | undefined, use: (text?: string) => void): void {
    const shown = this.liars.get(to) ?? this.honest.find(({ index }) => index === to);
    const delayMs = this.#delayMs(from) + this.#delayMs(to);
    this.clock.after(delayMs, () => {
      const answer = shown !== undefined && this.reach(from, to) ? ask(shown) : undefined;
      this.clock.after(delayMs, () => use(answer));
    });
  }

  async run(ms: number): Promise<void> {
    for (const endMs = this.clock.nowMs() + ms; this.clock.nowMs() < endMs; ) {
      this.clock.advance(STEP_MS);
      for (const authority of this.honest) await authority.turn();
    }
  }

  #delayMs(index: number): number {
    return this.honest.find((one) => one.index === index)?.temper.delayMs ?? 0;
  }
}

export function paramsOf(network: NetworkFile): NetworkParams {
  return { ...DEFAULT_PARAMS, epochMs: network.epochSeconds * 1000, payloadBytes: network.payloadBytes };
}
