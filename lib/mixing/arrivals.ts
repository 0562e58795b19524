/**
 * Packets that have come and wait to be unwrapped. While a node keeps up none does: each is unwrapped as it comes. After TURN_MS of that work
 * without a pause what comes waits here, so that sockets are read in between, and nothing waits unseen in the kernel. What has waited
 * for longer than MOST_WAIT_MS is dropped unopened: on a node that is too slow delays stay bounded, and the work goes into packets that
 * are still of use. A time in which the process stood still does not count: afterwards it may well catch up. Nothing here depends on what a
 * packet carries.
 * @module
 */
import type { MonotonicMs } from '../core/units.ts';

/** Work on packets without a look at the sockets. */
export const TURN_MS = 10;
/** After so long without work on a packet the turn begins anew. */
const PAUSE_MS = 2;
/** From arrival to unwrapping. */
export const MOST_WAIT_MS = 200;
/** Of a turn and what comes between it and the next; what takes longer was a standstill. */
const MOST_TURN_MS = 2 * TURN_MS;
/** Packets that wait, and their bytes. */
export const MOST_WAITING = 2048;
const MOST_WAITING_BYTES = 16 * 2 ** 20;

export class Arrivals<Packet> {
  readonly #waiting: (Packet | undefined)[];
  /** Each one's `#ageMs` at its arrival. */
  readonly #sinceMs: Float64Array;
  /** Time of turns, without standstills. */
  #ageMs = 0;
  #turnMs = Number.NEGATIVE_INFINITY;
  #head = 0;
  #size = 0;
  #workedMs = 0;
  #endedMs = Number.NEGATIVE_INFINITY;

  constructor(packetBytes: number) {
    const capacity = Math.max(1, Math.min(MOST_WAITING, Math.floor(MOST_WAITING_BYTES / packetBytes)));
    this.#waiting = Array.from({ length: capacity });
    this.#sinceMs = new Float64Array(capacity);
  }

  get size(): number {
    return this.#size;
  }

  /** Whether a packet that comes now has to wait. */
  mustWait(nowMs: MonotonicMs): boolean {
    if (this.#size > 0) return true;
    if (nowMs - this.#endedMs >= PAUSE_MS) this.#workedMs = 0;
    return this.isTurnOver;
  }

  /** Whether the sockets have to be read before more is done. */
  get isTurnOver(): boolean {
    return this.#workedMs >= TURN_MS;
  }

  /** They have been. Drops those that have waited for too long; how many. */
  beginTurn(nowMs: MonotonicMs): number {
    this.#workedMs = 0;
    this.#ageMs += Math.min(MOST_TURN_MS, nowMs - this.#turnMs);
    this.#turnMs = nowMs;
    let count = 0;
    for (; this.#size > 0 && this.#ageMs - (this.#sinceMs[this.#head] as number) > MOST_WAIT_MS; count++) this.shift();
    return count;
  }

  /** A packet was worked on. */
  worked(fromMs: MonotonicMs, untilMs: MonotonicMs): void {
    this.#workedMs += untilMs - fromMs;
    this.#endedMs = untilMs;
  }

  /** Lets a packet wait; false when too many do. */
  push(packet: Packet): boolean {
    const capacity = this.#waiting.length;
    if (this.#size === capacity) return false;
    const at = (this.#head + this.#size) % capacity;
    this.#waiting[at] = packet;
    this.#sinceMs[at] = this.#ageMs;
    this.#size += 1;
    return true;
  }

  /** The one that has waited for longest. */
  shift(): Packet | undefined {
    if (this.#size === 0) return undefined;
    const packet = this.#waiting[this.#head];
    this.#waiting[this.#head] = undefined; // let go of its bytes
    this.#head = (this.#head + 1) % this.#waiting.length;
    this.#size -= 1;
    return packet;
  }

  clear(): void {
    while (this.#size > 0) this.shift();
  }
}
