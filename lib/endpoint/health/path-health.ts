/**
 * Path health: which nodes a client's packets avoid, by the evidence of its own loops. No evidence means healthy.
 *
 * An exclusion takes effect only where nobody but those who can cause it could see its effect; else a node could mark
 * a client at one place and know it again at another:
 *
 * - A mix of layer 2 is left out of everything. Only most of its neighbours together, or itself, can bring that about; the
 *   client's gateway cannot, since it does not know who comes second.
 * - The own gateway can lose what goes to a mix of layer 1, and nobody can tell that from a mix that loses it. So it counts
 *   against the edge between the two: packets that leave through this gateway avoid the mix. Reply blocks do not: their
 *   first hop is known to whoever replies, and stays uniform over layer 1.
 * - The same at the other end. Loops and replies, which come back through the own gateway, avoid a mix of layer 3; data and
 *   drop packets, whose last mix is known to the other gateway, do not.
 * @module
 */

import type { IdentityHex } from '../../core/bytes.ts';
import type { Rng } from '../../core/rng.ts';
import type { MonotonicMs } from '../../core/units.ts';
import { laterMs } from '../../core/units.ts';
import type { NodeEntry, Topology } from '../../directory/index.ts';
import { Exclusions } from './exclusions.ts';
import { LoopEvidence, type LoopOutcome, PathNode, since, tallyOf } from './loop-evidence.ts';
import { findLossyNodes, without } from './loss-inference.ts';
import {
  CARRIER_RULES,
  LOOP_RULES,
  maxExcluded,
  PATH_BAD_LOOPS,
  PATH_BAD_MS,
  PATH_BAD_SHARE,
  REPLY_RULES,
  RETRY_WEIGHT,
} from './thresholds.ts';

/** What a route is for: packets away (data, drop), which enter the network at the own gateway; replies, which leave it there; loops, which do both. */
export type RouteKind = 'forward' | 'reply' | 'loop';

export interface NodeHealth {
  /** Share of loops that returned lately, 0 to 1; 1 without evidence. */
  readonly health: number;
  /** By own evidence, or because the consensus marks it as lossy. */
  readonly excluded: boolean;
  readonly loopsSent: number;
  readonly loopsReturned: number;
}

/** What a review found. */
export interface HealthChange {
  readonly node: PathNode;
  readonly change: 'excluded' | 'readmitted';
}

/** Nodes remembered; those that left the consensus are forgotten first. */
export const MAX_PATH_NODES = 4096;

/** `health` is the share of this time, while there were loops. */
const HEALTH_MS = 60_000;
/** Replies are many, and some are always missing: they are reviewed this often. */
const REPLIES_REVIEW_MS = 1_000;

export class PathHealth {
  readonly #loops = new LoopEvidence();
  /** The second kind of evidence: reply-ledger.ts. */
  readonly #replies = new LoopEvidence();
  /** The third: the packets that carried reply blocks. */
  readonly #carriers = new LoopEvidence();
  readonly #evidence = [this.#loops, this.#replies, this.#carriers];
  readonly #exclusions = new Exclusions();
  readonly #nodes = new Map<IdentityHex, PathNode>();
  #topology: Topology | undefined;
  #unreviewed = false;
  /** A loop returned late: exclusions may have been mistakes. Without that, losses elsewhere undo none. */
  #returnedLate = false;
  #repliesUnreviewed = false;
  #repliesReviewedMs = Number.NEGATIVE_INFINITY;
  #readmitted: PathNode[] = [];

  /** Takes over the nodes of a new consensus. */
  adopt(topology: Topology): void {
    this.#topology = topology;
    const used = (node: PathNode) => topology.byId(node.id) !== undefined && !this.#isMarked(node.id);
    this.#readmitted.push(...this.#exclusions.fit(used, (layer) => this.#layerSize(layer)));
    for (const node of this.#nodes.values()) {
      if (used(node)) continue;
      this.#forget(node);
      if (topology.byId(node.id) === undefined) this.#nodes.delete(node.id);
    }
  }

  /** The one object that stands for this node. */
  nodeOf(entry: NodeEntry): PathNode {
    let node = this.#nodes.get(entry.id);
    if (node === undefined || node.layer !== (entry.layer ?? 0)) {
      node = new PathNode(entry);
      this.#nodes.set(entry.id, node);
      const [oldest] = this.#nodes.keys();
      if (this.#nodes.size > MAX_PATH_NODES && oldest !== undefined) this.#nodes.delete(oldest);
    }
    return node;
  }

  /** Notes a loop that left over `route`. */
  sent(route: readonly NodeEntry[]): readonly PathNode[] {
    const nodes = route.map((entry) => this.nodeOf(entry));
    for (const node of nodes) node.loopsSent += 1;
    return nodes;
  }

  /** Notes what became of a loop. */
  record(outcome: LoopOutcome): void {
    this.#loops.add(outcome);
    if (!outcome.returned) this.#unreviewed = true;
    for (const node of outcome.route) {
      if (outcome.returned) node.loopsReturned += 1;
      if (this.#exclusions.recordLoop(node, outcome.returned)) this.#readmitted.push(node);
    }
  }

  /** Notes what became of a reply block. */
  recordReply(outcome: LoopOutcome): void {
    this.#replies.add(outcome);
    if (!outcome.returned) this.#repliesUnreviewed = true;
  }

  /** Notes what became of a packet with reply blocks. */
  recordCarrier(outcome: LoopOutcome): void {
    this.#carriers.add(outcome);
    if (!outcome.returned) this.#repliesUnreviewed = true;
  }

  /** A loop that counted as lost has returned after all. */
  recordLateReturn(outcome: LoopOutcome): void {
    if (outcome.returned) return;
    outcome.returned = true;
    this.#unreviewed = true;
    this.#returnedLate = true;
    for (const node of outcome.route) node.loopsReturned += 1;
  }

  /** The downlink is flooded, or was: losses of what was sent in this time are no evidence against anybody. */
  excuse(fromMs: MonotonicMs, untilMs: MonotonicMs): void {
    for (const evidence of this.#evidence) evidence.excuse(fromMs, untilMs);
  }

  excuses(sentMs: MonotonicMs): boolean {
    return this.#loops.excuses(sentMs);
  }

  /** Looks for lossy nodes; returns what changed. To be called a few times a second. */
  review(nowMs: MonotonicMs): HealthChange[] {
    for (const evidence of this.#evidence) evidence.trim(nowMs);
    const changes: HealthChange[] = [];
    for (const node of [...this.#readmitted.splice(0), ...this.#exclusions.due(nowMs)]) {
      this.#exclusions.lift(node, nowMs);
      this.#forget(node);
      changes.push({ node, change: 'readmitted' });
    }
    if (this.#repliesUnreviewed && nowMs - this.#repliesReviewedMs >= REPLIES_REVIEW_MS) {
      this.#unreviewed = true;
      this.#repliesUnreviewed = false;
      this.#repliesReviewedMs = nowMs;
    }
    if (this.#unreviewed) {
      this.#unreviewed = false;
      if (this.#returnedLate) changes.push(...this.#revise(nowMs));
      this.#returnedLate = false;
      changes.push(...this.#exclude(nowMs));
    }
    return changes;
  }

  /** How often routes of this kind use `node`, where 1 is a fair share. */
  weight(node: NodeEntry, kind: RouteKind): number {
    const known = this.#nodes.get(node.id);
    if (known === undefined || !this.#exclusions.has(known)) return 1;
    if (known.layer === 1 && kind === 'reply') return 1;
    if (known.layer === 3 && kind === 'forward') return 1;
    return RETRY_WEIGHT;
  }

  /** Whether to use a reply block of someone else that leaves over `first`: as often as own packets use that mix. */
  repliesOver(first: NodeEntry, rng: Rng): boolean {
    const weight = this.weight(first, 'forward');
    return weight >= 1 || rng.uniform() < weight;
  }

  /** Whether most loops are lost although no mix stands out: the own gateway may be the reason. */
  pathIsBad(nowMs: MonotonicMs): boolean {
    const recent = since(this.#loops.outcomes, laterMs(nowMs, -PATH_BAD_MS));
    const { seen, lost } = tallyOf(without(recent, this.#exclusions.nodes));
    return seen >= PATH_BAD_LOOPS && lost >= PATH_BAD_SHARE * seen;
  }

  of(id: IdentityHex, nowMs: MonotonicMs): NodeHealth {
    const node = this.#nodes.get(id);
    if (node === undefined) return { health: 1, excluded: this.#isMarked(id), loopsSent: 0, loopsReturned: 0 };
    const { loopsSent, loopsReturned } = node;
    const excluded = this.#exclusions.has(node) || this.#isMarked(id);
    return { health: this.#share(node, nowMs), excluded, loopsSent, loopsReturned };
  }

  /**
   * Share of reply blocks that can come back as far as own findings go: packets to a requester cross mixes of layer 3 that
   * are excluded, and the requester leaves blocks unused that begin at one of layer 1.
   */
  get usableShare(): number {
    return this.#soundShare(1) * this.#soundShare(3);
  }

  /** How many mixes of layer 1, of those that are not excluded, a requester may exclude by its own finding. */
  get avoidableFirstHops(): number {
    return maxExcluded(this.#layerSize(1) - this.#excludedIn(1));
  }

  excludes(node: PathNode): boolean {
    return this.#exclusions.has(node);
  }

  get excluded(): readonly PathNode[] {
    return [...this.#exclusions.nodes];
  }

  /** The own gateway changed: evidence through the old one is none about the new. */
  gatewayChanged(nowMs: MonotonicMs): HealthChange[] {
    for (const evidence of this.#evidence) evidence.clear();
    const freed = [...this.#exclusions.nodes].filter((node) => node.layer !== 2);
    for (const node of freed) this.#exclusions.lift(node, nowMs, true);
    return freed.map((node) => ({ node, change: 'readmitted' }));
  }

  /** Loops that return late may show that an exclusion was a mistake. */
  #revise(nowMs: MonotonicMs): HealthChange[] {
    const mistaken = [...this.#exclusions.nodes].filter((node) => {
      if (!this.#exclusions.isRevisable(node, nowMs)) return false;
      const others = new Set(this.#exclusions.nodes);
      others.delete(node);
      return !this.#lossyNodes(others, nowMs).includes(node);
    });
    for (const node of mistaken) this.#exclusions.lift(node, nowMs, true);
    return mistaken.map((node) => ({ node, change: 'readmitted' }));
  }

  #exclude(nowMs: MonotonicMs): HealthChange[] {
    const lossy = this.#lossyNodes(this.#exclusions.nodes, nowMs);
    const excluded = lossy.filter((node) => this.#exclusions.add(node, this.#layerSize(node.layer), nowMs));
    return excluded.map((node) => ({ node, change: 'excluded' }));
  }

  #lossyNodes(known: ReadonlySet<PathNode>, nowMs: MonotonicMs): PathNode[] {
    const layerSize = (layer: number) => this.#layerSize(layer);
    const lossy: PathNode[] = [];
    for (const [evidence, rules] of [
      [this.#loops, LOOP_RULES],
      [this.#replies, REPLY_RULES],
      [this.#carriers, CARRIER_RULES],
    ] as const) {
      const found = new Set([...known, ...lossy]);
      lossy.push(...findLossyNodes(evidence.outcomes, found, { ...rules, layerSize }, nowMs));
    }
    return lossy;
  }

  /** Share of the loops over `node`, and over no other excluded node, that returned in the last minute, or five. */
  #share(node: PathNode, nowMs: MonotonicMs): number {
    const over = this.#loops.outcomes.filter((loop) => loop.route.includes(node));
    const others = new Set(this.#exclusions.nodes);
    others.delete(node);
    const clear = without(over, others);
    for (const loops of [since(clear, laterMs(nowMs, -HEALTH_MS)), clear, over]) {
      const { seen, lost } = tallyOf(loops);
      if (seen > 0) return (seen - lost) / seen;
    }
    return 1;
  }

  /** Whether the consensus keeps everybody's routes off this node. */
  #isMarked(id: IdentityHex): boolean {
    return this.#topology?.byId(id)?.lossy === true;
  }

  #forget(node: PathNode): void {
    for (const evidence of this.#evidence) evidence.forget(node);
  }

  #excludedIn(layer: number): number {
    return [...this.#exclusions.nodes].filter((node) => node.layer === layer).length;
  }

  #soundShare(layer: number): number {
    const size = this.#layerSize(layer);
    return size === 0 ? 1 : Math.max(1, size - this.#excludedIn(layer)) / size;
  }

  #layerSize(layer: number): number {
    return this.#topology?.soundLayers[layer - 1]?.length ?? 0;
  }
}
