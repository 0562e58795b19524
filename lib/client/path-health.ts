/**
 * Path health: which nodes a client's packets avoid, judged from its own loops. No evidence means healthy.
 *
 * An exclusion takes effect only where nobody but those who can cause it could see its effect; else a node could mark
 * a client at one place and know it again at another:
 *
 * - A mix of layer 2 is left out of everything. Only most of its neighbours together, or itself, can bring that about; the
 *   client's gateway cannot, since it does not know who comes second.
 * - The own gateway can lose what goes to a mix of layer 1, and nobody can tell that from a mix that loses it. So it counts
 *   against the edge between the two: packets that leave through this gateway avoid the mix. Reply blocks do not: their
 *   first hop is known to whoever replies, and stays uniform over layer 1.
 * - The same at the other end. Loops and replies, which come home through the own gateway, avoid a mix of layer 3; data and
 *   drop packets, whose last mix is known to the other gateway, do not.
 * @module
 */
import type { IdentityHex } from '../bytes.ts';
import type { NodeEntry, Topology } from '../directory/index.ts';
import type { Rng } from '../rng.ts';
import { findCulprits, without } from './blame.ts';
import { Exclusions } from './exclusions.ts';
import { LoopEvidence, type LoopOutcome, PathNode, since, tallyOf } from './loop-evidence.ts';
import {
  LOOPS_TELL,
  PATH_BAD_LOOPS,
  PATH_BAD_MS,
  PATH_BAD_SHARE,
  REPLIES_TELL,
  RETRY_WEIGHT,
  SHIPMENTS_TELL,
} from './thresholds.ts';

/** Which ends of a route touch the own gateway: it leaves there (data, drop), comes home there (reply), or both (loop). */
export type Journey = 'out' | 'home' | 'round';

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
/** Replies are many, and some are always missing: they are looked at this often. */
const REPLIES_REVIEW_MS = 1_000;

export class PathHealth {
  readonly #loops = new LoopEvidence();
  /** The second witness: see reply-ledger.ts. */
  readonly #replies = new LoopEvidence();
  /** The third: the packets that took reply blocks out. */
  readonly #shipments = new LoopEvidence();
  readonly #exclusions = new Exclusions();
  readonly #nodes = new Map<IdentityHex, PathNode>();
  #topology: Topology | undefined;
  #unreviewed = false;
  /** A loop came late: verdicts may have been mistakes. Without that, new troubles elsewhere undo none. */
  #appealed = false;
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
      if (this.#nodes.size > MAX_PATH_NODES) this.#nodes.delete(this.#nodes.keys().next().value as IdentityHex);
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
  decided(outcome: LoopOutcome): void {
    this.#loops.add(outcome);
    if (!outcome.returned) this.#unreviewed = true;
    for (const node of outcome.route) {
      if (outcome.returned) node.loopsReturned += 1;
      if (this.#exclusions.tried(node, outcome.returned)) this.#readmitted.push(node);
    }
  }

  /** Notes what became of a reply block. */
  replyDecided(outcome: LoopOutcome): void {
    this.#replies.add(outcome);
    if (!outcome.returned) this.#repliesUnreviewed = true;
  }

  /** Notes what became of a packet with reply blocks. */
  shipmentDecided(outcome: LoopOutcome): void {
    this.#shipments.add(outcome);
    if (!outcome.returned) this.#repliesUnreviewed = true;
  }

  /** A loop that was given up came home after all. */
  cameLate(outcome: LoopOutcome): void {
    if (outcome.returned) return;
    outcome.returned = true;
    this.#unreviewed = true;
    this.#appealed = true;
    for (const node of outcome.route) node.loopsReturned += 1;
  }

  /** Judges anew; says what changed. To be called a few times a second. */
  review(nowMs: number): HealthChange[] {
    this.#loops.trim(nowMs);
    this.#replies.trim(nowMs);
    this.#shipments.trim(nowMs);
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
      if (this.#appealed) changes.push(...this.#acquit(nowMs));
      this.#appealed = false;
      changes.push(...this.#condemn(nowMs));
    }
    return changes;
  }

  /** How often routes of this kind use `node`, where 1 is a fair share. */
  weight(node: NodeEntry, journey: Journey): number {
    const known = this.#nodes.get(node.id);
    if (known === undefined || !this.#exclusions.has(known)) return 1;
    if (known.layer === 1 && journey === 'home') return 1;
    if (known.layer === 3 && journey === 'out') return 1;
    return RETRY_WEIGHT;
  }

  /** Whether to use a reply block of someone else that leaves over `first`: as often as own packets use that mix. */
  repliesOver(first: NodeEntry, rng: Rng): boolean {
    const weight = this.weight(first, 'out');
    return weight >= 1 || rng.uniform() < weight;
  }

  /** Whether most loops are lost although nobody in particular is to blame: the own gateway may be. */
  pathIsBad(nowMs: number): boolean {
    const recent = since(this.#loops.outcomes, nowMs - PATH_BAD_MS);
    const { seen, lost } = tallyOf(without(recent, this.#exclusions.nodes));
    return seen >= PATH_BAD_LOOPS && lost >= PATH_BAD_SHARE * seen;
  }

  of(id: IdentityHex, nowMs: number): NodeHealth {
    const node = this.#nodes.get(id);
    if (node === undefined) return { health: 1, excluded: this.#isMarked(id), loopsSent: 0, loopsReturned: 0 };
    const { loopsSent, loopsReturned } = node;
    const excluded = this.#exclusions.has(node) || this.#isMarked(id);
    return { health: this.#share(node, nowMs), excluded, loopsSent, loopsReturned };
  }

  excludes(node: PathNode): boolean {
    return this.#exclusions.has(node);
  }

  get excluded(): readonly PathNode[] {
    return [...this.#exclusions.nodes];
  }

  /** The own gateway changed: what was learnt through the old one says nothing about the new. */
  startAfresh(nowMs: number): HealthChange[] {
    this.#loops.clear();
    this.#replies.clear();
    this.#shipments.clear();
    const freed = [...this.#exclusions.nodes].filter((node) => node.layer !== 2);
    for (const node of freed) this.#exclusions.lift(node, nowMs, true);
    return freed.map((node) => ({ node, change: 'readmitted' }));
  }

  /** Late loops may show that a fresh verdict was a mistake. */
  #acquit(nowMs: number): HealthChange[] {
    const mistaken = [...this.#exclusions.nodes].filter((node) => {
      if (!this.#exclusions.mayAppeal(node, nowMs)) return false;
      const others = new Set(this.#exclusions.nodes);
      others.delete(node);
      return !this.#culprits(others, nowMs).includes(node);
    });
    for (const node of mistaken) this.#exclusions.lift(node, nowMs, true);
    return mistaken.map((node) => ({ node, change: 'readmitted' }));
  }

  #condemn(nowMs: number): HealthChange[] {
    const culprits = this.#culprits(this.#exclusions.nodes, nowMs);
    const excluded = culprits.filter((node) => this.#exclusions.add(node, this.#layerSize(node.layer), nowMs));
    return excluded.map((node) => ({ node, change: 'excluded' }));
  }

  #culprits(known: ReadonlySet<PathNode>, nowMs: number): PathNode[] {
    const layerSize = (layer: number) => this.#layerSize(layer);
    const culprits: PathNode[] = [];
    for (const [evidence, testimony] of [
      [this.#loops, LOOPS_TELL],
      [this.#replies, REPLIES_TELL],
      [this.#shipments, SHIPMENTS_TELL],
    ] as const) {
      const found = new Set([...known, ...culprits]);
      culprits.push(...findCulprits(evidence.outcomes, found, { ...testimony, layerSize }, nowMs));
    }
    return culprits;
  }

  /** Share of the loops over `node`, and over no other excluded node, that returned in the last minute, or five. */
  #share(node: PathNode, nowMs: number): number {
    const over = this.#loops.outcomes.filter((loop) => loop.route.includes(node));
    const others = new Set(this.#exclusions.nodes);
    others.delete(node);
    const clear = without(over, others);
    for (const loops of [since(clear, nowMs - HEALTH_MS), clear, over]) {
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
    this.#loops.forget(node);
    this.#replies.forget(node);
    this.#shipments.forget(node);
  }

  #layerSize(layer: number): number {
    return this.#topology?.soundLayers[layer - 1]?.length ?? 0;
  }
}
