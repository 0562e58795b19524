/**
 * From the ballots of several authorities to what all of them sign (docs/PROTOCOL.md section 4.9). Pure: the same ballots give the same
 * result, in whatever order they came.
 *
 * - A node is in when more than half of the ballots list it, and `quorum.witnesses` of them list the same descriptor. Of several such
 *   descriptors the one on most ballots is taken, then the one with the smaller digest.
 * - Parameters: the lower median of each number; of anything else what stands on most ballots.
 * - The consensus that this one follows is the one that more than half name.
 * - Its version is the highest that the ballots of all authorities say they can make. Where there is none, those that as many can make as
 *   must sign are tried in turn, the lowest first, one each attempt: a liar holds a version back, but neither raises it nor stops the others.
 * @module
 */
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { minDeliveryRate, type NetworkParams, type TrafficClass } from '../../lib/core/params.ts';
import { speaks } from '../../lib/core/version-range.ts';
import type { NetworkFile } from '../../lib/directory/index.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Ballot, Previous } from './vote.ts';

/** How many authorities of a network it takes. */
export interface Quorum {
  /** Signatures that a consensus needs, and ballots without which none is made. */
  readonly threshold: number;
  /** So many authorities may be down or lie. Of one more, one is honest and there. */
  readonly faults: number;
  /** Ballots that must name the same descriptor: one of them is of somebody who has it. */
  readonly witnesses: number;
}

/** What all who hold the same ballots agree on. */
export interface Merged {
  /** Digests of the descriptors that were chosen, by identity, in ascending order. */
  readonly nodes: readonly (readonly [IdentityHex, string])[];
  readonly params: NetworkParams;
  readonly previous: Previous | undefined;
  /** Of the consensus; undefined when not as many as must sign can make the same one. */
  readonly version: number | undefined;
}

export function quorumOf({ authorities, threshold }: Pick<NetworkFile, 'authorities' | 'threshold'>): Quorum {
  const faults = authorities.length - threshold;
  return { threshold, faults, witnesses: faults + 1 };
}

/** Merges the ballots of different authorities; undefined when there are fewer than the threshold. */
export function mergeBallots(ballots: readonly Ballot[], quorum: Quorum, attempt = 0): Merged | undefined {
  const { threshold, witnesses } = quorum;
  if (ballots.length < threshold) return undefined;
  return {
    nodes: chosenNodes(ballots, witnesses),
    params: mergedParams(ballots.map(({ params }) => params)),
    previous: majorityOf(
      ballots.map(({ previous }) => previous),
      witnesses,
    ),
    version: agreedVersion(ballots, quorum, attempt),
  };
}

/** The version of the consensus; undefined when not as many as must sign can make the same one. */
function agreedVersion(ballots: readonly Ballot[], { threshold, faults }: Quorum, attempt: number): number | undefined {
  const ranges = ballots.map(
    ({ version, consensusVersions = { lowest: version, highest: version } }) => consensusVersions,
  );
  const makers = (version: number) => ranges.filter((range) => speaks(range, version)).length;
  const highest = [...new Set(ranges.map((range) => range.highest))].sort((a, b) => a - b);
  const ofAll = highest.filter((version) => makers(version) === threshold + faults).at(-1);
  const possible = highest.filter((version) => makers(version) >= threshold);
  return ofAll ?? possible[attempt % possible.length];
}

/** On how many ballots a node stands, and on how many with each descriptor. */
export interface Mention {
  total: number;
  readonly byDigest: Map<string, number>;
}

/** The nodes of any ballot. */
export function mentions(ballots: readonly Ballot[]): Map<IdentityHex, Mention> {
  const found = new Map<IdentityHex, Mention>();
  for (const [identity, digest] of ballots.flatMap(({ nodes }) => nodes)) {
    const mention = found.get(identity) ?? { total: 0, byDigest: new Map() };
    mention.total += 1;
    mention.byDigest.set(digest, (mention.byDigest.get(digest) ?? 0) + 1);
    found.set(identity, mention);
  }
  return found;
}

function chosenNodes(ballots: readonly Ballot[], witnesses: number): [IdentityHex, string][] {
  const chosen: [IdentityHex, string][] = [];
  for (const [identity, { total, byDigest }] of mentions(ballots)) {
    const [best] = [...byDigest].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    if (best === undefined || 2 * total <= ballots.length || best[1] < witnesses) continue;
    chosen.push([identity, best[0]]);
  }
  return chosen.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** What more than half name, and `witnesses` of them; undefined where that is nothing. */
function majorityOf<T>(values: readonly (T | undefined)[], witnesses: number): T | undefined {
  const best = mostFrequent(values);
  return 2 * best.count > values.length && best.count >= witnesses ? best.value : undefined;
}

function mergedParams(params: readonly NetworkParams[]): NetworkParams {
  const merged = mergeValues(params) as NetworkParams;
  const classes = Object.entries(merged.classes).map(([name, rates]): [string, TrafficClass] => [
    name,
    { ...rates, deliveryRate: Math.max(rates.deliveryRate, minDeliveryRate(rates)) },
  ]);
  return { ...merged, classes: Object.fromEntries(classes) };
}

/**
 * Medians keep an order that holds on each ballot: if a ≤ b on all, it does for the medians. So what no ballot contradicts, their
 * merger does not either; sums (the least delivery rate) are put right afterwards.
 */
function mergeValues(values: readonly unknown[]): unknown {
  if (values.every((value) => typeof value === 'number')) return lowerMedian(values as number[]);
  if (!values.every(isObject)) return mostFrequent(values).value;
  const keys = new Set(values.flatMap((value) => Object.keys(value)));
  const members = [...keys].sort().flatMap((key) => {
    // Own ones: a name such as `constructor` would else stand on every ballot.
    const having = values.filter((value) => Object.hasOwn(value, key));
    return 2 * having.length > values.length ? [[key, mergeValues(having.map((value) => value[key]))]] : [];
  });
  return Object.fromEntries(members);
}

function lowerMedian(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] as number;
}

/** Of several as frequent, the one whose text comes first. */
function mostFrequent<T>(values: readonly T[]): { value: T; count: number } {
  const counts = new Map<string, { value: T; count: number }>();
  for (const value of values) {
    const text = value === undefined ? '' : canonicalJson(value);
    counts.set(text, { value, count: (counts.get(text)?.count ?? 0) + 1 });
  }
  const [best] = [...counts].sort((a, b) => b[1].count - a[1].count || (a[0] < b[0] ? -1 : 1));
  return best?.[1] ?? { value: undefined as T, count: 0 };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
