/**
 * A client's loops under way: which have left, which came home, which are given up. A loop is given up when it is late
 * beyond what loops took lately, since its own delays are known: chosen by the client that made it. What the ledger
 * decides goes to path health. A pure state machine: time comes in as `nowMs`.
 * @module
 */
import type { NodeEntry } from '../directory/index.ts';
import { LoopAlarm } from '../mixing/index.ts';
import type { LoopOutcome, PathNode } from './loop-evidence.ts';
import { PathHealth } from './path-health.ts';
import { APPEAL_MS } from './thresholds.ts';

interface Flight {
  readonly route: readonly PathNode[];
  readonly sentMs: number;
  readonly delayMs: number;
  dueMs: number;
  /** Whether it was given more time once, because this process had stood still. */
  spared: boolean;
}

/** Loops that may be under way at once; at the bound the oldest is forgotten without evidence. */
export const MAX_LOOPS_IN_FLIGHT = 4096;
/** Patience beyond a loop's own delays, until loops have shown how long they take. */
export const FIRST_PATIENCE_MS = 2_000;
/** Patience is the mean time beyond the delays plus eight mean deviations, within these bounds. */
export const MIN_PATIENCE_MS = 700;
export const MAX_PATIENCE_MS = 5_000;
const DEVIATIONS = 8;
const SMOOTHING = 1 / 16;
/** A sweep that comes so late says that this process stood still, not the network. */
const STANDSTILL_MS = 1_000;
/** What arrived in a standstill is read in this time. */
const READING_MS = 500;

export class LoopLedger {
  readonly #flights = new Map<number, Flight>();
  /** Loops given up lately. */
  readonly #lost = new Map<number, LoopOutcome>();
  #nextId = 1;
  #sweptMs: number | undefined;
  #meanExcessMs: number | undefined;
  #deviationMs = 0;

  /** Raised while loops are lost or late beyond chance, for which no excluded node is the reason. */
  readonly alarm = new LoopAlarm(0);
  loopsSent = 0;
  loopsReturned = 0;

  constructor(readonly health: PathHealth = new PathHealth()) {}

  /** Time beyond its delays after which a loop is given up. */
  get patienceMs(): number {
    if (this.#meanExcessMs === undefined) return FIRST_PATIENCE_MS;
    const patienceMs = this.#meanExcessMs + DEVIATIONS * this.#deviationMs;
    return Math.min(MAX_PATIENCE_MS, Math.max(MIN_PATIENCE_MS, patienceMs));
  }

  /** Notes a loop that left, with delays of `delayMs` in all. Returns its id. */
  sent(nodes: readonly NodeEntry[], nowMs: number, delayMs: number): number {
    const id = this.#nextId++;
    const dueMs = nowMs + delayMs + this.patienceMs;
    this.loopsSent += 1;
    this.#flights.set(id, { route: this.health.sent(nodes), sentMs: nowMs, delayMs, dueMs, spared: false });
    if (this.#flights.size > MAX_LOOPS_IN_FLIGHT) this.#flights.delete(this.#flights.keys().next().value as number);
    return id;
  }

  /** A loop came home. False when it was given up before; for a while its loss is then taken back. */
  returned(id: number, nowMs: number): boolean {
    const flight = this.#flights.get(id);
    if (flight === undefined) {
      const lost = this.#lost.get(id);
      if (lost !== undefined) {
        this.loopsReturned += 1;
        this.health.cameLate(lost);
      }
      this.#lost.delete(id);
      return false;
    }
    this.#flights.delete(id);
    this.loopsReturned += 1;
    this.#learn(Math.max(0, nowMs - flight.sentMs - flight.delayMs));
    this.#decide({ route: flight.route, sentMs: flight.sentMs, returned: true }, nowMs);
    return true;
  }

  /** Gives up what is overdue; returns how many. To be called a few times a second. */
  sweep(nowMs: number): number {
    const stoodStillMs = this.#sweptMs === undefined ? 0 : nowMs - this.#sweptMs;
    this.#sweptMs = nowMs;
    let lost = 0;
    for (const [id, flight] of this.#flights) {
      if (stoodStillMs > STANDSTILL_MS && !flight.spared) {
        flight.dueMs = Math.max(flight.dueMs, nowMs + READING_MS);
        flight.spared = true; // once: a process that is always slow still has to judge
      }
      if (flight.dueMs > nowMs) continue;
      this.#giveUp(id, flight, nowMs);
      lost += 1;
    }
    for (const [id, { sentMs }] of this.#lost) {
      if (nowMs - sentMs < APPEAL_MS + MAX_PATIENCE_MS) break;
      this.#lost.delete(id);
    }
    return lost;
  }

  /** Forgets what is under way: the own link failed, and that is no evidence against anyone further out. */
  abandon(): void {
    this.#flights.clear();
    this.#lost.clear();
  }

  #giveUp(id: number, { route, sentMs }: Flight, nowMs: number): void {
    this.#flights.delete(id);
    const outcome = { route, sentMs, returned: false };
    this.#lost.set(id, outcome);
    this.#decide(outcome, nowMs);
  }

  #decide(outcome: LoopOutcome, nowMs: number): void {
    if (!outcome.route.some((node) => this.health.excludes(node))) this.alarm.decided(outcome.returned, nowMs);
    this.health.decided(outcome);
  }

  #learn(excessMs: number): void {
    if (this.#meanExcessMs === undefined) {
      this.#meanExcessMs = excessMs;
      this.#deviationMs = excessMs / 2;
      return;
    }
    this.#deviationMs += SMOOTHING * (Math.abs(excessMs - this.#meanExcessMs) - this.#deviationMs);
    this.#meanExcessMs += SMOOTHING * (excessMs - this.#meanExcessMs);
  }
}
