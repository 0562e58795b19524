/**
 * A queue in an array: both ends cost nothing that grows with its length.
 * @module
 */

/** Taken items at the front are cut off when there are more than this, and they are half of the array. */
const COMPACT_AT = 64;

/** Of all queues that never held anything: an idle session has four. */
const NEVER_USED: never[] = [];

export class Fifo<T> {
  #items: (T | undefined)[] = NEVER_USED;
  #first = 0;

  get size(): number {
    return this.#items.length - this.#first;
  }

  get first(): T | undefined {
    return this.#items[this.#first];
  }

  some(test: (item: T) => boolean): boolean {
    for (let i = this.#first; i < this.#items.length; i++) if (test(this.#items[i] as T)) return true;
    return false;
  }

  push(item: T): void {
    if (this.#items === NEVER_USED) this.#items = [item];
    else this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#first];
    this.#items[this.#first] = undefined; // what has left must not stay in memory
    this.#first++;
    const isEmpty = this.#first === this.#items.length;
    if (isEmpty || (this.#first > COMPACT_AT && this.#first * 2 > this.#items.length)) {
      this.#items.splice(0, this.#first);
      this.#first = 0;
    }
    return item;
  }
}
