/**
 * The requesters that a proxy may use for one exit policy: three, drawn at the start. When they refuse, no other is used for an hour,
 * and then one more: who could close the honest exits would else drive everybody to an exit of his own.
 * @module
 */
import type { IdentityHex } from '../../core/bytes.ts';
import { pick, type Rng } from '../../core/rng.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { NodeEntry } from '../../directory/index.ts';

/** Requesters of a sample, where the network has so many. */
export const EXIT_SAMPLE_SIZE = 3;
/** A sample of which all refuse for this long grows by one. */
export const WIDEN_AFTER_MS = 3_600_000;

export class ExitSample {
  readonly #ids = new Set<IdentityHex>();
  #failingSinceMs: MonotonicMs | undefined;

  constructor(
    private readonly rng: Rng,
    private size = EXIT_SAMPLE_SIZE,
  ) {}

  /** Those of `candidates` that are in the sample. One that is no candidate any more gives its place to another, drawn uniformly. */
  of(candidates: readonly NodeEntry[]): readonly NodeEntry[] {
    for (const id of this.#ids) if (candidates.every((node) => node.id !== id)) this.#ids.delete(id);
    while (this.#ids.size < this.size) {
      const drawn = pick(
        this.rng,
        candidates.filter(({ id }) => !this.#ids.has(id)),
      );
      if (drawn === undefined) break;
      this.#ids.add(drawn.id);
    }
    return candidates.filter(({ id }) => this.#ids.has(id));
  }

  /** To be called once a second. Whether the sample has grown, since none of it has worked for an hour. */
  review(candidates: readonly NodeEntry[], isFailing: (id: IdentityHex) => boolean, nowMs: MonotonicMs): boolean {
    const members = this.of(candidates);
    if (members.length === 0 || members.some(({ id }) => !isFailing(id))) {
      this.#failingSinceMs = undefined;
      return false;
    }
    this.#failingSinceMs ??= nowMs;
    if (nowMs - this.#failingSinceMs < WIDEN_AFTER_MS || candidates.length <= this.size) return false;
    this.size += 1;
    this.#failingSinceMs = nowMs;
    return true;
  }
}
