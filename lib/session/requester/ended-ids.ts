/**
 * The ids of sessions that have ended, for as long as a packet of theirs can be read. They are kept in slices of time, each of
 * which is forgotten as a whole; within its time nothing is forgotten, however many sessions there are. Eight bytes an id: ids
 * are random, and an id that its owner chose to collide with another one of his harms him alone.
 * @module
 */
import type { Rng } from '../../core/rng.ts';
import type { MonotonicMs } from '../../core/units.ts';

/** Slices of the time for which ids are kept. */
const SLICES = 10;
/** Ids in a slice: 12 MB, and 2,000 sessions a second at epochs of an hour. */
export const MAX_ENDED_IN_SLICE = 2 ** 20;
const FIRST_SLOTS = 2 ** 8;
const MAX_LOAD = 0.75;

const BYTES = 8;

/**
 * Where an id begins in a table: tabulation hashing, which keeps linear probing short whatever the ids are (Patrascu and Thorup 2012),
 * as long as the random words are not known to those who make them.
 */
class Hash {
  readonly #words: Uint32Array;

  constructor(rng: Rng) {
    this.#words = new Uint32Array(rng.bytes(4 * 256 * BYTES).buffer);
  }

  of(high: number, low: number): number {
    let hash = 0;
    for (let i = 0; i < BYTES; i++) {
      const byte = ((i < 4 ? high : low) >>> (8 * (i % 4))) & 0xff;
      hash ^= this.#words[256 * i + byte] ?? 0;
    }
    return hash;
  }
}

/** A set of pairs of 32 bits, with open addressing; the pair 0, 0 marks an empty slot. */
class PairSet {
  #slots = new Uint32Array(2 * FIRST_SLOTS);
  size = 0;
  /** Slots that the longest search looked at. */
  longestSearch = 0;

  constructor(private readonly hash: Hash) {}

  get memoryBytes(): number {
    return this.#slots.byteLength;
  }

  has(high: number, low: number): boolean {
    const at = this.#find(high, low);
    return this.#slots[at] !== 0 || this.#slots[at + 1] !== 0;
  }

  add(high: number, low: number): void {
    if (this.has(high, low)) return;
    if (2 * (this.size + 1) > this.#slots.length * MAX_LOAD) this.#grow();
    this.#put(high, low);
    this.size += 1;
  }

  /** Where the pair is, or would be. */
  #find(high: number, low: number): number {
    const mask = this.#slots.length - 1;
    for (let at = (2 * this.hash.of(high, low)) & mask, slots = 1; ; at = (at + 2) & mask, slots++) {
      const [first, second] = [this.#slots[at], this.#slots[at + 1]];
      if ((first !== high || second !== low) && (first !== 0 || second !== 0)) continue;
      this.longestSearch = Math.max(this.longestSearch, slots);
      return at;
    }
  }

  #put(high: number, low: number): void {
    const at = this.#find(high, low);
    this.#slots[at] = high;
    this.#slots[at + 1] = low;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(2 * before.length);
    for (let at = 0; at < before.length; at += 2) {
      const [high = 0, low = 0] = [before[at], before[at + 1]];
      if (high !== 0 || low !== 0) this.#put(high, low);
    }
  }
}

interface Slice {
  readonly beginsMs: number;
  readonly ids: PairSet;
}

export class EndedIds {
  readonly #hash: Hash;
  /** So that no id is the pair that marks an empty slot, but by chance. */
  readonly #secret: readonly [number, number];
  #slices: Slice[] = [];

  constructor(
    private readonly memoryMs: number,
    rng: Rng,
  ) {
    this.#hash = new Hash(rng);
    this.#secret = [rng.int(2 ** 32), rng.int(2 ** 32)];
  }

  /** Slots that the longest search has looked at. */
  get longestSearch(): number {
    return Math.max(0, ...this.#slices.map(({ ids }) => ids.longestSearch));
  }

  get memoryBytes(): number {
    return this.#slices.reduce((sum, { ids }) => sum + ids.memoryBytes, 0);
  }

  has(key: string, nowMs: MonotonicMs): boolean {
    this.#forget(nowMs);
    const [high, low] = this.#pairOf(key);
    return this.#slices.some(({ ids }) => ids.has(high, low));
  }

  /** Whether no more ids can be kept at present: then no session may begin that would have to be remembered. */
  isFull(nowMs: MonotonicMs): boolean {
    return this.#sliceAt(nowMs).ids.size >= MAX_ENDED_IN_SLICE;
  }

  add(key: string, nowMs: MonotonicMs): void {
    this.#sliceAt(nowMs).ids.add(...this.#pairOf(key));
  }

  /** The first 8 bytes. */
  #pairOf(key: string): [number, number] {
    const word = (at: number) =>
      key.charCodeAt(at) |
      (key.charCodeAt(at + 1) << 8) |
      (key.charCodeAt(at + 2) << 16) |
      (key.charCodeAt(at + 3) << 24);
    return [(word(0) ^ this.#secret[0]) >>> 0, (word(4) ^ this.#secret[1]) >>> 0];
  }

  #sliceAt(nowMs: MonotonicMs): Slice {
    const latest = this.#slices.at(-1);
    if (latest !== undefined && nowMs - latest.beginsMs < this.memoryMs / SLICES) return latest;
    const slice = { beginsMs: nowMs, ids: new PairSet(this.#hash) };
    this.#slices.push(slice);
    return slice;
  }

  /** What ended at the end of a slice is remembered as long as what ended at its beginning, and longer. */
  #forget(nowMs: MonotonicMs): void {
    const keptMs = this.memoryMs + this.memoryMs / SLICES;
    const first = this.#slices[0];
    if (first !== undefined && nowMs - first.beginsMs >= keptMs) this.#slices.shift();
  }
}
