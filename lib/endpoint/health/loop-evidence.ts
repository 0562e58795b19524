/**
 * Which of a client's loops returned lately: the evidence that path health rests on.
 * @module
 */

import type { IdentityHex } from '../../core/bytes.ts';
import { laterMs, type MonotonicMs } from '../../core/units.ts';
import type { NodeEntry } from '../../directory/index.ts';
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

/** A loop that has returned or counts as lost. A lost one may still return late. */
export interface LoopOutcome {
  readonly route: readonly PathNode[];
  readonly sentMs: MonotonicMs;
  returned: boolean;
}

export interface LossTally {
  seen: number;
  lost: number;
}

/** Old loops are removed in batches: they may stay for so long. */
const STRIDE_MS = 10_000;

/** Outcomes of the longest window, in order of sending. */
export class LoopEvidence {
  #outcomes: LoopOutcome[] = [];
  /** Losses of what was sent in this time say nothing. */
  #excused = { fromMs: Number.POSITIVE_INFINITY, untilMs: Number.NEGATIVE_INFINITY };

  get outcomes(): readonly LoopOutcome[] {
    return this.#outcomes;
  }

  add(outcome: LoopOutcome): void {
    if (!outcome.returned && this.excuses(outcome.sentMs)) return;
    const outcomes = this.#outcomes;
    let index = outcomes.length; // losses are known later than returns: a few steps back
    while (index > 0 && (outcomes[index - 1] as LoopOutcome).sentMs > outcome.sentMs) index -= 1;
    outcomes.splice(index, 0, outcome);
    if (outcomes.length > MAX_OUTCOMES) outcomes.splice(0, MAX_OUTCOMES / 8);
  }

  /** Losses of what was sent from `fromMs` to `untilMs` are no evidence. A later call with the same beginning extends that. */
  excuse(fromMs: MonotonicMs, untilMs: MonotonicMs): void {
    const isNew = fromMs !== this.#excused.fromMs;
    this.#excused = { fromMs, untilMs };
    if (isNew) this.#outcomes = this.#outcomes.filter(({ returned, sentMs }) => returned || !this.excuses(sentMs));
  }

  excuses(sentMs: MonotonicMs): boolean {
    return sentMs >= this.#excused.fromMs && sentMs <= this.#excused.untilMs;
  }

  /** Forgets what is older than every window. */
  trim(nowMs: MonotonicMs): void {
    const oldestMs = laterMs(nowMs, -LONGEST_WINDOW_MS);
    const first = this.#outcomes[0];
    if (first === undefined || first.sentMs >= oldestMs - STRIDE_MS) return;
    this.#outcomes = since(this.#outcomes, oldestMs);
  }

  /** Forgets every loop over `node`: it starts without evidence. */
  forget(node: PathNode): void {
    this.#outcomes = this.#outcomes.filter((outcome) => !outcome.route.includes(node));
  }

  clear(): void {
    this.#outcomes = [];
  }
}

/** The loops sent at `fromMs` or later, of a list in order of sending. */
export function since(outcomes: readonly LoopOutcome[], fromMs: MonotonicMs): LoopOutcome[] {
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
