/**
 * Which nodes lose packets, by the loops of the others. Every mix and gateway sends loops to itself and tells in its
 * descriptor, for each node that they crossed, how many left and how many came back. The consensus marks a node of which
 * most of those who can know say that it loses a fifth or more, and every client leaves it out of everything.
 *
 * - A *witness* is whoever's loops cross the node: mixes and gateways of the other places in the ring, without those of
 *   its own family. What a node says of itself is not asked for; what it says of others counts once.
 * - A witness compares, among its own loops, those over the node with those over the other nodes of the same layer. So
 *   what the witness loses itself, or the network as a whole, is held against nobody.
 * - The *median* of the witnesses counts. Who says nothing, or has seen too little, counts as content: lies of fewer
 *   than half of all witnesses mark nobody, however many of the honest are silent.
 * - The medians of the places right before and right behind the node must say the same. A mix that drops what it gets from
 *   a neighbour, to make it look bad, spoils no loop that its own layer sends over that neighbour: those go there
 *   directly. So framing takes accomplices on both sides, a fifth of each place; while a mix that does so to
 *   most of its neighbours is found by their loops, and by those that reach it directly (after Miranda: Leibowitz et al.,
 *   USENIX Security 2019).
 * - Fewer than half of a layer are marked, the worst of them.
 *
 * Errors. If the network loses 4 % of all loops, a witness with the least evidence (MIN_LOOPS over the node, as many over its
 * mates) speaks against an honest node with probability 4.4e-6. One witness in each place, the fewest there can be, mark one
 * with probability 1.9e-11, three in each with less than 1e-25. A node that drops 30 % is marked with probability 0.96 by three such
 * witnesses in each place, with 300 loops each above 0.9999; one that drops half with probability above 0.999 by anyone.
 * docs/PROTOCOL.md 4.6 has the table.
 *
 * Pure, and in whole numbers: the same descriptors give the same marks everywhere.
 * @module
 */
import type { IdentityHex } from '../lib/bytes.ts';
import { type Descriptor, type LoopResult, mostLossy, placeOf, RING_PLACES, ringOf } from '../lib/directory/index.ts';

/** A node is marked when this much of what crosses it arrives, or less, by comparison with its layer. */
export const LOSSY_PER_MILLE = 800;
/** A witness has something to say with so many loops over the node, and over the others of its layer. */
export const MIN_LOOPS = 50;

/** A descriptor that may tell of loops. */
export type Reporter = Exclude<Descriptor, { role: 'requester' }>;
/** What one witness found: loops by the prefix of the node they crossed. */
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
    const verdicts = layer
      .map(({ identity }) => identity)
      .map((identity, index) => ({ identity, survival: survivalOf(index, layer, ring, findings) }))
      .filter(({ survival }) => survival <= LOSSY_PER_MILLE)
      .sort((a, b) => a.survival - b.survival || (a.identity < b.identity ? -1 : 1));
    for (const { identity } of verdicts.slice(0, mostLossy(layer.length))) lossy.add(identity);
  }
  return lossy;
}

/** What most witnesses agree on, overall and in each place beside the node, whichever is best for it; per mille. */
function survivalOf(
  index: number,
  layer: readonly Reporter[],
  ring: readonly (readonly Reporter[])[],
  findings: ReadonlyMap<IdentityHex, Findings>,
): number {
  const node = layer[index] as Reporter;
  const place = placeOf(node) as number;
  const mates = layer.filter((mate) => mate !== node).map(prefixOf);
  const said = [1, 2, 3].map((step) =>
    (ring[(place + step) % RING_PLACES] ?? [])
      .filter((witness) => witness.family === undefined || witness.family !== node.family)
      .map((witness) => relativeSurvival(findings.get(witness.identity) ?? new Map(), prefixOf(node), mates)),
  );
  const [behind = [], , before = []] = said;
  return Math.max(median(said.flat()), median(behind), median(before));
}

/** What share of loops survives the node, where a survivor of the other nodes of its layer is the whole; per mille. */
function relativeSurvival(found: Findings, node: string, mates: readonly string[]): number {
  const [, sent, returned] = found.get(node) ?? ['', 0, 0];
  let matesSent = 0;
  let matesReturned = 0;
  for (const mate of mates) {
    const [, more, back] = found.get(mate) ?? ['', 0, 0];
    matesSent += more;
    matesReturned += back;
  }
  if (sent < MIN_LOOPS || matesSent < MIN_LOOPS) return PER_MILLE;
  const own = Math.floor((PER_MILLE * returned) / sent);
  const usual = Math.floor((PER_MILLE * matesReturned) / matesSent);
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
