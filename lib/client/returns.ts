/**
 * What a client is waiting for: reply blocks it handed out and loops it sent, each known again by the gamma its packet
 * will carry. A hit is deleted, which is also the replay protection of what comes back; a miss is dropped unread.
 * @module
 */
import { type GammaKey, gammaKeyOf, type Recovery } from '../sphinx/index.ts';

/** One thing that may come back. */
export interface Expected<Context> {
  readonly recovery: Recovery;
  readonly context: Context;
  readonly expiresAtMs: number;
}

/** Entries kept; at the bound the oldest is forgotten and counted. 560 s of replies at 100/s, none of which came back. */
export const MAX_EXPECTED_RETURNS = 65_536;

export class ReturnTable<Context> {
  #entries = new Map<GammaKey, Expected<Context>>();
  #evicted = 0;
  constructor(
    readonly onExpired: (context: Context) => void = () => {},
    readonly maxEntries: number = MAX_EXPECTED_RETURNS,
  ) {}

  get size(): number {
    return this.#entries.size;
  }

  get evicted(): number {
    return this.#evicted;
  }

  add(recovery: Recovery, context: Context, expiresAtMs: number): void {
    this.#entries.set(recovery.key, { recovery, context, expiresAtMs });
    if (this.#entries.size <= this.maxEntries) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
    this.#evicted += 1;
  }

  /**
   * What `packet` answers, by the looks of it. It stays until `remove`: an altered copy must not take the place of the
   * genuine packet.
   */
  find(packet: Uint8Array): Expected<Context> | undefined {
    return this.#entries.get(gammaKeyOf(packet));
  }

  remove({ recovery }: Expected<Context>): void {
    this.#entries.delete(recovery.key);
  }

  /** Forgets what is past its life. Entries of one table live equally long, so the oldest stand first. */
  sweep(nowMs: number): void {
    for (const [key, expected] of this.#entries) {
      if (expected.expiresAtMs > nowMs) return;
      this.#entries.delete(key);
      this.onExpired(expected.context);
    }
  }

  clear(): void {
    this.#entries.clear();
  }
}
