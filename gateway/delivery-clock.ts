/**
 * The clock by which a gateway delivers to one client: ticks of a fixed period, whatever waits. A fixed period halves the wait
 * of a Poisson clock, and tells nothing, since departures do not depend on what arrives.
 * @module
 */
import { laterMs, type MonotonicMs, NEVER_MS } from '../lib/core/units.ts';

/** Ticks missed for less than this are caught up with; what is older is skipped. */
export const CATCH_UP_MS = 100;
/** A queue holds what the clock delivers in this time. */
export const QUEUE_MS = 500;

export class DeliveryClock {
  #periodMs: number;
  #dueMs: MonotonicMs;

  /** Ticks `perSecond` times a second (above 0); the first tick comes `phase` (0 to 1) of a period from now. */
  constructor(perSecond: number, phase: number, nowMs: MonotonicMs) {
    this.#periodMs = 1000 / perSecond;
    this.#dueMs = laterMs(nowMs, phase * this.#periodMs);
  }

  get dueMs(): MonotonicMs {
    return this.#dueMs;
  }

  /** How many ticks are to be served now; those that were missed for too long are not among them. */
  ticks(nowMs: MonotonicMs): number {
    if (nowMs < this.#dueMs) return 0;
    const passed = Math.floor((nowMs - this.#dueMs) / this.#periodMs) + 1;
    const within = Math.floor(CATCH_UP_MS / this.#periodMs) + 1;
    this.#dueMs = laterMs(this.#dueMs, passed * this.#periodMs);
    return Math.min(passed, within);
  }

  /** Another rate, from the next tick on. */
  setRate(perSecond: number, nowMs: MonotonicMs): void {
    const share = Math.max(0, this.#dueMs - nowMs) / this.#periodMs;
    this.#periodMs = 1000 / perSecond;
    this.#dueMs = laterMs(nowMs, share * this.#periodMs);
  }
}

/** Packets that may wait for a clock of this rate. */
export function queueBound(perSecond: number): number {
  return Math.max(1, Math.ceil((perSecond * QUEUE_MS) / 1000));
}

export interface Due {
  /** Must not change while it is in the wheel. */
  readonly dueMs: MonotonicMs;
}

/** One slot for each millisecond; what is due later than a turn of the wheel stays in its slot for further turns. */
const SLOTS = 256;

/** A timing wheel (Varghese and Lauck 1987): what is due when, for many clocks and one timer. */
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
