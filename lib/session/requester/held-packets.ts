/**
 * Packets of sessions that a requester does not know: they may have overtaken the HELLO of theirs, and wait for it for a moment.
 * Whoever invents sessions fills this, and nothing else.
 * @module
 */
import { laterMs, type MonotonicMs } from '../../core/units.ts';
import { decodeUplink, type Uplink } from '../../transport/wire/payload.ts';

/** How long packets of an unknown session wait for its HELLO. */
const HOLD_MS = 500;
const MAX_HELD_SESSIONS = 256;
const MAX_HELD_PACKETS = 16;
/** Of all of them together, whatever the size of packets. */
export const MAX_HELD_BYTES = 8 * 1024 * 1024;

interface Held {
  /** As bytes: frames that were read take many times the memory of small ones. */
  readonly packets: Uint8Array[];
  readonly dueMs: MonotonicMs;
}

export class HeldPackets {
  readonly #held = new Map<string, Held>();
  #packets = 0;
  readonly #mostPackets: number;

  constructor(payloadBytes: number) {
    this.#mostPackets = Math.floor(MAX_HELD_BYTES / payloadBytes);
  }

  /** Sessions that are waited for. */
  get size(): number {
    return this.#held.size;
  }

  /** When the first of them is given up. */
  get dueMs(): number {
    for (const { dueMs } of this.#held.values()) return dueMs; // the first is the oldest
    return Number.POSITIVE_INFINITY;
  }

  /** Holds a copy of a packet of session `key` that can be read; false when there is no room for it. */
  add(key: string, plaintext: Uint8Array, nowMs: MonotonicMs): boolean {
    const held = this.#held.get(key) ?? { packets: [], dueMs: laterMs(nowMs, HOLD_MS) };
    const isFull = held.packets.length === 0 && this.#held.size >= MAX_HELD_SESSIONS;
    if (isFull || held.packets.length >= MAX_HELD_PACKETS || this.#packets >= this.#mostPackets) return false;
    held.packets.push(new Uint8Array(plaintext));
    this.#packets += 1;
    this.#held.set(key, held);
    return true;
  }

  /** The packets of session `key`, which are held no longer. */
  take(key: string): readonly Uplink[] {
    const packets = this.#held.get(key)?.packets ?? [];
    this.#held.delete(key);
    this.#packets -= packets.length;
    return packets.flatMap((plaintext) => decodeUplink(plaintext) ?? []);
  }

  /** The session whose time is over first, if that is now. */
  overdue(nowMs: MonotonicMs): string | undefined {
    const [oldest] = this.#held;
    return oldest !== undefined && oldest[1].dueMs <= nowMs ? oldest[0] : undefined;
  }
}
