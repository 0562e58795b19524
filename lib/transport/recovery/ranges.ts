/**
 * Sets of non-negative integers as sorted, disjoint, half-open ranges: packet numbers that came, bytes that are
 * acknowledged, held or lost.
 * @module
 */

/** Memory of one range: two numbers in arrays that grow by half. */
export const RANGE_BYTES = 24;

export class RangeSet {
  #starts: number[] = [];
  #ends: number[] = [];
  #covered = 0;

  /** How many ranges there are. */
  get count(): number {
    return this.#starts.length;
  }

  /** How many integers are in the set. */
  get covered(): number {
    return this.#covered;
  }

  get empty(): boolean {
    return this.#starts.length === 0;
  }

  startAt(index: number): number {
    return this.#starts[index] ?? Number.NaN;
  }

  endAt(index: number): number {
    return this.#ends[index] ?? Number.NaN;
  }

  /** Index of the first range whose end is at or beyond `value`; `count` when there is none. */
  #seek(value: number): number {
    let low = 0;
    let high = this.#ends.length;
    // Almost everything happens at the upper end.
    if (high > 0 && (this.#ends[high - 1] as number) < value) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ends[middle] as number) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  has(value: number): boolean {
    const index = this.#seek(value + 1);
    return index < this.#starts.length && (this.#starts[index] as number) <= value;
  }

  /** Adds [start, end); returns how many integers are new. */
  add(start: number, end: number): number {
    if (end <= start) return 0;
    if (this.empty) return this.#begin(start, end);
    const first = this.#seek(start);
    let last = first;
    let newStart = start;
    let newEnd = end;
    let known = 0;
    while (last < this.#starts.length && (this.#starts[last] as number) <= end) {
      const thisStart = this.#starts[last] as number;
      const thisEnd = this.#ends[last] as number;
      newStart = Math.min(newStart, thisStart);
      newEnd = Math.max(newEnd, thisEnd);
      known += thisEnd - thisStart;
      last++;
    }
    if (last === first + 1) {
      this.#starts[first] = newStart;
      this.#ends[first] = newEnd;
    } else {
      this.#starts.splice(first, last - first, newStart);
      this.#ends.splice(first, last - first, newEnd);
    }
    const added = newEnd - newStart - known;
    this.#covered += added;
    return added;
  }

  /** Literals take the memory of one range, where arrays that grow take that of seventeen: most sets of a session have one. */
  #begin(start: number, end: number): number {
    this.#starts = [start];
    this.#ends = [end];
    this.#covered = end - start;
    return this.#covered;
  }

  /** Removes [start, end); returns how many integers went. */
  remove(start: number, end: number): number {
    if (end <= start) return 0;
    const first = this.#seek(start + 1);
    let last = first;
    let removed = 0;
    let headEnd = Number.NaN;
    let tailStart = Number.NaN;
    while (last < this.#starts.length && (this.#starts[last] as number) < end) {
      const thisStart = this.#starts[last] as number;
      const thisEnd = this.#ends[last] as number;
      removed += Math.min(thisEnd, end) - Math.max(thisStart, start);
      if (thisStart < start) headEnd = start;
      if (thisEnd > end) tailStart = end;
      last++;
    }
    if (last === first) return 0;
    const starts: number[] = [];
    const ends: number[] = [];
    if (!Number.isNaN(headEnd)) {
      starts.push(this.#starts[first] as number);
      ends.push(headEnd);
    }
    if (!Number.isNaN(tailStart)) {
      starts.push(tailStart);
      ends.push(this.#ends[last - 1] as number);
    }
    this.#starts.splice(first, last - first, ...starts);
    this.#ends.splice(first, last - first, ...ends);
    this.#covered -= removed;
    return removed;
  }

  /** Calls `visit` with the parts of [start, end) that are not in the set, in order. */
  forEachGap(start: number, end: number, visit: (start: number, end: number) => void): void {
    let at = start;
    for (let i = this.#seek(start); i < this.#starts.length && at < end; i++) {
      const thisStart = this.#starts[i] as number;
      if (thisStart >= end) break;
      if (thisStart > at) visit(at, thisStart);
      at = Math.max(at, this.#ends[i] as number);
    }
    if (at < end) visit(at, end);
  }

  /** Forgets the lowest range; returns its end. */
  shift(): number | undefined {
    const start = this.#starts.shift();
    const end = this.#ends.shift();
    if (start === undefined || end === undefined) return undefined;
    this.#covered -= end - start;
    return end;
  }

  clear(): void {
    this.#starts.length = 0;
    this.#ends.length = 0;
    this.#covered = 0;
  }
}
