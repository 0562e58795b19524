/**
 * A timing wheel (Varghese and Lauck 1987): what is due when, for many clocks and one timer.
 * @module
 */
import { type MonotonicMs, NEVER_MS } from '../lib/core/units.ts';

export interface Due {
  /** Must not change while it is in the wheel. */
  readonly dueMs: MonotonicMs;
}

/** One slot for each millisecond; what is due later than a turn of the wheel stays in its slot for further turns. */
const SLOTS = 256;

export class DeliveryWheel<Entry extends Due> {
  readonly #slots = Array.from({ length: SLOTS }, () => new Set<Entry>());
  readonly #slotOf = new Map<Entry, Set<Entry>>();
  /** Everything due before this millisecond was taken. */
  #fromMs = 0;

  get size(): number {
    return this.#slotOf.size;
  }

  add(entry: Entry): void {
    const slot = this.#slots[Math.max(this.#fromMs, Math.floor(entry.dueMs)) % SLOTS] as Set<Entry>;
    slot.add(entry);
    this.#slotOf.set(entry, slot);
  }

  /** Nothing to do when it is not there. */
  remove(entry: Entry): void {
    this.#slotOf.get(entry)?.delete(entry);
    this.#slotOf.delete(entry);
  }

  /** Takes out everything that is due. */
  take(nowMs: MonotonicMs): Entry[] {
    const due: Entry[] = [];
    const lastMs = Math.floor(nowMs);
    for (let ms = Math.max(this.#fromMs, lastMs - SLOTS + 1); ms <= lastMs; ms++) {
      const slot = this.#slots[ms % SLOTS] as Set<Entry>;
      for (const entry of slot) if (entry.dueMs <= nowMs) due.push(entry);
    }
    for (const entry of due) this.remove(entry);
    this.#fromMs = lastMs;
    return due;
  }

  /** When the next is due; NEVER_MS when the wheel is empty. */
  nextDueMs(): MonotonicMs {
    if (this.size === 0) return NEVER_MS;
    let earliestMs = NEVER_MS;
    for (let ms = this.#fromMs; ms < this.#fromMs + SLOTS; ms++) {
      for (const { dueMs } of this.#slots[ms % SLOTS] as Set<Entry>) if (dueMs < earliestMs) earliestMs = dueMs;
      if (earliestMs < ms + 1) return earliestMs;
    }
    return earliestMs;
  }
}
