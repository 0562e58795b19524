/**
 * Remembers what the name servers said, for all sessions together: bounded, the least recently used goes first.
 *
 * Times to live are cut to a few minutes. A longer memory would save few questions, and would let a client find out by
 * the speed of an answer whether somebody asked for a name long before.
 * @module
 */

import type { MonotonicMs } from '../../lib/core/units.ts';
import { laterMs } from '../../lib/core/units.ts';

interface Entry<T> {
  readonly value: T;
  readonly untilMs: MonotonicMs;
}

/** The longest that anything is remembered, whatever its time to live. */
export const MAX_TTL_MS = 300_000;

export class DnsCache<T> {
  readonly #entries = new Map<string, Entry<T>>();

  constructor(readonly maxEntries: number) {}

  get size(): number {
    return this.#entries.size;
  }

  get(name: string, nowMs: MonotonicMs): T | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    this.#entries.delete(name);
    if (entry.untilMs <= nowMs) return undefined;
    this.#entries.set(name, entry); // at the end: the map is in the order of last use
    return entry.value;
  }

  put(name: string, value: T, ttlMs: number, nowMs: MonotonicMs): void {
    this.#entries.delete(name);
    if (ttlMs <= 0) return;
    this.#entries.set(name, { value, untilMs: laterMs(nowMs, Math.min(ttlMs, MAX_TTL_MS)) });
    if (this.#entries.size <= this.maxEntries) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
