/**
 * A histogram of lateness in shared memory: the link thread counts, the main thread reads. Buckets grow by a quarter
 * octave from 10 µs to beyond a second, so that a quantile is known within 19 %.
 * @module
 */
import type { LatenessSnapshot } from '../types.ts';

const BUCKETS = 72;
const FIRST_UPPER_MS = 0.01;
const PER_OCTAVE = 4;
const MAX_WORD = BUCKETS;

const UPPER_MS: readonly number[] = Array.from({ length: BUCKETS }, (_, i) =>
  i === BUCKETS - 1 ? Number.POSITIVE_INFINITY : FIRST_UPPER_MS * 2 ** (i / PER_OCTAVE),
);

export class LatenessHistogram {
  static readonly BYTES = (BUCKETS + 1) * 8;
  readonly #cells: Float64Array;

  constructor(memory: SharedArrayBuffer, byteOffset: number) {
    this.#cells = new Float64Array(memory, byteOffset, BUCKETS + 1);
  }

  record(lateMs: number): void {
    const octaves = Math.log2(lateMs / FIRST_UPPER_MS) * PER_OCTAVE;
    const bucket = Math.min(BUCKETS - 1, Math.max(0, Math.ceil(octaves)));
    this.#cells[bucket] = (this.#cells[bucket] ?? 0) + 1;
    if (lateMs > (this.#cells[MAX_WORD] ?? 0)) this.#cells[MAX_WORD] = lateMs;
  }

  /** A copy of the counts; a departure counted meanwhile may or may not be in it. */
  snapshot(): LatenessSnapshot {
    const counts = [...this.#cells.subarray(0, BUCKETS)];
    const count = counts.reduce((sum, value) => sum + value, 0);
    const maxMs = this.#cells[MAX_WORD] ?? 0;
    const quantile = (q: number): number => Math.min(maxMs, upperOf(counts, q * count));
    return { count, upperMs: UPPER_MS, counts, p50Ms: quantile(0.5), p99Ms: quantile(0.99), maxMs };
  }
}

/** Upper bound of the bucket in which the `rank`-th smallest value lies. */
function upperOf(counts: readonly number[], rank: number): number {
  let seen = 0;
  for (const [i, count] of counts.entries()) {
    seen += count;
    if (seen >= rank) return UPPER_MS[i] ?? Number.POSITIVE_INFINITY;
  }
  return 0;
}
