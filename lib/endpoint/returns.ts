/**
 * Packets that a client expects back: replies over its reply blocks, and its loops, each recognised by the gamma that it will
 * carry. A hit is deleted, which is also the replay protection of what comes back; a miss is dropped unread.
 * @module
 */
import type { MonotonicMs } from '../core/units.ts';
import { type GammaKey, gammaKeyOf, type Recovery } from '../sphinx/index.ts';

/** One packet that may come back. */
export interface Expected<Context> {
  readonly recovery: Recovery;
  readonly context: Context;
  readonly expiresAtMs: MonotonicMs;
}

/** Entries kept; at the bound the oldest is forgotten and counted. 560 s of replies at 100/s, none of which came back. */
export const MAX_EXPECTED_RETURNS = 65_536;

export class ReturnTable<Context> {
  #entries = new Map<GammaKey, Expected<Context>>();
  #evicted = 0;
  constructor(
    readonly onExpired: (context: Context, nowMs: MonotonicMs) => void = () => {},
    readonly maxEntries: number = MAX_EXPECTED_RETURNS,
  ) {}

  get size(): number {
    return this.#entries.size;
  }

  get evicted(): number {
    return this.#evicted;
  }

  add(recovery: Recovery, context: Context, expiresAtMs: MonotonicMs): void {
    this.#entries.set(recovery.key, { recovery, context, expiresAtMs });
    if (this.#entries.size <= this.maxEntries) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
    this.#evicted += 1;
  }

  /**
   * The entry whose gamma `packet` carries. It stays until `remove`: an altered copy must not use up the entry of the
   * genuine packet.
   */
  find(packet: Uint8Array): Expected<Context> | undefined {
    return this.#entries.get(gammaKeyOf(packet));
  }

  remove({ recovery }: Expected<Context>): void {
    this.#entries.delete(recovery.key);
  }

  /** Forgets what is past its life. Entries of one table live equally long, so the oldest stand first. */
  sweep(nowMs: MonotonicMs): void {
    for (const [key, expected] of this.#entries) {
      if (expected.expiresAtMs > nowMs) return;
      this.#entries.delete(key);
      this.onExpired(expected.context, nowMs);
    }
  }

  clear(): void {
    this.#entries.clear();
  }
}
