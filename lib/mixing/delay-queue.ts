/**
 * The mixing pool: packets wait here, each until the time its sender chose. A binary heap by due time, bounded; it
 * neither knows what a packet carries nor prefers one over another.
 * @module
 */
import type { MonotonicMs } from '../core/units.ts';

/** Default bound of the pool in packets: at 2413 bytes about 79 MB, and three times what 10,000 packets/s need at a mean delay of 1 s. */
export const POOL_PACKETS = 32_768;

/** Slots allocated at first; the arrays double up to the bound, so that an idle node does not pay for it. */
const FIRST_SLOTS = 256;

export class DelayQueue<T> {
  #dueMs: Float64Array;
  #order: Float64Array;
  #items: (T | undefined)[] = [];
  #size = 0;
  #nextOrder = 0;

  constructor(readonly capacity = POOL_PACKETS) {
    const slots = Math.min(capacity, FIRST_SLOTS);
    this.#dueMs = new Float64Array(slots);
    this.#order = new Float64Array(slots);
  }

  get size(): number {
    return this.#size;
  }

  /** When the next item falls due; Infinity when there is none. */
  get nextDueMs(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#dueMs[0] ?? Number.POSITIVE_INFINITY);
  }

  /** Takes `item` in until `dueMs`; false, and nothing kept, when the pool is full. */
  push(item: T, dueMs: MonotonicMs): boolean {
    if (this.#size >= this.capacity) return false;
    if (this.#size === this.#dueMs.length) this.#grow();
    this.#siftUp(this.#size++, dueMs, this.#nextOrder++, item);
    return true;
  }

  /** Removes and returns the item that has been due longest; undefined when none is due at `nowMs`. Ties leave in order of arrival. */
  popDue(nowMs: MonotonicMs): T | undefined {
    if (this.#size === 0 || this.nextDueMs > nowMs) return undefined;
    const item = this.#items[0];
    const last = --this.#size;
    const moved = this.#items[last];
    this.#items[last] = undefined; // let go of the packet
    if (last > 0) this.#siftDown(this.#dueMs[last] as number, this.#order[last] as number, moved);
    return item;
  }

  #grow(): void {
    const slots = Math.min(this.capacity, 2 * this.#dueMs.length);
    const dueMs = new Float64Array(slots);
    const order = new Float64Array(slots);
    dueMs.set(this.#dueMs);
    order.set(this.#order);
    this.#dueMs = dueMs;
    this.#order = order;
  }

  /** Whether slot `slot` leaves before an item with these keys. */
  #before(slot: number, dueMs: number, order: number): boolean {
    const slotDueMs = this.#dueMs[slot] as number;
    return slotDueMs < dueMs || (slotDueMs === dueMs && (this.#order[slot] as number) < order);
  }

  #set(slot: number, dueMs: number, order: number, item: T | undefined): void {
    this.#dueMs[slot] = dueMs;
    this.#order[slot] = order;
    this.#items[slot] = item;
  }

  #copy(from: number, to: number): void {
    this.#set(to, this.#dueMs[from] as number, this.#order[from] as number, this.#items[from]);
  }

  #siftUp(from: number, dueMs: MonotonicMs, order: number, item: T): void {
    let slot = from;
    while (slot > 0) {
      const parent = (slot - 1) >> 1;
      if (this.#before(parent, dueMs, order)) break;
      this.#copy(parent, slot);
      slot = parent;
    }
    this.#set(slot, dueMs, order, item);
  }

  #siftDown(dueMs: number, order: number, item: T | undefined): void {
    let slot = 0;
    for (;;) {
      let child = 2 * slot + 1;
      if (child >= this.#size) break;
      const right = child + 1;
      if (right < this.#size && this.#before(right, this.#dueMs[child] as number, this.#order[child] as number)) {
        child = right;
      }
      if (!this.#before(child, dueMs, order)) break;
      this.#copy(child, slot);
      slot = child;
    }
    this.#set(slot, dueMs, order, item);
  }
}
