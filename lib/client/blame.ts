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
  BLAME_EVIDENCE,
  BLAME_SHARE,
  expectedShare,
  lossEvidence,
  lowerShare,
  MIN_OTHERS,
  minority,
  UNFRAMED_EVIDENCE,
  WINDOWS_MS,
} from './thresholds.ts';

/** Number of mixes in layer 1, 2 or 3. */
export type LayerSize = (layer: number) => number;

const MIN_LOST = 3;

/** The nodes to blame, worst first. `known` are those already blamed: their loops count for and against nobody. */
export function findCulprits(
  outcomes: readonly LoopOutcome[],
  known: ReadonlySet<PathNode>,
  layerSize: LayerSize,
  nowMs: number,
): PathNode[] {
  const blamed = new Set(known);
  for (const windowMs of WINDOWS_MS) {
    for (;;) {
      const live = outcomes.filter((loop) => !loop.route.some((node) => blamed.has(node)));
      const recent = live.filter((loop) => loop.sentMs >= nowMs - windowMs);
      const culprit = worstOf(recent, live, layerSize);
      if (culprit === undefined) break;
      blamed.add(culprit);
    }
  }
  return [...blamed].filter((node) => !known.has(node));
}

/** Loops in the time `windowMs` that cross no node of `without`. */
export function recentTally(
  outcomes: readonly LoopOutcome[],
  without: ReadonlySet<PathNode>,
  windowMs: number,
  nowMs: number,
): LossTally {
  return tallyOf(
    outcomes.filter((loop) => loop.sentMs >= nowMs - windowMs && !loop.route.some((node) => without.has(node))),
  );
}

function worstOf(
  recent: readonly LoopOutcome[],
  live: readonly LoopOutcome[],
  layerSize: LayerSize,
): PathNode | undefined {
  const mixes = tallyMixes(recent);
  const suspects = [...mixes].filter((node) => node.lost >= MIN_LOST && node.lost >= BLAME_SHARE * node.seen);
  suspects.sort((a, b) => lowerShare(b.lost, b.seen) - lowerShare(a.lost, a.seen));
  return suspects.find((node) => isGuilty(node, recent, live, layerSize));
}

/** The mixes on these loops, with their working figures set. */
function tallyMixes(loops: readonly LoopOutcome[]): Set<PathNode> {
  const mixes = new Set<PathNode>();
  for (const { route, returned } of loops) {
    for (const node of route) {
      if (node.layer === 0) continue;
      if (!mixes.has(node)) {
        mixes.add(node);
        node.seen = 0;
        node.lost = 0;
      }
      node.seen += 1;
      if (!returned) node.lost += 1;
    }
  }
  return mixes;
}

function isGuilty(
  node: PathNode,
  recent: readonly LoopOutcome[],
  live: readonly LoopOutcome[],
  layerSize: LayerSize,
): boolean {
  const others = tallyOf(recent.filter((loop) => !loop.route.includes(node)));
  if (others.seen < MIN_OTHERS) return false;
  const longer = tallyOf(live.filter((loop) => !loop.route.includes(node)));
  const baseline = Math.max(expectedShare(others.lost, others.seen), expectedShare(longer.lost, longer.seen));
  if (lossEvidence(node.lost, node.seen, baseline) < BLAME_EVIDENCE) return false;
  const unframed = tallyOf(withoutWorstNeighbours(node, recent, baseline, layerSize));
  return (
    unframed.lost >= BLAME_SHARE * unframed.seen &&
    lossEvidence(unframed.lost, unframed.seen, baseline) >= UNFRAMED_EVIDENCE
  );
}

/**
 * The loops over `node` that are left when the neighbours that look worst are struck out: a minority on either side. Two
 * neighbours have no minority; of all neighbours together at least one is struck out.
 */
function withoutWorstNeighbours(
  node: PathNode,
  loops: readonly LoopOutcome[],
  baseline: number,
  layerSize: LayerSize,
): LoopOutcome[] {
  const before = layerSize(node.layer - 1);
  const after = layerSize(node.layer + 1);
  const strikes = { before: minority(before), after: minority(after), either: 0 };
  if (strikes.before + strikes.after === 0) strikes.either = 1;
  let left = loops.filter((loop) => loop.route.includes(node));
  while (strikes.before + strikes.after + strikes.either > 0) {
    const sides = new Set<number>();
    if ((strikes.before > 0 || strikes.either > 0) && before > 1) sides.add(node.layer - 1);
    if ((strikes.after > 0 || strikes.either > 0) && after > 1) sides.add(node.layer + 1);
    const worst = worstNeighbour(node, left, baseline, sides);
    if (worst === undefined) return left;
    left = left.filter((loop) => !loop.route.includes(worst));
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
