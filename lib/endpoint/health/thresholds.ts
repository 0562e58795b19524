/**
 * The fixed numbers of path health, and the statistics they rest on.
 *
 * One measure decides everything: how improbable it is that chance lost `lost` of `seen` loops, when each is lost with
 * probability `baseline`. By the bound of Chernoff and Hoeffding (1963, theorem 1) that probability is at most
 * exp(-seen · KL(lost/seen ‖ baseline)); the exponent is the evidence, in nats. A bound instead of the exact tail costs
 * about one loop and needs no tables.
 *
 * False positives. A review looks at each node in thirteen windows, at most once per lost loop. An honest network of 30
 * mixes that loses 1 % at every hop (4 % of loops) at 5 loops a second loses 17,000 a day: 6.6 million tests, each wrong
 * with probability below 1e-9, so fewer than 0.007 false exclusions a day even if all tests were independent; they
 * overlap almost entirely. The baseline is what the other loops lose at the same time, so a network that is bad as a whole
 * excludes nobody.
 *
 * False negatives. A node that loses less than MIN_LOSS_SHARE is not excluded: that would cost more anonymity than its
 * loss costs speed. One that loses half of what crosses it is found from about ten lost loops, a dead one from six
 * (0.02^6 < 1e-9) as soon as three of them came over neighbours that cannot all have conspired (0.02^3 < 1e-4).
 * docs/PROTOCOL.md 10.7 has the measured times.
 * @module
 */

/** Loss below this is no evidence against a node, whatever the others lose. */
export const BASELINE_FLOOR = 0.02;
/** A node that loses less than this share is not excluded. */
export const MIN_LOSS_SHARE = 0.2;
/** Nats of evidence for an exclusion: below 1e-9 false positives per test. */
export const DETECTION_EVIDENCE = Math.log(1e9);
/** Nats that must remain without the neighbours that may conspire: below 1e-4. The first test has ruled out chance. */
export const ROBUST_EVIDENCE = Math.log(1e4);
/** How strong a kind of evidence must be, and about which nodes it is. */
export interface EvidenceRules {
  readonly detectionEvidence: number;
  readonly robustEvidence: number;
  /** Layers whose mixes it is about. */
  readonly layers: readonly number[];
}

export const LOOP_RULES: EvidenceRules = {
  detectionEvidence: DETECTION_EVIDENCE,
  robustEvidence: ROBUST_EVIDENCE,
  layers: [1, 2, 3],
};
/**
 * Up to five reply blocks travel in one packet and are lost together. Their routes are independent, so that a node's count
 * varies at most 1 + 4/2 times as much as that of single losses: three times the evidence for the same certainty.
 */
export const REPLY_RULES: EvidenceRules = {
  detectionEvidence: 3 * DETECTION_EVIDENCE,
  robustEvidence: 3 * ROBUST_EVIDENCE,
  layers: [2, 3],
};
/**
 * Packets with reply blocks get lost one by one, as loops do. They are looked at once a second: for ten mixes of layer 1
 * in thirteen windows 11 million tests a day, so fewer than 0.011 false exclusions.
 */
export const CARRIER_RULES: EvidenceRules = {
  detectionEvidence: DETECTION_EVIDENCE,
  robustEvidence: ROBUST_EVIDENCE,
  layers: [1],
};

/** Loops over other nodes that a comparison needs. */
export const MIN_OTHERS = 8;

/**
 * Evidence is looked at over windows that grow by 1.4: whenever a node went bad, one of them begins not long before, so
 * that its better days dilute the evidence little.
 */
export const WINDOWS_MS: readonly number[] = Array.from({ length: 13 }, (_, i) => Math.round(5_000 * 1.4 ** i));
/** Evidence older than the longest window, 283 s, is forgotten. */
export const LONGEST_WINDOW_MS = Math.max(...WINDOWS_MS);
/** Loops remembered; beyond, the oldest go. Thirteen a second for the longest window. */
export const MAX_OUTCOMES = 4096;

/** Share of a healthy node's traffic that an excluded one still gets, of every kind: how its recovery is noticed. */
export const RETRY_WEIGHT = 0.02;
/** Loops in a row that must return over an excluded node for it to be taken back: a node that drops half has 1e-3. */
export const RETURNS_TO_LIFT = 10;
/** An exclusion ends after this time; the next one of the same node lasts twice as long, up to the maximum. */
export const FIRST_TERM_MS = 300_000;
export const MAX_TERM_MS = 3_600_000;
/** For so long after an exclusion loops that return late may undo it. */
export const REVISION_MS = 10_000;

/** The path as a whole is bad, and another gateway worth a try, when this share of at least so many loops is lost in this time. */
export const PATH_BAD_MS = 20_000;
export const PATH_BAD_SHARE = 0.5;
export const PATH_BAD_LOOPS = 30;

/** How many mixes of a layer of `size` may be excluded: a minority, one of two, never the last. */
export function maxExcluded(size: number): number {
  return size < 2 ? 0 : Math.max(1, minority(size));
}

/** The largest number that is less than half of `size`. */
export function minority(size: number): number {
  return Math.max(0, Math.floor((size - 1) / 2));
}

/** Nats of evidence that more than chance lost `lost` of `seen` loops; 0 when the share is not above the baseline. */
export function lossEvidence(lost: number, seen: number, baseline: number): number {
  if (seen === 0 || lost <= seen * baseline) return 0;
  const kept = seen - lost;
  const ofLost = lost * Math.log(lost / (seen * baseline));
  return kept === 0 ? ofLost : ofLost + kept * Math.log(kept / (seen * (1 - baseline)));
}

/** A share of `lost` in `seen` that the true one exceeds with probability 0.999 (Wilson 1927): few loops prove little. */
export function lowerShare(lost: number, seen: number): number {
  const z2 = 9.55;
  const share = lost / seen;
  const centre = share + z2 / (2 * seen);
  const spread = Math.sqrt(z2 * ((share * (1 - share)) / seen + z2 / (4 * seen * seen)));
  return (centre - spread) / (1 + z2 / seen);
}

/** What loops lose that have nothing to do with the node in question: one more lost than seen, so that few say little. */
export function expectedShare(lost: number, seen: number): number {
  return Math.max(BASELINE_FLOOR, (lost + 1) / (seen + 2));
}
