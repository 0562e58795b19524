/**
 * What a client's loops say about the nodes they crossed. A loop that returns vouches for every node of its route, one
 * that is overdue counts against them all; with random routes the bad node stands out. Evidence fades, so that a node
 * that recovers is believed again. A pure state machine: time comes in as `nowMs`.
 * @module
 */
import type { IdentityHex } from '../bytes.ts';
import type { NodeEntry } from '../directory/index.ts';

interface Evidence {
  sent: number;
  returned: number;
  /** Faded counts of returned and of lost loops, as of `atMs`. */
  good: number;
  bad: number;
  atMs: number;
}

interface Flight {
  readonly nodes: readonly NodeEntry[];
  readonly dueMs: number;
}

export interface NodeHealth {
  /** Share of loops that returned lately, 0 to 1; 1 without evidence. */
  readonly health: number;
  readonly loopsSent: number;
  readonly loopsReturned: number;
}

/** Evidence halves in this time. */
const HALF_LIFE_MS = 60_000;
/** Loops that may be under way at once; at the bound the oldest is forgotten without evidence. */
export const MAX_LOOPS_IN_FLIGHT = 4096;
/** Nodes remembered; beyond, those seen longest ago are forgotten. */
export const MAX_LEDGER_NODES = 4096;

export class LoopLedger {
  #flights = new Map<number, Flight>();
  #evidence = new Map<IdentityHex, Evidence>();
  #nextId = 1;

  /** Notes a loop that left; `overdueMs` after `nowMs` it counts as lost. Returns its id. */
  sent(nodes: readonly NodeEntry[], nowMs: number, overdueMs: number): number {
    const id = this.#nextId++;
    this.#flights.set(id, { nodes, dueMs: nowMs + overdueMs });
    for (const node of nodes) this.#of(node.id, nowMs).sent += 1;
    if (this.#flights.size > MAX_LOOPS_IN_FLIGHT) this.#flights.delete(this.#flights.keys().next().value as number);
    return id;
  }

  /** A loop came home. False when it was given up before. */
  returned(id: number, nowMs: number): boolean {
    const flight = this.#flights.get(id);
    if (flight === undefined) return false;
    this.#flights.delete(id);
    for (const node of flight.nodes) {
      const evidence = this.#of(node.id, nowMs);
      evidence.returned += 1;
      evidence.good += 1;
    }
    return true;
  }

  /** Counts what is overdue as lost; returns how many. Loops leave in order, so the oldest are overdue first. */
  sweep(nowMs: number): number {
    let lost = 0;
    for (const [id, flight] of this.#flights) {
      if (flight.dueMs > nowMs) break;
      this.#flights.delete(id);
      for (const node of flight.nodes) this.#of(node.id, nowMs).bad += 1;
      lost += 1;
    }
    return lost;
  }

  /** Forgets what is under way: the own link failed, and that is no evidence against anyone further out. */
  abandon(): void {
    this.#flights.clear();
  }

  health(id: IdentityHex, nowMs: number): NodeHealth {
    const known = this.#evidence.has(id);
    if (!known) return { health: 1, loopsSent: 0, loopsReturned: 0 };
    const { sent, returned, good, bad } = this.#of(id, nowMs);
    const total = good + bad;
    return { health: total < 0.5 ? 1 : good / total, loopsSent: sent, loopsReturned: returned };
  }

  #of(id: IdentityHex, nowMs: number): Evidence {
    let evidence = this.#evidence.get(id);
    if (evidence === undefined) {
      evidence = { sent: 0, returned: 0, good: 0, bad: 0, atMs: nowMs };
      this.#evidence.set(id, evidence);
      if (this.#evidence.size > MAX_LEDGER_NODES)
        this.#evidence.delete(this.#evidence.keys().next().value as IdentityHex);
    }
    const fade = 0.5 ** (Math.max(0, nowMs - evidence.atMs) / HALF_LIFE_MS);
    evidence.good *= fade;
    evidence.bad *= fade;
    evidence.atMs = nowMs;
    return evidence;
  }
}
