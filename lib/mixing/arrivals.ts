/**
 * Packets that have come and wait to be unwrapped. While a node keeps up none does: each is unwrapped as it comes. After TURN_MS of that work
 * without a pause what comes waits here, so that sockets are read in between, and nothing waits unseen in the kernel. What has waited
 * for longer than MOST_WAIT_MS is dropped unopened: on a node that is too slow delays stay bounded, and the work goes into packets that
 * are still of use. A time in which the process stood still does not count: afterwards it may well catch up. Nothing here depends on what a
 * packet carries.
 *
 * Each incoming link has a queue, and they are served in proportion to their weights (start-time fair queueing, Goyal et al. 1996). When too
 * many wait, one of the longest queue is dropped. So on a node that is too slow for all, who sends within his share of what it does carry
 * loses nothing to one who sends more.
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

/** Where packets come from: the link's weight, where the mean of all is 1. Its object stands for the link. */
interface Source {
  readonly weight: number;
}

/** A link's packets, the oldest first. */
interface Queue<Packet> {
  readonly weight: number;
  readonly waiting: { readonly packet: Packet; readonly sinceMs: number }[];
  /** Virtual time at which its first packet is served. */
  startsAt: number;
}

/** Of a link that is listed no more, whose last packets wait. */
const LEAST_WEIGHT = 1 / 100;

export class Arrivals<Packet> {
  readonly #capacity: number;
  /** Those in which something waits. */
  readonly #queues = new Map<Source, Queue<Packet>>();
  /** Of links in which nothing waits: when the next packet is served at the earliest. Who sends one by one gets no more than others. */
  readonly #startsAt = new WeakMap<Source, number>();
  #size = 0;
  /** The virtual time: that of the packet served last. */
  #virtual = 0;
  /** Time of turns, without standstills. */
  #ageMs = 0;
  #turnMs = Number.NEGATIVE_INFINITY;
  #workedMs = 0;
  #endedMs = Number.NEGATIVE_INFINITY;

  constructor(packetBytes: number) {
    this.#capacity = Math.max(1, Math.min(MOST_WAITING, Math.floor(MOST_WAITING_BYTES / packetBytes)));
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
    const before = this.#size;
    for (const [link, { waiting }] of this.#queues) {
      while (this.#ageMs - (waiting[0]?.sinceMs ?? this.#ageMs) > MOST_WAIT_MS) this.#take(link);
    }
    return before - this.#size;
  }

  /** A packet was worked on. */
  worked(fromMs: MonotonicMs, untilMs: MonotonicMs): void {
    this.#workedMs += untilMs - fromMs;
    this.#endedMs = untilMs;
  }

  /** Lets a packet that came over `link` wait. How many were dropped for it: one when too many wait, be it this one. */
  push(packet: Packet, link: Source): number {
    const isFull = this.#size === this.#capacity;
    if (isFull) {
      const longest = this.#longest();
      if (longest === undefined || longest === link) return 1;
      this.#take(longest);
    }
    this.#queue(link).waiting.push({ packet, sinceMs: this.#ageMs });
    this.#size += 1;
    return isFull ? 1 : 0;
  }

  /** The next one to be worked on. */
  shift(): Packet | undefined {
    let next: Source | undefined;
    let earliest = Number.POSITIVE_INFINITY;
    for (const [link, { startsAt }] of this.#queues) {
      if (startsAt >= earliest) continue;
      next = link;
      earliest = startsAt;
    }
    const queue = next && this.#queues.get(next);
    if (next === undefined || queue === undefined) return undefined;
    this.#virtual = earliest;
    queue.startsAt += 1 / queue.weight; // what is dropped takes nothing of a link's share
    return this.#take(next);
  }

  clear(): void {
    this.#queues.clear();
    this.#size = 0;
  }

  #queue(link: Source): Queue<Packet> {
    let queue = this.#queues.get(link);
    if (queue === undefined) {
      const startsAt = Math.max(this.#virtual, this.#startsAt.get(link) ?? 0);
      queue = { weight: Math.max(LEAST_WEIGHT, link.weight), waiting: [], startsAt };
      this.#queues.set(link, queue);
    }
    return queue;
  }

  /** Takes the oldest packet of a link. */
  #take(link: Source): Packet | undefined {
    const queue = this.#queues.get(link);
    const first = queue?.waiting.shift();
    if (queue === undefined || first === undefined) return undefined;
    this.#size -= 1;
    if (queue.waiting.length === 0) {
      this.#startsAt.set(link, queue.startsAt);
      this.#queues.delete(link);
    }
    return first.packet;
  }

  /** The link of which most wait, for its weight. */
  #longest(): Source | undefined {
    let longest: Source | undefined;
    let most = 0;
    for (const [link, { waiting, weight }] of this.#queues) {
      if (waiting.length / weight <= most) continue;
      longest = link;
      most = waiting.length / weight;
    }
    return longest;
  }
}
