/**
 * A ring of fixed-size slots in shared memory for one producer and one consumer on different threads. Slots are
 * filled and read in place; nothing is allocated after construction.
 * @module
 */

/** The two indices live on cache lines of their own, so that the threads do not slow each other down. */
const HEAD_WORD = 0;
const TAIL_WORD = 16;
const HEADER_BYTES = 128;

export class SpscRing {
  readonly #words: Int32Array;
  readonly #slots: Buffer[] = [];

  /** A view of the ring at `byteOffset` (a multiple of 4) of zeroed memory of at least `SpscRing.bytes`. */
  constructor(
    memory: SharedArrayBuffer,
    byteOffset: number,
    readonly slots: number,
    slotBytes: number,
  ) {
    this.#words = new Int32Array(memory, byteOffset, HEADER_BYTES / 4);
    for (let i = 0; i < slots; i++) {
      this.#slots.push(Buffer.from(memory, byteOffset + HEADER_BYTES + i * slotBytes, slotBytes));
    }
  }

  /** Bytes of memory that a ring takes, rounded up so that another may follow. */
  static bytes(slots: number, slotBytes: number): number {
    return HEADER_BYTES + Math.ceil((slots * slotBytes) / 64) * 64;
  }

  /** Filled slots. Exact for the consumer or producer as a bound: the other side can only make it better. */
  length(): number {
    // Indices count modulo twice the slots, so that full and empty differ.
    const span = 2 * this.slots;
    return span === 0 ? 0 : (Atomics.load(this.#words, TAIL_WORD) - Atomics.load(this.#words, HEAD_WORD) + span) % span;
  }

  /** Free slots. */
  room(): number {
    return this.slots - this.length();
  }

  /** Producer: the next free slot, or undefined when the ring is full. Fill it, then `commit`. */
  reserve(): Buffer | undefined {
    if (this.room() === 0) return undefined;
    return this.#slots[Atomics.load(this.#words, TAIL_WORD) % this.slots];
  }

  commit(): void {
    this.#advance(TAIL_WORD);
  }

  /** Consumer: the oldest filled slot, or undefined when the ring is empty. Use it, then `release`. */
  peek(): Buffer | undefined {
    if (this.length() === 0) return undefined;
    return this.#slots[Atomics.load(this.#words, HEAD_WORD) % this.slots];
  }

  release(): void {
    this.#advance(HEAD_WORD);
  }

  #advance(word: number): void {
    const next = Atomics.load(this.#words, word) + 1;
    Atomics.store(this.#words, word, next === 2 * this.slots ? 0 : next);
  }
}
