/**
 * The replay filter of one Sphinx key: a set of keyed fingerprints of replay tags.
 *
 * A table of 32-bit fingerprints instead of a Bloom filter: for one false positive in 10^6 a Bloom filter of the
 * same capacity takes two thirds of the memory and twenty scattered probes; this takes one short run per segment,
 * and its false positives stay under 10^-7 (see `falsePositiveBound`). Tags are hashed under a secret, because senders
 * can search for tags that collide in a table they can predict.
 *
 * Memory follows use: segments double in size, and the next is allocated when the last is full. A random table of
 * the full size would have every page touched within minutes.
 * @module
 */
import { asBuffer } from '../core/bytes.ts';
import type { Crypto } from '../crypto/index.ts';

export type ReplayVerdict = 'fresh' | 'replay' | 'full';

/** Bytes of one keyed fingerprint: what the journal stores per tag. */
export const RECORD_BYTES = 8;
export const FILTER_KEY_BYTES = 64;

const FIRST_SEGMENT_SLOTS = 2 ** 14;
/** Larger than this a segment does not get: one allocation stays under 256 MiB. */
const MAX_SEGMENT_SLOTS = 2 ** 26;
const MAX_LOAD = 0.75;

interface Segment {
  readonly slots: Uint32Array;
  readonly mask: number;
  /** Fingerprints that it takes. */
  readonly capacity: number;
  used: number;
}

function segmentOf(slotCount: number): Segment {
  return {
    slots: new Uint32Array(slotCount),
    mask: slotCount - 1,
    capacity: Math.floor(slotCount * MAX_LOAD),
    used: 0,
  };
}

/** Whether the fingerprint is in the run of slots that starts at its home slot. */
function segmentHas(segment: Segment, fingerprint: number, home: number): boolean {
  const { slots, mask } = segment;
  for (let slot = home & mask; ; slot = (slot + 1) & mask) {
    const found = slots[slot];
    if (found === 0) return false;
    if (found === fingerprint) return true;
  }
}

function segmentAdd(segment: Segment, fingerprint: number, home: number): void {
  const { slots, mask } = segment;
  let slot = home & mask;
  while (slots[slot] !== 0) slot = (slot + 1) & mask;
  slots[slot] = fingerprint;
  segment.used += 1;
}

export class ReplayFilter {
  readonly #segments: Segment[] = [segmentOf(FIRST_SEGMENT_SLOTS)];
  readonly #digest = Buffer.alloc(32);
  #size = 0;
  #capacity: number;

  /** `key` is 64 secret bytes of this filter alone; `room` in tags. */
  constructor(
    readonly crypto: Crypto,
    readonly key: Uint8Array,
    room: number,
  ) {
    this.#capacity = room;
  }

  /** Tags held. */
  get size(): number {
    return this.#size;
  }

  /** Takes `room` tags more from now on, and no further ones. */
  limitTo(room: number): void {
    this.#capacity = this.#size + room;
  }

  /** Memory of the table. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.slots.byteLength, 0);
  }

  /**
   * An upper bound of the chance that a fresh tag is taken for a replay: every segment at its greatest load, where an
   * unsuccessful search of linear probing meets (1 + 1/(1-load)^2)/2 slots, each equal with chance 2^-32 (one
   * fingerprint value is reserved, hence the - 1).
   */
  get falsePositiveBound(): number {
    const met = (1 + 1 / (1 - MAX_LOAD) ** 2) / 2;
    return (this.#segments.length * met) / (2 ** 32 - 1);
  }

  /**
   * The keyed fingerprint of the tag last given to `checkAndInsert`: a view that the next call overwrites. A filter
   * is rebuilt from these with `load`.
   */
  get lastRecord(): Uint8Array {
    return this.#digest.subarray(0, RECORD_BYTES);
  }

  /** `fresh` once per tag, then `replay` for ever; `full` (and nothing learnt) for a new tag when the capacity is used up. */
  checkAndInsert(tag: Uint8Array): ReplayVerdict {
    this.crypto.blake2bKeyedInto(this.#digest, this.key, tag);
    return this.#insert(this.#digest.readUInt32LE(0), this.#digest.readUInt32LE(4));
  }

  /** Puts the records of a journal back. */
  load(records: Uint8Array): void {
    const bytes = asBuffer(records);
    for (let at = 0; at + RECORD_BYTES <= bytes.byteLength; at += RECORD_BYTES) {
      this.#insert(bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4));
    }
  }

  #insert(word: number, home: number): ReplayVerdict {
    const fingerprint = word === 0 ? 1 : word; // 0 marks an empty slot
    for (const segment of this.#segments) {
      if (segmentHas(segment, fingerprint, home)) return 'replay';
    }
    if (this.#size >= this.#capacity) return 'full';
    segmentAdd(this.#openSegment(), fingerprint, home);
    this.#size += 1;
    return 'fresh';
  }

  #openSegment(): Segment {
    const last = this.#segments[this.#segments.length - 1] as Segment;
    if (last.used < last.capacity) return last;
    const next = segmentOf(Math.min(2 * last.slots.length, MAX_SEGMENT_SLOTS));
    this.#segments.push(next);
    return next;
  }
}
