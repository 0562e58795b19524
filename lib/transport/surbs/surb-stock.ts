/**
 * The requester's reply blocks of one session: first in, first out, each with its expiry. The account of it is
 * exact at any time: received = used + expired + evicted + held.
 * @module
 */

import { concatBytes } from '../../core/bytes.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { SurbStockStats } from '../types.ts';

interface Batch {
  /** The blocks, one behind the other, in memory of their own: views would keep the whole packet that they came in. */
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly expiresMs: number;
  readonly generation: number;
  taken: number;
}

/** No epoch is so long that a block could be good for longer, whatever the proxy says. */
const MAX_SURB_LIFE_MS = 3_600_000;
/** Cut the array of finished batches off when it is this long. */
const COMPACT_AT = 64;

const anyBlock = () => true;

export class SurbStock {
  /** Without those that are finished, at the front. */
  #batches: (Batch | undefined)[] = [];
  #first = 0;
  #held = 0;
  #received = 0;
  #used = 0;
  #expired = 0;
  #evicted = 0;
  #generation = 0;

  /** `usable` says whether a block's first hop is worth it; the others are dropped as expired when their turn comes. */
  constructor(
    private readonly maxBlocks: number,
    private readonly usable: (block: Uint8Array) => boolean = anyBlock,
  ) {}

  stats(): SurbStockStats {
    return {
      received: this.#received,
      used: this.#used,
      expired: this.#expired,
      evicted: this.#evicted,
      held: this.#held,
    };
  }

  get received(): number {
    return this.#received;
  }

  get used(): number {
    return this.#used;
  }

  get expired(): number {
    return this.#expired;
  }

  get evicted(): number {
    return this.#evicted;
  }

  /** Blocks in memory. */
  get size(): number {
    return this.#held;
  }

  /** Blocks that can be used now. */
  held(nowMs: MonotonicMs): number {
    this.#dropExpired(nowMs);
    return this.#held;
  }

  /**
   * Adds blocks that may be used for `lifeMs` from now. A newer generation makes all older blocks worthless (the
   * proxy has moved to another gateway, or lost the keys); blocks of an older one are counted as expired.
   */
  add(generation: number, lifeMs: number, blocks: readonly Uint8Array[], nowMs: MonotonicMs): void {
    this.#received += blocks.length;
    if (generation < this.#generation) {
      this.#expired += blocks.length;
      return;
    }
    if (generation > this.#generation) {
      this.#generation = generation;
      this.clear();
    }
    const expiresMs = nowMs + Math.min(lifeMs, MAX_SURB_LIFE_MS);
    this.#batches.push({ bytes: concatBytes(...blocks), count: blocks.length, expiresMs, generation, taken: 0 });
    this.#held += blocks.length;
    this.#dropExpired(nowMs);
    while (this.#held > this.maxBlocks && this.#shift() !== undefined) this.#evicted++;
  }

  /** The oldest usable block. It is gone from the stock, and counts as used. */
  take(nowMs: MonotonicMs): Uint8Array | undefined {
    this.#dropExpired(nowMs);
    for (;;) {
      const block = this.#shift();
      if (block === undefined) return undefined;
      if (this.usable(block)) {
        this.#used++;
        return block;
      }
      this.#expired++;
    }
  }

  /** Drops everything held, as expired. */
  clear(): void {
    this.#expired += this.#held;
    this.#held = 0;
    this.#batches = [];
    this.#first = 0;
  }

  #shift(): Uint8Array | undefined {
    const batch = this.#batches[this.#first];
    if (batch === undefined) return undefined;
    const size = batch.bytes.byteLength / batch.count;
    const block = batch.bytes.subarray(batch.taken * size, (batch.taken + 1) * size);
    batch.taken++;
    this.#held--;
    if (batch.taken === batch.count) this.#dropFirst();
    return block;
  }

  #dropExpired(nowMs: MonotonicMs): void {
    for (;;) {
      const batch = this.#batches[this.#first];
      if (batch === undefined || batch.expiresMs > nowMs) return;
      const left = batch.count - batch.taken;
      this.#expired += left;
      this.#held -= left;
      this.#dropFirst();
    }
  }

  #dropFirst(): void {
    this.#batches[this.#first] = undefined;
    this.#first++;
    if (this.#first >= COMPACT_AT || this.#first === this.#batches.length) {
      this.#batches.splice(0, this.#first);
      this.#first = 0;
    }
  }
}
