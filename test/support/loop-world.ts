/**
 * A client that sends loops through a made-up network, in virtual time: ledger, path health and route choice are the
 * real ones, the network is a function that says which loops are lost.
 */
import { LoopLedger } from '../../lib/client/loop-ledger.ts';
import type { HealthChange, Journey } from '../../lib/client/path-health.ts';
import { type ReplyBlock, ReplyLedger } from '../../lib/client/reply-ledger.ts';
import { RouteDrawer } from '../../lib/client/routes.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import { exponential, type Rng } from '../../lib/rng.ts';
import { seededRng } from './seeded-rng.ts';

/**
 * Replies of one session: reply blocks go out five to a packet, lie at the requester, and are used first in, first out.
 */
interface Stocked {
  readonly block: ReplyBlock;
  readonly nodes: readonly NodeEntry[];
}

/** Whether a packet over these hops (mixes, then the gateway) is lost at `nowMs`. */
export type Loses = (route: readonly NodeEntry[], nowMs: number, rng: Rng) => boolean;

export interface LoopWorldOptions {
  readonly topology: Topology;
  readonly seed: number;
  readonly loses: Loses;
  readonly loopsPerSecond?: number;
  /** Replies of a session in steady mode; none when absent or 0. */
  readonly repliesPerSecond?: number;
  /** Which reply blocks the replier leaves unused. */
  readonly replierDrops?: (route: readonly NodeEntry[]) => boolean;
  /** From which packets, by their route, the replier uses no reply block. */
  readonly replierIgnores?: (route: readonly NodeEntry[]) => boolean;
  /** Time on links and processors per loop: mean of an exponential on top of 4 ms. */
  readonly overheadMs?: number;
}

interface Change extends HealthChange {
  readonly atMs: number;
}

const STEP_MS = 250;
const BLOCKS_PER_PACKET = 5;
/** Reply blocks at the requester at the start. */
const STOCK = 100;

export class LoopWorld {
  readonly ledger = new LoopLedger();
  readonly changes: Change[] = [];
  readonly #rng: Rng;
  readonly #drawer: RouteDrawer;
  readonly #options: LoopWorldOptions;
  #returns: { id: number; atMs: number }[] = [];
  #nextSendMs = 0;
  readonly #replies: ReplyLedger;
  #stock: Stocked[] = [];
  #nextReplyMs: number;
  #replyHome: { block: ReplyBlock; atMs: number }[] = [];
  nowMs = 0;

  constructor(options: LoopWorldOptions) {
    this.#options = options;
    this.#rng = seededRng(options.seed);
    this.#drawer = new RouteDrawer(this.#rng, (node, journey) => this.health.weight(node, journey));
    this.health.adopt(options.topology);
    this.#replies = new ReplyLedger(this.health);
    const { repliesPerSecond = 0 } = options;
    this.#nextReplyMs = repliesPerSecond === 0 ? Number.POSITIVE_INFINITY : 0;
    while (repliesPerSecond > 0 && this.#stock.length < STOCK) this.#handOut(0);
  }

  get health() {
    return this.ledger.health;
  }

  get gateway(): NodeEntry {
    return this.#options.topology.gateways[0] as NodeEntry;
  }

  /** Runs until `untilMs`, or until `done` says so after a review. */
  run(untilMs: number, done: () => boolean = () => false): void {
    while (this.nowMs < untilMs) {
      this.nowMs += STEP_MS;
      while (this.#nextSendMs <= this.nowMs) this.#sendAt(this.#nextSendMs);
      while (this.#nextReplyMs <= this.nowMs) this.#replyAt(this.#nextReplyMs);
      this.#deliver();
      this.ledger.sweep(this.nowMs);
      this.#replies.sweep(this.nowMs, this.ledger.patienceMs);
      for (const change of this.health.review(this.nowMs)) this.changes.push({ ...change, atMs: this.nowMs });
      if (done()) return;
    }
  }

  /** Share of `count` packets drawn now that the network loses. */
  lossOf(journey: Journey, count: number): number {
    let lost = 0;
    for (let i = 0; i < count; i++) {
      const route = this.#drawer.draw(this.#options.topology, [this.gateway], journey) ?? [];
      const nodes = route.map(({ node }) => node);
      if (this.#options.loses(nodes, this.nowMs, this.#rng)) lost += 1;
    }
    return lost / count;
  }

  /** Routes drawn now, as the names of their nodes. */
  routes(journey: Journey, count: number): NodeEntry[][] {
    return Array.from({ length: count }, () =>
      (this.#drawer.draw(this.#options.topology, [this.gateway], journey) ?? []).map(({ node }) => node),
    );
  }

  excluded(): string[] {
    return this.health.excluded.map((node) => node.id).sort();
  }

  /** When `node` was first excluded; Infinity: never. */
  excludedAtMs(node: NodeEntry): number {
    const found = this.changes.find((change) => change.change === 'excluded' && change.node.id === node.id);
    return found?.atMs ?? Number.POSITIVE_INFINITY;
  }

  #sendAt(atMs: number): void {
    const { topology, loses, loopsPerSecond = 5, overheadMs = 4 } = this.#options;
    const route = this.#drawer.draw(topology, [this.gateway], 'round') ?? [];
    const nodes = route.map(({ node }) => node);
    const delayMs = route.reduce((sum, hop) => sum + hop.delayMs, 0);
    const id = this.ledger.sent(nodes, atMs, delayMs);
    if (!loses(nodes, atMs, this.#rng)) {
      this.#returns.push({ id, atMs: atMs + delayMs + 4 + exponential(this.#rng, overheadMs) });
    }
    this.#nextSendMs += exponential(this.#rng, 1000 / loopsPerSecond);
  }

  /** A packet with reply blocks leaves; it may be lost. */
  #handOut(atMs: number): void {
    const { topology, loses, replierIgnores } = this.#options;
    const draw = (journey: Journey) =>
      (this.#drawer.draw(topology, [this.gateway], journey) ?? []).map(({ node }) => node);
    const blocks = Array.from({ length: BLOCKS_PER_PACKET }, () => {
      const nodes = draw('home');
      return { nodes, block: this.#replies.made(nodes, atMs) };
    });
    const route = draw('out');
    this.#replies.shipped(
      blocks.map(({ block }) => block),
      route,
    );
    if (!loses(route, atMs, this.#rng) && !replierIgnores?.(route)) this.#stock.push(...blocks);
  }

  #replyAt(atMs: number): void {
    const { loses, repliesPerSecond = 0, replierDrops } = this.#options;
    this.#nextReplyMs += exponential(this.#rng, 1000 / repliesPerSecond);
    const used = this.#stock.shift();
    // the supply follows the stock, not the uses
    for (let packets = 0; packets < 2 && this.#stock.length < STOCK; packets++) this.#handOut(atMs);
    if (used === undefined || replierDrops?.(used.nodes) || loses(used.nodes, atMs, this.#rng)) return;
    this.#replyHome.push({ block: used.block, atMs: atMs + 4 + 3 * exponential(this.#rng, 15) });
  }

  #deliver(): void {
    for (const { block, atMs } of this.#replyHome) if (atMs <= this.nowMs) this.#replies.back(block, atMs);
    if (this.#replyHome.length > 0) this.#replyHome = this.#replyHome.filter(({ atMs }) => atMs > this.nowMs);
    if (this.#returns.length === 0) return;
    const due = this.#returns.filter(({ atMs }) => atMs <= this.nowMs).sort((a, b) => a.atMs - b.atMs);
    this.#returns = this.#returns.filter(({ atMs }) => atMs > this.nowMs);
    for (const { id, atMs } of due) this.ledger.returned(id, atMs);
  }
}
