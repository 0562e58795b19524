/**
 * The law of delays: a packet waits at each mix for an exponential time of one mean, which stands in the consensus. The mean may change
 * with each epoch. A packet or reply block keeps the law by which it was made, and what is judged by time (lost, silent, overtaken, slow)
 * is judged by the law that its way has: the longest of those by which anything that may still be under way was made.
 * @module
 */
import { keyGraceMs, type NetworkParams } from './params.ts';
import { laterMs, type MonotonicMs } from './units.ts';

/** Mixes on a way: one of each layer. */
const MIX_HOPS = 3;
/** What a way takes longer than once in a thousand times. */
const QUANTILE = 0.999;

export interface DelayLaw {
  readonly meanDelayMs: number;
  /** Mixes on a way. */
  readonly mixHops: number;
}

/** The law of a consensus. */
export function delayLawOf({ meanDelayMs }: Pick<NetworkParams, 'meanDelayMs'>): DelayLaw {
  return { meanDelayMs, mixHops: MIX_HOPS };
}

/** Times that follow from a law. Quantiles are exceeded once in a thousand times. */
export interface LawTimes {
  /** Of the delays of both ways together. */
  readonly meanMs: number;
  /** The same by which they differ from that, on average. */
  readonly deviationMs: number;
  readonly quantileMs: number;
  readonly oneWayQuantileMs: number;
}

/** By law: all sessions of a process have one. */
const LAW_TIMES = new WeakMap<DelayLaw, LawTimes>();

export function lawTimes(law: DelayLaw): LawTimes {
  const known = LAW_TIMES.get(law);
  if (known !== undefined) return known;
  const { meanDelayMs, mixHops } = law;
  const times = {
    meanMs: 2 * mixHops * meanDelayMs,
    deviationMs: meanDelayMs * erlangDeviation(2 * mixHops),
    quantileMs: meanDelayMs * erlangQuantile(2 * mixHops, QUANTILE),
    oneWayQuantileMs: meanDelayMs * erlangQuantile(mixHops, QUANTILE),
  };
  LAW_TIMES.set(law, times);
  return times;
}

interface PastLaw {
  readonly law: DelayLaw;
  /** Nothing that was made by it is under way any more. */
  readonly untilMs: MonotonicMs;
}

/** The law in force, and those of what is still under way. One object for all that a client judges by time. */
export class DelayLaws {
  #current: DelayLaw;
  /** Longer ones that came before. */
  #past: readonly PastLaw[] = [];

  constructor(law: DelayLaw) {
    this.#current = law;
  }

  /** By which packets and reply blocks are made now. */
  get current(): DelayLaw {
    return this.#current;
  }

  /** Another consensus is in force. Keys, and what was made with them, outlive their epoch by its grace at most. */
  follow({ meanDelayMs, epochMs }: Pick<NetworkParams, 'meanDelayMs' | 'epochMs'>, nowMs: MonotonicMs): void {
    const before = this.#current;
    if (meanDelayMs === before.meanDelayMs) return;
    const past = [...this.#past, { law: before, untilMs: laterMs(nowMs, keyGraceMs(epochMs)) }];
    this.#past = past.filter(({ law, untilMs }) => untilMs > nowMs && law.meanDelayMs > meanDelayMs);
    this.#current = { ...before, meanDelayMs };
  }

  /** The longest by which anything that may be under way was made. */
  underWay(nowMs: MonotonicMs): DelayLaw {
    if (this.#past.length === 0) return this.#current;
    this.#past = this.#past.filter(({ untilMs }) => untilMs > nowMs);
    return this.#past.reduce(
      (longest, { law }) => (law.meanDelayMs > longest.meanDelayMs ? law : longest),
      this.#current,
    );
  }
}

/** Of the wait for a tick of a Poisson clock, in mean gaps. */
export const SLOT_QUANTILE = erlangQuantile(1, QUANTILE);

/** The quantile of the sum of `shape` independent exponentials of mean 1. */
export function erlangQuantile(shape: number, probability: number): number {
  if (shape === 0) return 0;
  let low = 0;
  let high = shape + 1;
  while (erlangTail(shape, high) > 1 - probability) high *= 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (erlangTail(shape, middle) > 1 - probability) low = middle;
    else high = middle;
  }
  return high;
}

/** P(sum > x): the chance that a Poisson process of rate 1 has fewer than `shape` events by x. */
function erlangTail(shape: number, x: number): number {
  let term = Math.exp(-x);
  let sum = term;
  for (let i = 1; i < shape; i++) {
    term *= x / i;
    sum += term;
  }
  return sum;
}

/** E|sum − shape|: 2·shape^shape·e^−shape / (shape − 1)!. */
function erlangDeviation(shape: number): number {
  let share = 2 * shape * Math.exp(-shape);
  for (let i = 1; i < shape; i++) share *= shape / i;
  return shape === 0 ? 0 : share;
}
