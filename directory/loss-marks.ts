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
import type { IdentityHex } from '../lib/core/bytes.ts';
import { type Descriptor, type LoopResult, mostLossy, RING_SIZE, ringIndexOf, ringOf } from '../lib/directory/index.ts';

/** A node is marked when this much of what crosses it arrives, or less, by comparison with its layer. */
export const LOSSY_PER_MILLE = 800;
/** A reporter's results count from so many loops over the node, and over the others of its layer. */
export const MIN_LOOPS = 50;

/** A descriptor that may have loop results. */
export type Reporter = Exclude<Descriptor, { role: 'requester' }>;
/** Results of one reporter, by the prefix of the node that the loops crossed. */
type Findings = ReadonlyMap<string, LoopResult>;

const PER_MILLE = 1000;
const PREFIX_DIGITS = 16;

/** The identities to mark. */
export function lossyNodes(descriptors: readonly Descriptor[]): ReadonlySet<IdentityHex> {
  const ring = ringOf(descriptors.filter((node): node is Reporter => node.role !== 'requester'));
  const findings = new Map(
    ring.flat().map(({ identity, loops = [] }) => [identity, new Map(loops.map((loop) => [loop[0], loop]))]),
  );
  const lossy = new Set<IdentityHex>();
  for (const layer of ring) {
    if (mostLossy(layer.length) === 0) continue;
    const candidates = layer
      .map(({ identity }) => identity)
      .map((identity, index) => ({ identity, survival: survivalOf(index, layer, ring, findings) }))
      .filter(({ survival }) => survival <= LOSSY_PER_MILLE)
      .sort((a, b) => a.survival - b.survival || (a.identity < b.identity ? -1 : 1));
    for (const { identity } of candidates.slice(0, mostLossy(layer.length))) lossy.add(identity);
  }
  return lossy;
}

/** The median of all reporters, or of one position beside the node: whichever is best for it; per mille. */
function survivalOf(
  index: number,
  layer: readonly Reporter[],
  ring: readonly (readonly Reporter[])[],
  findings: ReadonlyMap<IdentityHex, Findings>,
): number {
  const node = layer[index] as Reporter;
  const position = ringIndexOf(node) as number;
  const peers = layer.filter((peer) => peer !== node).map(prefixOf);
  const survivals = [1, 2, 3].map((step) =>
    (ring[(position + step) % RING_SIZE] ?? [])
      .filter((reporter) => reporter.family === undefined || reporter.family !== node.family)
      .map((reporter) => relativeSurvival(findings.get(reporter.identity) ?? new Map(), prefixOf(node), peers)),
  );
  const [behind = [], , before = []] = survivals;
  return Math.max(median(survivals.flat()), median(behind), median(before));
}

/** What share of loops survives the node, where a survivor of the other nodes of its layer is the whole; per mille. */
function relativeSurvival(found: Findings, node: string, peers: readonly string[]): number {
  const [, sent, returned] = found.get(node) ?? ['', 0, 0];
  let peersSent = 0;
  let peersReturned = 0;
  for (const peer of peers) {
    const [, more, back] = found.get(peer) ?? ['', 0, 0];
    peersSent += more;
    peersReturned += back;
  }
  if (sent < MIN_LOOPS || peersSent < MIN_LOOPS) return PER_MILLE;
  const own = Math.floor((PER_MILLE * returned) / sent);
  const usual = Math.floor((PER_MILLE * peersReturned) / peersSent);
  return own >= usual ? PER_MILLE : Math.floor((PER_MILLE * own) / usual);
}

/** The upper median; of nobody, the best. */
function median(values: readonly number[]): number {
  if (values.length === 0) return PER_MILLE;
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

function prefixOf({ identity }: { identity: IdentityHex }): string {
  return identity.slice(0, PREFIX_DIGITS);
}
