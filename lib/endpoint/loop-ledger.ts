/**
 * A client's loops in flight: which have left, which have returned, which count as lost. A loop counts as lost when it takes
 * longer beyond its own delays, which the client has drawn, than loops took lately (as the probe timeout of RFC 9002
 * section 6.2 follows the round-trip times). Path health gets the outcomes. A pure state machine: time comes in as `nowMs`.
 * @module
 */
import { laterMs, type MonotonicMs } from '../core/units.ts';
import type { NodeEntry } from '../directory/index.ts';
import { excessMs, LoopAlarm, type LoopInFlight, LoopsInFlight } from '../mixing/index.ts';
import type { LoopOutcome, LossTally, PathNode } from './health/loop-evidence.ts';
import { LossHistory } from './health/loss-history.ts';
import { PathHealth } from './health/path-health.ts';
import { REVISION_MS } from './health/thresholds.ts';

interface Flight extends LoopInFlight {
  readonly route: readonly PathNode[];
}

/** What a client knows by itself of the ways of its packets and of the replies to them. */
export interface OwnPath {
  /** Its loops that were decided within the last `windowMs`. */
  loops(windowMs: number): LossTally;
  /** See `PathHealth`. */
  readonly usableShare: number;
  readonly avoidableFirstHops: number;
}

/** Loops in flight; at the bound the oldest is forgotten without evidence. */
export const MAX_LOOPS_IN_FLIGHT = 4096;
/** The loss delay until loops have shown how long they take. */
export const INITIAL_LOSS_DELAY_MS = 2_000;
/** The loss delay is the mean time beyond the delays plus eight mean deviations, within these bounds. */
export const MIN_LOSS_DELAY_MS = 700;
export const MAX_LOSS_DELAY_MS = 5_000;
const DEVIATIONS = 8;
const SMOOTHING = 1 / 16;
/** See `LoopsInFlight`. */
const STANDSTILL_MS = 1_000;

export class LoopLedger {
  readonly #flights = new LoopsInFlight<number, Flight>(MAX_LOOPS_IN_FLIGHT, STANDSTILL_MS);
  /** Loops that lately counted as lost. */
  readonly #lost = new Map<number, LoopOutcome>();
  #nextId = 1;
  #meanExcessMs: number | undefined;
  #deviationMs = 0;

  /** Raised while more loops are lost or late than chance explains, and no excluded node is the reason. */
  readonly alarm = new LoopAlarm(0);
  /** What became of loops lately, whatever nodes they crossed. */
  readonly history = new LossHistory();
  loopsSent = 0;
  loopsReturned = 0;

  constructor(readonly health: PathHealth = new PathHealth()) {}

  ownPath(nowMs: MonotonicMs): OwnPath {
    const { usableShare, avoidableFirstHops } = this.health;
    return { loops: (windowMs) => this.history.over(windowMs, nowMs), usableShare, avoidableFirstHops };
  }

  /** Time beyond its delays after which a loop counts as lost. */
  get lossDelayMs(): number {
    if (this.#meanExcessMs === undefined) return INITIAL_LOSS_DELAY_MS;
    const lossDelayMs = this.#meanExcessMs + DEVIATIONS * this.#deviationMs;
    return Math.min(MAX_LOSS_DELAY_MS, Math.max(MIN_LOSS_DELAY_MS, lossDelayMs));
  }

  /** Notes a loop that left, with delays of `delayMs` in all. Returns its id. */
  sent(nodes: readonly NodeEntry[], nowMs: MonotonicMs, delayMs: number): number {
    const id = this.#nextId++;
    const deadlineMs = laterMs(nowMs, delayMs + this.lossDelayMs);
    this.loopsSent += 1;
    this.#flights.add(id, { route: this.health.sent(nodes), sentMs: nowMs, delayMs, deadlineMs });
    return id;
  }

  /** A loop returned. False when it counted as lost; that is undone when it was lately. */
  returned(id: number, nowMs: MonotonicMs): boolean {
    const flight = this.#flights.get(id);
    if (flight === undefined) {
      const lost = this.#lost.get(id);
      if (lost !== undefined) {
        this.loopsReturned += 1;
        this.health.recordLateReturn(lost);
      }
      this.#lost.delete(id);
      return false;
    }
    this.#flights.delete(id);
    this.loopsReturned += 1;
    this.#measure(excessMs(flight, nowMs));
    this.#record({ route: flight.route, sentMs: flight.sentMs, returned: true }, nowMs);
    return true;
  }

  /** Counts what is overdue as lost; returns how many. To be called a few times a second. */
  sweep(nowMs: MonotonicMs): number {
    const overdue = this.#flights.review(nowMs);
    for (const [id, flight] of overdue) this.#onLost(id, flight, nowMs);
    for (const [id, { sentMs }] of this.#lost) {
      if (nowMs - sentMs < REVISION_MS + MAX_LOSS_DELAY_MS) break;
      this.#lost.delete(id);
    }
    return overdue.length;
  }

  /** Forgets what is in flight: the own link failed, which is no evidence against anyone further out. */
  clear(): void {
    this.#flights.clear();
    this.#lost.clear();
  }

  #onLost(id: number, { route, sentMs }: Flight, nowMs: MonotonicMs): void {
    this.#flights.delete(id);
    const outcome = { route, sentMs, returned: false };
    this.#lost.set(id, outcome);
    this.#record(outcome, nowMs);
  }

  #record(outcome: LoopOutcome, nowMs: MonotonicMs): void {
    const isExcused = !outcome.returned && this.health.excuses(outcome.sentMs);
    if (!isExcused && !outcome.route.some((node) => this.health.excludes(node))) {
      this.alarm.decided(outcome.returned, nowMs);
    }
    this.history.add(outcome.returned, nowMs);
    this.health.record(outcome);
  }

  #measure(excessMs: number): void {
    if (this.#meanExcessMs === undefined) {
      this.#meanExcessMs = excessMs;
      this.#deviationMs = excessMs / 2;
      return;
    }
    this.#deviationMs += SMOOTHING * (Math.abs(excessMs - this.#meanExcessMs) - this.#deviationMs);
    this.#meanExcessMs += SMOOTHING * (excessMs - this.#meanExcessMs);
  }
}
