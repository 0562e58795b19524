/**
 * Whom the lost loops speak against. A loop that is lost only says that some node or link of its route lost it, and a bad
 * node can choose which of its neighbours' packets it drops, to make them look bad. So evidence is counted by edges, pairs
 * of consecutive nodes, and a node is blamed only when its edges to most neighbours are bad: the worst edges, as many as
 * a minority of its neighbours could spoil, are struck out first, and what remains must still speak against it (after
 * Miranda: Leibowitz et al., USENIX Security 2019). Whoever frames honest nodes spoils edges of its own, and has
 * most of them bad before any of its victims has.
 *
 * A node is compared with the loops that did not cross it, in the same time: what the whole network, the own
 * gateway or the own machine loses is held against nobody. The worst node is judged first; its loops then drop out, so that they do
 * not colour the judgement of the nodes that shared routes with it.
 *
 * Pure functions over the loops of the last minutes.
 * @module
 */
import { type LoopOutcome, type LossTally, type PathNode, tallyOf } from './loop-evidence.ts';
import {
  BLAME_SHARE,
  expectedShare,
  lossEvidence,
  lowerShare,
  MIN_OTHERS,
  minority,
  type Testimony,
  WINDOWS_MS,
} from './thresholds.ts';

/** The rules by which a kind of witness is heard. */
export interface Rules extends Testimony {
  /** Number of mixes in layer 1, 2 or 3. */
  readonly layerSize: (layer: number) => number;
}

const MIN_LOST = 3;

/** Numbers the passes over the evidence, so that each knows the working figures of its own. */
let reviews = 0;

/**
 * The nodes to blame, worst first, from loops in order of sending. `known` are those already blamed: their loops count
 * for and against nobody.
 */
export function findCulprits(
  outcomes: readonly LoopOutcome[],
  known: ReadonlySet<PathNode>,
  rules: Rules,
  nowMs: number,
): PathNode[] {
  const culprits: PathNode[] = [];
  let live = without(outcomes, known);
  const left = {
    ...rules,
    layerSize: (layer: number) => rules.layerSize(layer) - among([...known, ...culprits], layer),
  };
  for (;;) {
    const culprit = worstOf(live, left, nowMs);
    if (culprit === undefined) return culprits;
    culprits.push(culprit);
    live = without(live, new Set([culprit]));
  }
}

/** How many of `nodes` are in this layer. Whose loops do not count is no neighbour that could be struck out. */
function among(nodes: readonly PathNode[], layer: number): number {
  return nodes.filter((node) => node.layer === layer).length;
}

/** The loops that cross none of `nodes`. */
export function without(loops: readonly LoopOutcome[], nodes: ReadonlySet<PathNode>): readonly LoopOutcome[] {
  return nodes.size === 0 ? loops : loops.filter((loop) => !loop.route.some((node) => nodes.has(node)));
}

/** The worst of the guilty in the shortest window that has one. */
function worstOf(live: readonly LoopOutcome[], rules: Rules, nowMs: number): PathNode | undefined {
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
        const judged = recent.seen - node.seen >= MIN_OTHERS;
        if (judged && isGuilty(node, baseline, live, live.length - recent.seen, rules)) return node;
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

/** Mixes that lose enough to be worth a judgement, worst first. */
function suspectsOf(mixes: readonly PathNode[], rules: Rules): PathNode[] {
  return mixes
    .filter(({ layer, lost, seen }) => rules.layers.includes(layer) && lost >= MIN_LOST && lost >= BLAME_SHARE * seen)
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

/** Whether the loops from `from` on show that `node` loses them. */
function isGuilty(
  node: PathNode,
  baseline: number,
  loops: readonly LoopOutcome[],
  from: number,
  rules: Rules,
): boolean {
  if (lossEvidence(node.lost, node.seen, baseline) < rules.blameEvidence) return false;
  const unframed = tallyOf(withoutWorstNeighbours(node, loopsOver(node, loops, from), baseline, rules));
  return (
    unframed.lost >= BLAME_SHARE * unframed.seen &&
    lossEvidence(unframed.lost, unframed.seen, baseline) >= rules.unframedEvidence
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
 * Of the loops over `node`, those that are left when the neighbours that look worst are struck out: a minority on either side. Two
 * neighbours have no minority; of all neighbours together at least one is struck out.
 */
function withoutWorstNeighbours(
  node: PathNode,
  loops: readonly LoopOutcome[],
  baseline: number,
  rules: Rules,
): readonly LoopOutcome[] {
  const before = rules.layerSize(node.layer - 1);
  const after = rules.layerSize(node.layer + 1);
  const strikes = { before: minority(before), after: minority(after), either: 0 };
  if (strikes.before + strikes.after === 0) strikes.either = 1;
  let left = loops;
  while (strikes.before + strikes.after + strikes.either > 0) {
    const sides = new Set<number>();
    if ((strikes.before > 0 || strikes.either > 0) && before > 1) sides.add(node.layer - 1);
    if ((strikes.after > 0 || strikes.either > 0) && after > 1) sides.add(node.layer + 1);
    const worst = worstNeighbour(node, left, baseline, sides);
    if (worst === undefined) return left;
    left = left.filter((loop) => loop.route[worst.layer - 1] !== worst);
    if (strikes.either > 0) strikes.either -= 1;
    else if (worst.layer < node.layer) strikes.before -= 1;
    else strikes.after -= 1;
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
