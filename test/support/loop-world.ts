/**
 * A client that sends loops through a made-up network, in virtual time: ledger, path health and route choice are the
 * real ones, the network is a function that says which loops are lost.
 */
import { LoopLedger } from '../../lib/client/loop-ledger.ts';
import type { HealthChange, Journey } from '../../lib/client/path-health.ts';
import { RouteDrawer } from '../../lib/client/routes.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import { exponential, type Rng } from '../../lib/rng.ts';
import { seededRng } from './seeded-rng.ts';

/** Whether a packet over these hops (mixes, then the gateway) is lost at `nowMs`. */
export type Loses = (route: readonly NodeEntry[], nowMs: number, rng: Rng) => boolean;

export interface LoopWorldOptions {
  readonly topology: Topology;
  readonly seed: number;
  readonly loses: Loses;
  readonly loopsPerSecond?: number;
  /** Time on links and processors per loop: mean of an exponential on top of 4 ms. */
  readonly overheadMs?: number;
}

interface Change extends HealthChange {
  readonly atMs: number;
}

const STEP_MS = 250;

export class LoopWorld {
  readonly ledger = new LoopLedger();
  readonly changes: Change[] = [];
  readonly #rng: Rng;
  readonly #drawer: RouteDrawer;
  readonly #options: LoopWorldOptions;
  #returns: { id: number; atMs: number }[] = [];
  #nextSendMs = 0;
  nowMs = 0;

  constructor(options: LoopWorldOptions) {
    this.#options = options;
    this.#rng = seededRng(options.seed);
    this.#drawer = new RouteDrawer(this.#rng, (node, journey) => this.health.weight(node, journey));
    this.health.adopt(options.topology);
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
      this.#deliver();
      this.ledger.sweep(this.nowMs);
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

  #deliver(): void {
    const due = this.#returns.filter(({ atMs }) => atMs <= this.nowMs).sort((a, b) => a.atMs - b.atMs);
    this.#returns = this.#returns.filter(({ atMs }) => atMs > this.nowMs);
    for (const { id, atMs } of due) this.ledger.returned(id, atMs);
  }
}
