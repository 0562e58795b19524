/**
 * What became of a client's loops lately: the evidence on which path health judges.
 * @module
 */
import type { IdentityHex } from '../bytes.ts';
import type { NodeEntry } from '../directory/index.ts';
import { LONGEST_WINDOW_MS, MAX_OUTCOMES } from './thresholds.ts';

/** A node as loops see it. One object per node, so that loops can refer to it. */
export class PathNode {
  readonly id: IdentityHex;
  readonly name: string;
  /** 1 to 3 of mixes; 0 for the client's own gateway. */
  readonly layer: number;
  loopsSent = 0;
  loopsReturned = 0;
  /** Working figures of one review: loops over this node, and those of them that were lost. */
  seen = 0;
  lost = 0;
  /** Whose figures these are. */
  review = 0;

  constructor(entry: NodeEntry) {
    this.id = entry.id;
    this.name = entry.name;
    this.layer = entry.layer ?? 0;
  }
}

/** A loop whose fate is known. A lost one may still turn out to have been late. */
export interface LoopOutcome {
  readonly route: readonly PathNode[];
  readonly sentMs: number;
  returned: boolean;
}

export interface LossTally {
  seen: number;
  lost: number;
}

/** Forgetting is done in strides: old loops are let lie for so long. */
const STRIDE_MS = 10_000;

/** Outcomes of the longest window, in order of sending. */
export class LoopEvidence {
  #outcomes: LoopOutcome[] = [];

  get outcomes(): readonly LoopOutcome[] {
    return this.#outcomes;
  }

  add(outcome: LoopOutcome): void {
    const outcomes = this.#outcomes;
    let place = outcomes.length; // lost ones are decided later than others: a few steps back
    while (place > 0 && (outcomes[place - 1] as LoopOutcome).sentMs > outcome.sentMs) place -= 1;
    outcomes.splice(place, 0, outcome);
    if (outcomes.length > MAX_OUTCOMES) outcomes.splice(0, MAX_OUTCOMES / 8);
  }

  /** Forgets what is older than every window. */
  trim(nowMs: number): void {
    const oldestMs = nowMs - LONGEST_WINDOW_MS;
    const first = this.#outcomes[0];
    if (first === undefined || first.sentMs >= oldestMs - STRIDE_MS) return;
    this.#outcomes = since(this.#outcomes, oldestMs);
  }

  /** Forgets every loop over `node`: it gets a new chance. */
  forget(node: PathNode): void {
    this.#outcomes = this.#outcomes.filter((outcome) => !outcome.route.includes(node));
  }

  clear(): void {
    this.#outcomes = [];
  }
}

/** The loops sent at `fromMs` or later, of a list in order of sending. */
export function since(outcomes: readonly LoopOutcome[], fromMs: number): LoopOutcome[] {
  let low = 0;
  let high = outcomes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((outcomes[middle] as LoopOutcome).sentMs < fromMs) low = middle + 1;
    else high = middle;
  }
  return outcomes.slice(low);
}

export function tallyOf(loops: readonly LoopOutcome[]): LossTally {
  const tally = { seen: loops.length, lost: 0 };
  for (const loop of loops) if (!loop.returned) tally.lost += 1;
  return tally;
}
