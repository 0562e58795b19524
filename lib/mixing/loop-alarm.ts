/**
 * The alarm against active attacks (Loopix, USENIX Security 2017, section 4.2.1). Who wants to follow one packet through a mix
 * holds back all others and fills up with its own (n-1 attack). It cannot distinguish the loops of the mix from the rest, so
 * they fail to return, or return late: the one sign of the attack, and no other traffic can show it.
 *
 * Each loop is good or bad when its time is up. Two cumulative sum tests (Page, Biometrika 1954) compare the hypothesis
 * that loops are bad with probability HONEST_SHARE with one that it is higher: a half, for blocking, and 15 %, for a
 * stealthy attack. Each adds ln(p1/p0) for a bad loop and ln((1-p1)/(1-p0)) for a good one, and never falls below
 * zero.
 *
 * False alarms. From any start, the likelihood ratio of honest loops exceeds e^h ever after with probability e^-h at
 * most (Ville's inequality), so with h = ln(2n · 10^6) both tests together raise an alarm within n loops
 * with probability 10^-6 at most. n is the number of loops in an hour; at 10 per second h = 25.0.
 *
 * Detection at 10 loops a second, counted from the moment at which the first loop is overdue:
 *
 *   all lost    h / ln 10 = 11 loops                  1.1 s
 *   half lost   h / 0.83 per loop = 30 loops          3 s
 *   30 % lost   h / 0.24 per loop = 104 loops         10 s
 *   15 % lost   h / 0.070 per loop = 355 loops        36 s
 *
 * Loops that are all lost count as all bad: there is no share of returned ones that could be undefined.
 * @module
 */
import type { MonotonicMs } from '../core/units.ts';

/** Share of an honest network's loops that may be lost or late. */
export const HONEST_SHARE = 0.05;
/** What the two tests look for. */
const ATTACK_SHARES = [0.5, 0.15];
/** Probability of a false alarm within an hour. */
export const FALSE_ALARM = 1e-6;
/** A network that is starting up loses loops; they count from this long after the first that returned... */
export const SETTLE_MS = 10_000;
/** ...or this long after the first that was sent, in case that none ever returns. */
export const SILENT_START_MS = 60_000;

interface Test {
  readonly bad: number;
  readonly good: number;
  sum: number;
}

/** The evidence, in nats, at which the alarm is raised: see above. `falseAlarm` is its probability in an hour. */
export function alarmThreshold(loopsPerSecond: number, falseAlarm = FALSE_ALARM): number {
  return Math.log((ATTACK_SHARES.length * Math.max(1, loopsPerSecond * 3600)) / falseAlarm);
}

export class LoopAlarm {
  readonly #tests: readonly Test[] = ATTACK_SHARES.map((share) => ({
    bad: Math.log(share / HONEST_SHARE),
    good: Math.log((1 - share) / (1 - HONEST_SHARE)),
    sum: 0,
  }));
  #threshold: number;
  #raised = false;
  #firstMs: number | undefined;
  #armedFromMs = Number.POSITIVE_INFINITY;

  constructor(
    loopsPerSecond: number,
    readonly falseAlarm = FALSE_ALARM,
  ) {
    this.#threshold = alarmThreshold(loopsPerSecond, falseAlarm);
  }

  /** Whether loops have been bad beyond chance, and have not been good since for long enough. */
  get raised(): boolean {
    return this.#raised;
  }

  setRate(loopsPerSecond: number): void {
    this.#threshold = alarmThreshold(loopsPerSecond, this.falseAlarm);
  }

  /** A loop came back in time, or its time is up. Says when that raises the alarm, or ends it. */
  decided(inTime: boolean, nowMs: MonotonicMs): 'raised' | 'ended' | undefined {
    if (!this.#armed(inTime, nowMs)) return undefined;
    for (const test of this.#tests) {
      const sum = test.sum + (inTime ? test.good : test.bad);
      test.sum = Math.min(this.#threshold, Math.max(0, sum));
    }
    const before = this.#raised;
    if (this.#tests.some(({ sum }) => sum >= this.#threshold)) this.#raised = true;
    else if (this.#tests.every(({ sum }) => sum === 0)) this.#raised = false;
    if (before === this.#raised) return undefined;
    return this.#raised ? 'raised' : 'ended';
  }

  #armed(inTime: boolean, nowMs: MonotonicMs): boolean {
    if (this.#firstMs === undefined) {
      this.#firstMs = nowMs;
      this.#armedFromMs = nowMs + SILENT_START_MS;
    }
    if (inTime) this.#armedFromMs = Math.min(this.#armedFromMs, nowMs + SETTLE_MS);
    return nowMs >= this.#armedFromMs;
  }
}
