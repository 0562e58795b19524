/**
 * Which nodes lose packets, by the loops of the others. Every mix and gateway sends loops to itself and publishes in its
 * descriptor, for each node that they crossed, how many left and how many returned. The consensus marks a node that loses a
 * fifth or more by what most reporters found, and no client uses it.
 *
 * - A *reporter* is a node whose loops cross the node in question: mixes and gateways at the other positions of the ring,
 *   without those of its own family. What a node reports of itself is ignored; what it reports of others counts once.
 * - A reporter compares, among its own loops, those over the node with those over the other nodes of the same layer. So
 *   what the reporter loses itself, or the network as a whole, is evidence against nobody.
 * - The *median* of the reporters counts. A reporter without results, or with too few loops, counts as one without loss: lies
 *   of fewer than half of all reporters mark nobody, however many of the honest report nothing.
 * - The medians of the positions right before and right behind the node must agree. A mix that drops what it gets from
 *   a neighbour, to frame it, loses no loop that its own layer sends over that neighbour: those go there
 *   directly. So framing takes accomplices on both sides, a fifth of each position; while a mix that does so to
 *   most of its neighbours is found by their loops, and by those that reach it directly (after Miranda: Leibowitz et al.,
 *   USENIX Security 2019).
 * - Fewer than half of a layer are marked, the worst of them.
 *
 * Errors. If the network loses 4 % of all loops, a reporter with the least evidence (MIN_LOOPS over the node, as many over its
 * peers) counts against an honest node with probability 4.4e-6. One reporter at each position, the fewest there can be, mark
 * one with probability 1.9e-11, three at each with less than 1e-25. A node that drops 30 % is marked with probability 0.96 by
 * three such reporters at each position, with 300 loops each above 0.9999; one that drops half with probability above 0.999 in
 * each of these cases. docs/PROTOCOL.md 4.6 has the table.
 *
 * Pure, and in whole numbers: the same descriptors give the same marks everywhere.
 * @module
 */
import { type IdentityHex, prefixOf } from '../lib/core/bytes.ts';
import { type Descriptor, type LoopResult, mostLossy, RING_SIZE, ringIndexOf, ringOf } from '../lib/directory/index.ts';

/** A node is marked when this much of what crosses it arrives, or less, by comparison with its layer. */
export const LOSSY_PER_MILLE = 800;
/** A reporter's results count from so many loops over the node, and over the others of its layer. */
export const MIN_LOOPS = 50;

/** A descriptor that may have loop results. */
export type Reporter = Exclude<Descriptor, { role: 'requester' }>;
/** Results of one reporter. */
interface Findings {
  readonly family: string | undefined;
  /** By the prefix of the node that the loops crossed. */
  readonly byNode: ReadonlyMap<string, LoopResult>;
  /** Loops over all nodes of each position, sent and returned: summed once, as each node is compared with the rest of its layer. */
  readonly sent: readonly number[];
  readonly returned: readonly number[];
}

const PER_MILLE = 1000;

/** The identities to mark. */
export function lossyNodes(descriptors: readonly Descriptor[]): ReadonlySet<IdentityHex> {
  const ring = ringOf(descriptors.filter((node): node is Reporter => node.role !== 'requester'));
  const findings = findingsOf(ring);
  const lossy = new Set<IdentityHex>();
  for (const layer of ring) {
    if (mostLossy(layer.length) === 0) continue;
    const candidates = layer
      .map((node) => ({ identity: node.identity, survival: survivalOf(node, findings) }))
      .filter(({ survival }) => survival <= LOSSY_PER_MILLE)
      .sort((a, b) => a.survival - b.survival || (a.identity < b.identity ? -1 : 1));
    for (const { identity } of candidates.slice(0, mostLossy(layer.length))) lossy.add(identity);
  }
  return lossy;
}

/** The results of the reporters at each position. */
function findingsOf(ring: readonly (readonly Reporter[])[]): Findings[][] {
  const positions = new Map<string, number[]>();
  for (const [position, nodes] of ring.entries()) {
    for (const prefix of nodes.map((node) => prefixOf(node.identity)))
      positions.set(prefix, [...(positions.get(prefix) ?? []), position]);
  }
  return ring.map((reporters) =>
    reporters.map(({ family, loops = [] }) => {
      const byNode = new Map(loops.map((loop) => [loop[0], loop]));
      const [sent, returned] = [ring.map(() => 0), ring.map(() => 0)];
      for (const [node, more, back] of byNode.values()) {
        for (const position of positions.get(node) ?? []) {
          sent[position] = (sent[position] as number) + more;
          returned[position] = (returned[position] as number) + back;
        }
      }
      return { family, byNode, sent, returned };
    }),
  );
}

/** The median of all reporters, or of one position beside the node: whichever is best for it; per mille. */
function survivalOf(node: Reporter, findings: readonly (readonly Findings[])[]): number {
  const position = ringIndexOf(node) as number;
  const prefix = prefixOf(node.identity);
  const survivals = [1, 2, 3].map((step) =>
    (findings[(position + step) % RING_SIZE] ?? [])
      .filter(({ family }) => family === undefined || family !== node.family)
      .map((found) => relativeSurvival(found, prefix, position)),
  );
  const [behind = [], , before = []] = survivals;
  return Math.max(median(survivals.flat()), median(behind), median(before));
}

/** What share of loops survives the node, where a survivor of the other nodes of its layer is the whole; per mille. */
function relativeSurvival(found: Findings, node: string, position: number): number {
  const [, sent, returned] = found.byNode.get(node) ?? ['', 0, 0];
  const peersSent = (found.sent[position] as number) - sent;
  const peersReturned = (found.returned[position] as number) - returned;
  if (sent < MIN_LOOPS || peersSent < MIN_LOOPS) return PER_MILLE;
  const own = Math.floor((PER_MILLE * returned) / sent);
  const usual = Math.floor((PER_MILLE * peersReturned) / peersSent);
  return own >= usual ? PER_MILLE : Math.floor((PER_MILLE * own) / usual);
}

/** The upper median of values that are PER_MILLE at most; of nobody, PER_MILLE. Most are: only the others are sorted. */
function median(values: readonly number[]): number {
  const lower = values.filter((value) => value < PER_MILLE).sort((a, b) => a - b);
  return lower[Math.floor(values.length / 2)] ?? PER_MILLE;
}
