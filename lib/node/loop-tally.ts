/**
 * What became of a node's own loops lately, by the nodes that they crossed: what it reports to the directory. Counts only, so that
 * nothing shows when a single loop left. A pure state machine: time comes in as `nowMs`.
 * @module
 */

import { type IdentityHex, prefixOf } from '../core/bytes.ts';
import type { MonotonicMs } from '../core/units.ts';
import { type LoopResult, MAX_LOOP_RESULTS, MAX_LOOPS_REPORTED, type Topology } from '../directory/index.ts';
import type { FinishedLoop } from '../mixing/index.ts';

/** How far back a report reaches: half an epoch, within these bounds. */
export const MIN_TALLY_MS = 60_000;
export const MAX_TALLY_MS = 1_800_000;
/** The time is kept in so many slots; the oldest goes as a whole. */
const SLOTS = 6;

interface Count {
  sent: number;
  returned: number;
}

interface Slot {
  readonly fromMs: MonotonicMs;
  readonly counts: Map<IdentityHex, Count>;
}

export class LoopTally {
  readonly #slotMs: number;
  #slots: Slot[] = [];

  constructor(epochMs: number) {
    this.#slotMs = Math.min(MAX_TALLY_MS, Math.max(MIN_TALLY_MS, epochMs / 2)) / SLOTS;
  }

  /** Counts a loop that came back or was given up. */
  add({ route, returned }: FinishedLoop, nowMs: MonotonicMs): void {
    const { counts } = this.#slotAt(nowMs);
    for (const { id } of route) {
      let count = counts.get(id);
      if (count === undefined) {
        count = { sent: 0, returned: 0 };
        counts.set(id, count);
      }
      count.sent += 1;
      if (returned) count.returned += 1;
    }
  }

  /** The counts of the last time over nodes that are still listed, as a descriptor has them. */
  report(topology: Topology | undefined, nowMs: MonotonicMs): LoopResult[] {
    this.#forget(nowMs);
    const sums = new Map<IdentityHex, Count>();
    for (const { counts } of this.#slots) {
      for (const [id, { sent, returned }] of counts) {
        const sum = sums.get(id) ?? { sent: 0, returned: 0 };
        sums.set(id, { sent: sum.sent + sent, returned: sum.returned + returned });
      }
    }
    return [...sums]
      .filter(([id]) => topology?.byId(id) !== undefined)
      .sort(([, a], [, b]) => b.sent - a.sent)
      .slice(0, MAX_LOOP_RESULTS)
      .map(([id, { sent, returned }]): LoopResult => [prefixOf(id), ...reported(sent, returned)])
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }

  #slotAt(nowMs: MonotonicMs): Slot {
    const last = this.#slots.at(-1);
    if (last !== undefined && nowMs < last.fromMs + this.#slotMs) return last;
    const slot: Slot = { fromMs: nowMs, counts: new Map() };
    this.#slots.push(slot);
    this.#forget(nowMs);
    return slot;
  }

  #forget(nowMs: MonotonicMs): void {
    this.#slots = this.#slots.filter(({ fromMs }) => nowMs - fromMs < SLOTS * this.#slotMs);
  }
}

/** Larger counts than a descriptor holds keep their ratio. */
function reported(sent: number, returned: number): [number, number] {
  if (sent <= MAX_LOOPS_REPORTED) return [sent, returned];
  return [MAX_LOOPS_REPORTED, Math.floor((MAX_LOOPS_REPORTED * returned) / sent)];
}
