/**
 * The reply blocks of one session, without packets and without crypto: supply and ledgers are the real ones, exit and network
 * are models. A minute of a session takes some milliseconds, so that thousands of sessions can be judged.
 */
import type { NodeEntry } from '../../../lib/directory/index.ts';
import { PathHealth } from '../../../lib/endpoint/health/path-health.ts';
import { type ReplyBlock, ReplyLedgers } from '../../../lib/endpoint/health/reply-ledger.ts';
import { type SettledBlock, SurbLedger } from '../../../lib/transport/surbs/surb-ledger.ts';
import { SurbSupply } from '../../../lib/transport/surbs/surb-supply.ts';
import { nodeEntry } from '../nodes.ts';
import { monotonic } from '../units.ts';
import type { ExitModel } from './block-exits.ts';
import { OwnLoops } from './own-loops.ts';

export type Random = () => number;

/** A packet on its way: over which mixes of the three layers, when. */
export interface Way {
  readonly mixes: readonly number[];
  readonly atMs: number;
  readonly direction: 'up' | 'down' | 'loop';
}

export interface BlockWorldOptions {
  readonly seed: number;
  readonly downlink?: 'steady' | 'burst';
  readonly replyRate?: number;
  readonly mainRate?: number;
  readonly mixesPerLayer?: number;
  /** How much longer than usual a packet takes; Infinity: it is lost. */
  readonly fate?: (way: Way, random: Random) => number;
  /** Which mixes of a layer the client excludes. */
  readonly excluded?: (layer: number, mix: number, nowMs: number) => boolean;
  /** When the client moves to another gateway. */
  readonly turnMs?: number;
  readonly exit: (random: Random) => ExitModel;
  /** A defence that is switched off. */
  readonly without?: 'making bound' | 'missing bound' | 'window' | undefined;
}

const STEP_MS = 20;
const SWEEP_MS = 500;
const LINK_MS = 4;
const MEAN_DELAY_MS = 15;
const ROUND_MS = 600;
const LOSS_DELAY_MS = 1_000;
export const LIFE_MS = 560_000;
const BLOCKS_PER_PACKET = 5;
/** Burst: the application downloads for so long, and pauses for so long. */
const BURST_MS = 5_000;

interface Event {
  readonly atMs: number;
  run(nowMs: number): void;
}

/** The mixes of path health, as far as they matter here. */
class ModelHealth extends PathHealth {
  constructor(readonly isExcluded: (id: string) => boolean) {
    super();
  }
  override recordReply = () => {};
  override recordCarrier = () => {};
  override excludes = ({ id }: { id: string }) => this.isExcluded(id);
}

export class BlockWorld {
  nowMs = 0;
  accusedMs: number | undefined;
  made = 0;
  readonly exit: ExitModel;
  readonly #options: BlockWorldOptions;
  readonly #random: Random;
  readonly #supply: SurbSupply;
  readonly #ledger = new SurbLedger(BLOCKS_PER_PACKET);
  readonly #ledgers: ReplyLedgers<BlockWorld>;
  readonly #loops: OwnLoops;
  readonly #nodes: NodeEntry[][];
  readonly #places = new Map<string, readonly [number, number]>();
  /** What arrives, by step. */
  readonly #arrivals = new Map<number, Event[]>();
  #replyCredit = 0;

  constructor(options: BlockWorldOptions) {
    this.#options = options;
    this.#random = mulberry(options.seed);
    this.exit = options.exit(this.#random);
    this.#nodes = [1, 2, 3].map((layer) =>
      Array.from({ length: this.#perLayer }, (_, mix) => {
        const node = nodeOf(layer, mix);
        this.#places.set(node.id, [layer, mix]);
        return node;
      }),
    );
    this.#ledgers = new ReplyLedgers(new ModelHealth((id) => this.#isExcluded(id)));
    this.#loops = new OwnLoops((atMs) => this.#extraMs('loop', this.#draw('loop'), atMs) > LOSS_DELAY_MS);
    this.#supply = new SurbSupply(
      {
        downlink: options.downlink ?? 'steady',
        payloadBytes: 2048,
        blocksPerPacket: BLOCKS_PER_PACKET,
        mainRatePerSecond: options.mainRate ?? 50,
        replyRatePerSecond: this.#replyRate,
        surbLifeMs: LIFE_MS,
        ownPath: () => this.#ownPath(),
      },
      monotonic(0),
    );
  }

  /** Runs until `untilMs`, or until the exit is accused. */
  run(untilMs: number): this {
    while (this.nowMs < untilMs && this.accusedMs === undefined) {
      this.nowMs += STEP_MS;
      const step = Math.floor(this.nowMs / STEP_MS);
      for (const event of this.#arrivals.get(step) ?? []) event.run(this.nowMs);
      this.#arrivals.delete(step);
      if (this.nowMs === this.#options.turnMs) this.#turn();
      this.#send();
      this.#reply();
      if (this.nowMs % SWEEP_MS === 0) this.#ledgers.sweep(monotonic(this.nowMs), LOSS_DELAY_MS);
    }
    return this;
  }

  /** What became of a block. */
  settled(block: SettledBlock): void {
    const nowMs = monotonic(this.nowMs);
    this.#ledger.settled(block, this.#supply.target, nowMs);
    if (this.#options.without === 'missing bound') return;
    if (block.fate === 'missing' && this.#ledger.accuses(this.#ownPath(), nowMs)) this.accusedMs ??= this.nowMs;
  }

  get #perLayer(): number {
    return this.#options.mixesPerLayer ?? 2;
  }

  get #replyRate(): number {
    return this.#options.replyRate ?? 100;
  }

  #ownPath() {
    const left = (layer: number) =>
      (this.#nodes[layer - 1] ?? []).filter((_, mix) => !this.#excludes(layer, mix)).length;
    const avoidableFirstHops = left(1) < 2 ? 0 : Math.max(1, Math.floor((left(1) - 1) / 2));
    const unbounded = this.#options.without === 'making bound';
    const usableShare = unbounded ? 1e-9 : (left(1) / this.#perLayer) * (left(3) / this.#perLayer);
    return this.#loops.path(this.nowMs, { usableShare, avoidableFirstHops });
  }

  #excludes(layer: number, mix: number): boolean {
    return this.#options.excluded?.(layer, mix, this.nowMs) ?? false;
  }

  #isExcluded(id: string): boolean {
    const place = this.#places.get(id);
    return place !== undefined && this.#excludes(...place);
  }

  /** All blocks made so far lead to a gateway that is gone. */
  #turn(): void {
    this.#ledgers.clear(monotonic(this.nowMs));
    this.#supply.invalidate();
    this.#ledger.reset();
  }

  /** The slot of the proxy. */
  #send(): void {
    const nowMs = monotonic(this.nowMs);
    const perStep = ((this.#options.mainRate ?? 50) * STEP_MS) / 1000;
    for (let left = perStep; left > this.#random(); left--) {
      this.#supply.aim(ROUND_MS, nowMs);
      const outstanding = this.#options.without === 'window' ? 0 : this.#ledger.outstanding;
      const view = { arriveShare: 1, roundMs: ROUND_MS, streamsOpen: true, uploading: false, outstanding };
      const { first, after, worthPacket } = this.#supply.wanted(view, nowMs);
      if (worthPacket) this.#sendBlocks(first + after);
    }
  }

  #sendBlocks(count: number): void {
    const nowMs = monotonic(this.nowMs);
    const ledger = this.#ledgers.ledgerOf(this);
    const blocks = Array.from({ length: count }, () => {
      const mixes = this.#draw('down');
      return { block: ledger.created(this.#route(mixes), nowMs, LIFE_MS), mixes };
    });
    const mixes = this.#draw('up');
    ledger.sent(
      blocks.map(({ block }) => block),
      this.#route(mixes),
    );
    this.#supply.onCreated(count, nowMs);
    this.#ledger.made(count);
    this.made += count;
    const { generation } = this.#supply;
    this.#carry('up', mixes, (atMs) => this.exit.receive(blocks, generation, atMs));
    this.#after(ROUND_MS, () => this.#supply.onSettled(count));
  }

  /** The clock of the exit. */
  #reply(): void {
    const { downlink } = this.#options;
    const demands = downlink === 'burst' && Math.floor(this.nowMs / BURST_MS) % 2 === 1;
    const rate = downlink !== 'burst' ? this.#replyRate : demands || this.exit.isGreedy ? 200 : 1;
    this.#replyCredit += (rate * STEP_MS) / 1000;
    for (; this.#replyCredit >= 1; this.#replyCredit--) {
      const used = this.exit.reply(this.nowMs, demands);
      if (used === undefined) continue;
      const { block, mixes, account } = used;
      this.#carry('down', mixes, (atMs) => {
        this.#supply.onAccount(account, monotonic(atMs));
        block.ledger.returned(block, monotonic(atMs));
      });
    }
  }

  #carry(direction: Way['direction'], mixes: readonly number[], arrive: (atMs: number) => void): void {
    const extraMs = this.#extraMs(direction, mixes, this.nowMs);
    if (extraMs === Number.POSITIVE_INFINITY) return;
    let ms = LINK_MS + extraMs;
    for (let i = 0; i < 3; i++) ms -= MEAN_DELAY_MS * Math.log(1 - this.#random());
    this.#after(ms, arrive);
  }

  #after(ms: number, run: (nowMs: number) => void): void {
    const step = Math.max(Math.floor((this.nowMs + ms) / STEP_MS), Math.floor(this.nowMs / STEP_MS) + 1);
    const events = this.#arrivals.get(step);
    if (events === undefined) this.#arrivals.set(step, [{ atMs: step * STEP_MS, run }]);
    else events.push({ atMs: step * STEP_MS, run });
  }

  #extraMs(direction: Way['direction'], mixes: readonly number[], atMs: number): number {
    return this.#options.fate?.({ mixes, atMs, direction }, this.#random) ?? 0;
  }

  /** Mixes that the client excludes are avoided where its routes do so (docs/PROTOCOL.md section 7.3). */
  #draw(direction: Way['direction']): number[] {
    return [1, 2, 3].map((layer) => {
      const keeps = (direction === 'up' && layer === 3) || (direction === 'down' && layer === 1);
      for (;;) {
        const mix = Math.floor(this.#random() * this.#perLayer);
        if (keeps || !this.#excludes(layer, mix) || this.#random() < 0.02) return mix;
      }
    });
  }

  #route(mixes: readonly number[]): NodeEntry[] {
    return mixes.map((mix, i) => this.#nodes[i]?.[mix] as NodeEntry);
  }
}

export type Carried = { readonly block: ReplyBlock; readonly mixes: readonly number[] };

const nodes = new Map<number, NodeEntry>();

function nodeOf(layer: number, mix: number): NodeEntry {
  const seed = layer * 1000 + mix;
  const node = nodes.get(seed) ?? nodeEntry(seed, { role: 'mixnode', layer: layer as 1 | 2 | 3 });
  nodes.set(seed, node);
  return node;
}

function mulberry(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}
