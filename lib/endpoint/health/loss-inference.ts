/**
 * Loss inference: which nodes lose packets, from which loops returned. A lost loop only shows that some node or link of its
 * route lost it, and a malicious node can choose which of its neighbours' packets it drops, to frame them. So evidence is
 * counted by edges, pairs of consecutive nodes, and a node counts as lossy only when its edges to most neighbours lose: the
 * worst edges, as many as a minority of its neighbours could spoil, are removed first, and what remains must still be
 * evidence against it (after Miranda: Leibowitz et al., USENIX Security 2019). Whoever frames honest nodes spoils edges of
 * its own, and has most of them bad before any of its victims has.
 *
 * A node is compared with the loops that did not cross it, in the same time: what the whole network, the own gateway or the
 * own machine loses is evidence against nobody. The worst node is found first; its loops are then left out, so that they do
 * not count against the nodes that shared routes with it.
 *
 * Pure functions over the loops of the last minutes.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';
import { type LoopOutcome, type LossTally, type PathNode, tallyOf } from './loop-evidence.ts';
import {
  type EvidenceRules,
  expectedShare,
  lossEvidence,
  lowerShare,
  MIN_LOSS_SHARE,
  MIN_OTHERS,
  minority,
  WINDOWS_MS,
} from './thresholds.ts';

/** The rules for one kind of evidence in the network of the moment. */
export interface InferenceRules extends EvidenceRules {
  /** Number of mixes in layer 1, 2 or 3. */
  readonly layerSize: (layer: number) => number;
}

const MIN_LOST = 3;

/** Numbers the passes over the evidence, so that each knows the working figures of its own. */
let reviews = 0;

/**
 * The nodes that lose packets, worst first, from loops in order of sending. `known` are those already found: loops over them
 * count for and against nobody.
 */
export function findLossyNodes(
  outcomes: readonly LoopOutcome[],
  known: ReadonlySet<PathNode>,
  rules: InferenceRules,
  nowMs: MonotonicMs,
): PathNode[] {
  const found: PathNode[] = [];
  let live = without(outcomes, known);
  const left = {
    ...rules,
    layerSize: (layer: number) => rules.layerSize(layer) - among([...known, ...found], layer),
  };
  for (;;) {
    const worst = worstOf(live, left, nowMs);
    if (worst === undefined) return found;
    found.push(worst);
    live = without(live, new Set([worst]));
  }
}

/** How many of `nodes` are in this layer. A node whose loops do not count is no neighbour that could be removed. */
function among(nodes: readonly PathNode[], layer: number): number {
  return nodes.filter((node) => node.layer === layer).length;
}

/** The loops that cross none of `nodes`. */
export function without(loops: readonly LoopOutcome[], nodes: ReadonlySet<PathNode>): readonly LoopOutcome[] {
  return nodes.size === 0 ? loops : loops.filter((loop) => !loop.route.some((node) => nodes.has(node)));
}

/** The worst lossy node in the shortest window that has one. */
function worstOf(live: readonly LoopOutcome[], rules: InferenceRules, nowMs: MonotonicMs): PathNode | undefined {
  const mixes: PathNode[] = [];
  reviews += 1;
  const recent = { seen: 0, lost: 0 };
  let everything: Totals | undefined;
  for (const windowMs of WINDOWS_MS) {
    // longer windows go on where the shorter one ended
    for (;;) {
      const loop = live[live.length - 1 - recent.seen];
      if (loop === undefined || loop.sentMs < nowMs - windowMs) break;
      tally(loop, mixes);
      recent.seen += 1;
      if (!loop.returned) recent.lost += 1;
    }
    const suspects = recent.lost < MIN_LOST ? [] : suspectsOf(mixes, rules);
    if (suspects.length > 0) {
      everything ??= totalsOf(live);
      for (const node of suspects) {
        const baseline = Math.max(othersLose(node, recent), othersLoseEver(node, everything));
        const comparable = recent.seen - node.seen >= MIN_OTHERS;
        if (comparable && losesPackets(node, baseline, live, live.length - recent.seen, rules)) return node;
      }
    }
    if (recent.seen === live.length) return undefined;
  }
  return undefined;
}

/** Counts a loop in the working figures of its mixes, and notes those that are new in this review. */
function tally({ route, returned }: LoopOutcome, mixes: PathNode[]): void {
  for (const node of route) {
    if (node.layer === 0) continue;
    if (node.review !== reviews) {
      node.review = reviews;
      node.seen = 0;
      node.lost = 0;
      mixes.push(node);
    }
    node.seen += 1;
    if (!returned) node.lost += 1;
  }
}

/** Suspected mixes: those that lose enough to be tested, worst first. */
function suspectsOf(mixes: readonly PathNode[], rules: InferenceRules): PathNode[] {
  return mixes
    .filter(
      ({ layer, lost, seen }) => rules.layers.includes(layer) && lost >= MIN_LOST && lost >= MIN_LOSS_SHARE * seen,
    )
    .sort((a, b) => lowerShare(b.lost, b.seen) - lowerShare(a.lost, a.seen));
}

interface Totals extends LossTally {
  readonly byNode: ReadonlyMap<PathNode, LossTally>;
}

/** Figures over all the loops that are remembered: the working figures of the nodes are in use for a window. */
function totalsOf(loops: readonly LoopOutcome[]): Totals {
  const byNode = new Map<PathNode, LossTally>();
  for (const { route, returned } of loops) {
    for (const node of route) {
      let figures = byNode.get(node);
      if (figures === undefined) {
        figures = { seen: 0, lost: 0 };
        byNode.set(node, figures);
      }
      figures.seen += 1;
      if (!returned) figures.lost += 1;
    }
  }
  return { ...tallyOf(loops), byNode };
}

/** What loops lose that do not cross `node`, in the window of the working figures. */
function othersLose(node: PathNode, all: LossTally): number {
  return expectedShare(all.lost - node.lost, all.seen - node.seen);
}

function othersLoseEver(node: PathNode, { seen, lost, byNode }: Totals): number {
  const own = byNode.get(node) ?? { seen: 0, lost: 0 };
  return expectedShare(lost - own.lost, seen - own.seen);
}

/** Whether the loops from `from` on are enough evidence that `node` loses them. */
function losesPackets(
  node: PathNode,
  baseline: number,
  loops: readonly LoopOutcome[],
  from: number,
  rules: InferenceRules,
): boolean {
  if (lossEvidence(node.lost, node.seen, baseline) < rules.detectionEvidence) return false;
  const unframed = tallyOf(withoutWorstNeighbours(node, loopsOver(node, loops, from), baseline, rules));
  return (
    unframed.lost >= MIN_LOSS_SHARE * unframed.seen &&
    lossEvidence(unframed.lost, unframed.seen, baseline) >= rules.robustEvidence
  );
}

/** The loops over `node` from `from` on. The mix of layer n is the n-th of a route. */
function loopsOver(node: PathNode, loops: readonly LoopOutcome[], from: number): LoopOutcome[] {
  const over: LoopOutcome[] = [];
  for (let i = from; i < loops.length; i++) {
    const loop = loops[i] as LoopOutcome;
    if (loop.route[node.layer - 1] === node) over.push(loop);
  }
  return over;
}

/**
 * Of the loops over `node`, those that are left without the neighbours that look worst: a minority on either side. Two
 * neighbours have no minority; of all neighbours together at least one is removed.
 */
function withoutWorstNeighbours(
  node: PathNode,
  loops: readonly LoopOutcome[],
  baseline: number,
  rules: InferenceRules,
): readonly LoopOutcome[] {
  const before = rules.layerSize(node.layer - 1);
  const after = rules.layerSize(node.layer + 1);
  const removals = { before: minority(before), after: minority(after), either: 0 };
  if (removals.before + removals.after === 0) removals.either = 1;
  let left = loops;
  while (removals.before + removals.after + removals.either > 0) {
    const sides = new Set<number>();
    if ((removals.before > 0 || removals.either > 0) && before > 1) sides.add(node.layer - 1);
    if ((removals.after > 0 || removals.either > 0) && after > 1) sides.add(node.layer + 1);
    const worst = worstNeighbour(node, left, baseline, sides);
    if (worst === undefined) return left;
    left = left.filter((loop) => loop.route[worst.layer - 1] !== worst);
    if (removals.either > 0) removals.either -= 1;
    else if (worst.layer < node.layer) removals.before -= 1;
    else removals.after -= 1;
  }
  return left;
}

/** The neighbour in one of these layers whose edge to `node` lost most beyond the baseline. */
function worstNeighbour(
  node: PathNode,
  loops: readonly LoopOutcome[],
  baseline: number,
  sides: ReadonlySet<number>,
): PathNode | undefined {
  const excess = new Map<PathNode, number>();
  for (const { route, returned } of loops) {
    for (const neighbour of route) {
      if (!sides.has(neighbour.layer) || neighbour === node) continue;
      excess.set(neighbour, (excess.get(neighbour) ?? 0) + (returned ? -baseline : 1 - baseline));
    }
  }
  let worst: PathNode | undefined;
  for (const [neighbour, sum] of excess) {
    if (sum > 0 && (worst === undefined || sum > (excess.get(worst) ?? 0))) worst = neighbour;
  }
  return worst;
}
