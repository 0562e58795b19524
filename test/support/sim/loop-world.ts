/**
 * A client that sends loops over the simulated mixnet: ledger, path health and route choice are the real ones, a function
 * says which loops are lost.
 */

import { exponential, type Rng } from '../../../lib/core/rng.ts';
import type { MonotonicMs } from '../../../lib/core/units.ts';
import type { NodeEntry, Topology } from '../../../lib/directory/index.ts';
import type { HealthChange, RouteKind } from '../../../lib/endpoint/health/path-health.ts';
import { type ReplyBlock, ReplyLedger } from '../../../lib/endpoint/health/reply-ledger.ts';
import { LoopLedger } from '../../../lib/endpoint/loop-ledger.ts';
import { RouteDrawer } from '../../../lib/endpoint/routes.ts';
import { seededRng } from '../seeded-rng.ts';
import { monotonic } from '../units.ts';
import { EventQueue } from './event-queue.ts';
import { SimNet } from './net.ts';

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
/** Time on links and processors, and at each mix of the way home. */
const LINK_MS = 4;
const MEAN_DELAY_MS = 15;
const BLOCKS_PER_PACKET = 5;
/** Reply blocks at the requester at the start. */
const STOCK = 100;

export class LoopWorld {
  readonly ledger = new LoopLedger();
  readonly changes: Change[] = [];
  readonly #rng: Rng;
  readonly #events = new EventQueue();
  readonly #net: SimNet;
  readonly #drawer: RouteDrawer;
  readonly #options: LoopWorldOptions;
  #nextSendMs = 0;
  readonly #replies: ReplyLedger;
  #stock: Stocked[] = [];
  #nextReplyMs: number;
  nowMs = 0;

  #topology: Topology;

  constructor(options: LoopWorldOptions) {
    this.#options = options;
    this.#topology = options.topology;
    this.#rng = seededRng(options.seed);
    this.#net = new SimNet(this.#events, this.#rng, { linkMs: LINK_MS, mixes: 3, meanDelayMs: MEAN_DELAY_MS });
    this.#drawer = new RouteDrawer(this.#rng, (node, kind) => this.health.weight(node, kind));
    this.health.adopt(options.topology);
    this.#replies = new ReplyLedger(this.health);
    const { repliesPerSecond = 0 } = options;
    this.#nextReplyMs = repliesPerSecond === 0 ? Number.POSITIVE_INFINITY : 0;
    while (repliesPerSecond > 0 && this.#stock.length < STOCK) this.#handOut(0);
  }

  get health() {
    return this.ledger.health;
  }

  /** Another consensus is in force. */
  adopt(topology: Topology): void {
    this.#topology = topology;
    this.health.adopt(topology);
  }

  get gateway(): NodeEntry {
    return this.#topology.gateways[0] as NodeEntry;
  }

  /** Runs until `untilMs`, or until `done` says so after a review. */
  run(untilMs: number, done: () => boolean = () => false): void {
    while (this.nowMs < untilMs) {
      this.nowMs += STEP_MS;
      while (this.#nextSendMs <= this.nowMs) this.#sendAt(this.#nextSendMs);
      while (this.#nextReplyMs <= this.nowMs) this.#replyAt(this.#nextReplyMs);
      this.#events.run(this.nowMs);
      this.ledger.sweep(monotonic(this.nowMs));
      this.#replies.sweep(monotonic(this.nowMs), this.ledger.lossDelayMs);
      for (const change of this.health.review(monotonic(this.nowMs)))
        this.changes.push({ ...change, atMs: this.nowMs });
      if (done()) return;
    }
  }

  /** Share of `count` packets drawn now that the network loses. */
  lossOf(kind: RouteKind, count: number): number {
    let lost = 0;
    for (let i = 0; i < count; i++) {
      const route = this.#drawer.draw(this.#topology, [this.gateway], kind) ?? [];
      const nodes = route.map(({ node }) => node);
      if (this.#options.loses(nodes, this.nowMs, this.#rng)) lost += 1;
    }
    return lost / count;
  }

  /** Routes drawn now, as the names of their nodes. */
  routes(kind: RouteKind, count: number): NodeEntry[][] {
    return Array.from({ length: count }, () =>
      (this.#drawer.draw(this.#topology, [this.gateway], kind) ?? []).map(({ node }) => node),
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
    const { loses, loopsPerSecond = 5, overheadMs = 4 } = this.#options;
    const route = this.#drawer.draw(this.#topology, [this.gateway], 'loop') ?? [];
    const nodes = route.map(({ node }) => node);
    const delayMs = route.reduce((sum, hop) => sum + hop.delayMs, 0);
    const id = this.ledger.sent(nodes, monotonic(atMs), delayMs);
    if (!loses(nodes, atMs, this.#rng)) {
      this.#arrive(atMs + delayMs + LINK_MS + exponential(this.#rng, overheadMs), (ms) => this.ledger.returned(id, ms));
    }
    this.#nextSendMs += exponential(this.#rng, 1000 / loopsPerSecond);
  }

  /** A packet with reply blocks leaves; it may be lost. */
  #handOut(atMs: number): void {
    const { loses, replierIgnores } = this.#options;
    const draw = (kind: RouteKind) =>
      (this.#drawer.draw(this.#topology, [this.gateway], kind) ?? []).map(({ node }) => node);
    const blocks = Array.from({ length: BLOCKS_PER_PACKET }, () => {
      const nodes = draw('reply');
      return { nodes, block: this.#replies.created(nodes, monotonic(atMs)) };
    });
    const route = draw('forward');
    this.#replies.sent(
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
    this.#arrive(atMs + this.#net.wayMs(), (ms) => this.#replies.returned(used.block, ms));
  }

  #arrive(atMs: number, deliver: (atMs: MonotonicMs) => void): void {
    this.#net.carry(() => deliver(monotonic(atMs)), atMs - this.#events.nowMs);
  }
}
