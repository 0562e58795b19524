/**
 * What a load on mixes is worth, in the measures of docs/ANONYMITY.md: closed forms of what the simulator in research/anonymity
 * computes event by event, and for ε, which has none, its results. Pure. Tests hold them against the simulator.
 * @module
 */

/** Traffic of a network as an observer of all links sees it, per second. */
export interface MixedTraffic {
  readonly users: number;
  /** Packets that come to each mix, and through each layer. */
  readonly perMix: number;
  readonly perLayer: number;
  /** Of these, packets to requesters: those of proxies, and all. */
  readonly mainRate: number;
  readonly toRequesters: number;
  readonly meanDelayMs: number;
}

export interface Anonymity {
  /** Packets that wait in a mix: λ/μ. */
  readonly poolPackets: number;
  /** Which of the packets in a mix is the one that leaves? */
  readonly singleMixBits: number;
  /** Which of the packets that leave the last layer is the one that was sent? */
  readonly endToEndBits: number;
  /** The same, when the observer knows that it is for a requester; `crowdPackets` is 2 to that power. */
  readonly toRequesterBits: number;
  readonly crowdPackets: number;
  /** Which user sent a packet to a requester? At most log2 of the users. */
  readonly senderBits: number;
  /** |ln(p₀/p₁)| between two users who both send; null for fewer than two. */
  readonly epsilon: number | null;
}

/**
 * Three exponential delays add up to a Gamma(3) law. In units of the mean delay its entropy is 3 + ln Γ(3) − 2ψ(3) nats, and the integral of
 * its squared density Γ(5) / (Γ(3)² 2⁵).
 */
const EULER_GAMMA = 0.5772156649015329;
const LAW_BITS = (3 + Math.LN2 - 2 * (1.5 - EULER_GAMMA)) / Math.LN2;
const LAW_COLLISION = 24 / (4 * 32);

/**
 * ε by the number of main packets that one user has in a layer at a time, main rate × mean delay: `simulate.ts figures` (docs/ANONYMITY.md,
 * figure 5), and `simulate.ts network --users 100 --rate 2 --mean-delay D --repetitions 60` for half of the first and for the last two.
 */
const EPSILONS: readonly (readonly [ownPackets: number, epsilon: number])[] = [
  [0.25, 2.145],
  [0.5, 0.878],
  [1, 0.413],
  [1.25, 0.328],
  [5 / 3, 0.231],
  [2, 0.186],
  [2.5, 0.145],
  [10 / 3, 0.115],
  [5, 0.059],
  [10, 0.023],
  [20, 0.013],
  [40, 0.003],
];

export function anonymityOf(traffic: MixedTraffic): Anonymity {
  const { users, perMix, perLayer, mainRate, toRequesters, meanDelayMs } = traffic;
  const delayS = meanDelayMs / 1000;
  const poolPackets = perMix * delayS;
  const toRequesterBits = throughLayersBits(toRequesters * delayS);
  return {
    poolPackets,
    singleMixBits: Math.max(0, Math.log2(Math.E * poolPackets)),
    endToEndBits: throughLayersBits(perLayer * delayS),
    toRequesterBits,
    crowdPackets: 2 ** toRequesterBits,
    senderBits: senderBits(users, mainRate * delayS),
    epsilon: users < 2 ? null : epsilonOf(mainRate * delayS),
  };
}

/** Candidates of which `packets` come in one mean delay, spread by the law of three delays. */
function throughLayersBits(packets: number): number {
  return packets <= 0 ? 0 : Math.max(0, Math.log2(packets) + LAW_BITS);
}

/** log2 of the users, less what the chance of who sent just then takes from it (to second order). */
function senderBits(users: number, ownPackets: number): number {
  if (users < 2 || ownPackets <= 0) return 0;
  const chance = ((users - 1) / users) * (LAW_COLLISION / ownPackets);
  return Math.max(0, Math.log2(users) - chance / (2 * Math.LN2));
}

/** Between two points, and beyond the ends, along a line in logarithms. */
export function epsilonOf(ownPackets: number): number {
  if (ownPackets <= 0) return Number.POSITIVE_INFINITY;
  const next = EPSILONS.findIndex(([x]) => x >= ownPackets);
  const at = Math.min(EPSILONS.length - 2, Math.max(0, next === -1 ? EPSILONS.length - 2 : next - 1));
  const [[x0, y0], [x1, y1]] = EPSILONS.slice(at, at + 2) as [readonly [number, number], readonly [number, number]];
  const slope = Math.log(y1 / y0) / Math.log(x1 / x0);
  return y0 * (ownPackets / x0) ** slope;
}
