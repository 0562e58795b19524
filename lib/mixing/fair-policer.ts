/**
 * Which of the packets that arrive a node accepts: a policer (RFC 2475) on injected time, asked before any work is done on a packet.
 *
 * Each incoming link has a virtual queue: a count of accepted packets that leaves at the node's rate, shared max-min by
 * weight among the links whose count is not 0 (generalized processor sharing, Parekh and Gallager 1993). A packet is refused when its
 * link's count has reached a share of what all counts together leave free of a common depth (dynamic thresholds,
 * Choudhury and Hahne 1998). So a link within its share of the rate loses nothing, whatever others send; what one
 * does not use is the others'; and one that bursts alone has most of the depth. Accepted packets do not wait.
 *
 * In any time t at most rate × t + depth packets are accepted, and from the start of the process rate × t alone: a restart
 * earns nothing. The rate follows what the machine is measured to carry, up to a bound for which the replay filters have room.
 * @module
 */
import { maxMin } from '../core/max-min.ts';
import type { MonotonicMs } from '../core/units.ts';

/** Packets that may be accepted at once, of all links: what the rate makes in this time, and so many for each link. */
const BURST_MS = 500;
const BURST_PACKETS_PER_LINK = 16;
/** Links that have counts of their own: all nodes of a network. */
const MOST_LINKS = 4096;
/** The counts go down this often. */
const SERVE_PERIOD_MS = 10;
/** The clock that ends a key may differ from the one that the rate goes by. */
const CLOCK_MARGIN = 1.01;

/** An incoming link, as far as its share goes. It outlives connections: who dials again has the same count. */
export interface PolicedLink {
  /** Its weight, where the mean of all is 1. */
  weight: number;
  /** Accepted and not yet served. */
  count: number;
}

export class FairPolicer<Key> {
  #links = new Map<Key, PolicedLink>();
  /** Those with a count, also when they are listed no more. */
  #busy: PolicedLink[] = [];
  /** Sum of all counts, and of what a new process has not earned yet. */
  #total: number;
  #unearned: number;
  #depth: number;
  #perSecond: number;
  #servedMs: MonotonicMs;
  #dueMs: number;

  /** `perSecond`: packets accepted in the mean at most, above 0; `mostPerSecond`: the most that this will ever be set to. */
  constructor(
    perSecond: number,
    nowMs: MonotonicMs,
    private readonly mostPerSecond = perSecond,
  ) {
    this.#perSecond = perSecond;
    this.#depth = depthOf(perSecond, 1);
    this.#unearned = this.#depth;
    this.#total = this.#depth;
    this.#servedMs = nowMs;
    this.#dueMs = nowMs + SERVE_PERIOD_MS;
  }

  get perSecond(): number {
    return this.#perSecond;
  }

  /** Another rate from now on, `mostPerSecond` at most. */
  setRate(perSecond: number, nowMs: MonotonicMs): void {
    if (perSecond === this.#perSecond) return;
    this.#serve(nowMs); // what has passed goes by the rate of then
    this.#perSecond = Math.min(perSecond, this.mostPerSecond);
    this.#setDepth(depthOf(this.#perSecond, this.#links.size));
  }

  /** The links from now on, each with its weight above 0. Those that stay keep their counts. */
  setWeights(weights: ReadonlyMap<Key, number>): void {
    const mean = [...weights.values()].reduce((sum, weight) => sum + weight, 0) / weights.size;
    const links = new Map<Key, PolicedLink>();
    for (const [key, weight] of weights) {
      const link = this.#links.get(key) ?? { weight: 1, count: 0 };
      link.weight = weight / mean;
      links.set(key, link);
    }
    this.#links = links;
    this.#setDepth(depthOf(this.#perSecond, links.size));
  }

  /** The link of a peer; of one that is not listed, one that has nothing. */
  link(key: Key): PolicedLink {
    return this.#links.get(key) ?? { weight: 0, count: 0 };
  }

  /** The most packets that it accepts within `spanMs`, whatever its rate becomes and however often its process is restarted. */
  mostIn(spanMs: number): number {
    return Math.ceil((CLOCK_MARGIN * this.mostPerSecond * spanMs) / 1000 + depthOf(this.mostPerSecond, MOST_LINKS));
  }

  /** Whether a packet that has come over `link` is accepted. */
  admits(link: PolicedLink, nowMs: MonotonicMs): boolean {
    if (nowMs >= this.#dueMs) this.#serve(nowMs);
    if (link.count >= link.weight * (this.#depth - this.#total)) return false;
    if (link.count === 0) this.#busy.push(link);
    link.count += 1;
    this.#total += 1;
    return true;
  }

  /** A greater depth has to be earned first, like that of a new process. */
  #setDepth(depth: number): void {
    const grown = Math.max(0, depth - this.#depth);
    this.#unearned += grown;
    this.#total += grown;
    this.#depth = depth;
  }

  /** Takes from the counts what the rate serves in the time that has passed. */
  #serve(nowMs: MonotonicMs): void {
    const room = (this.#perSecond * (nowMs - this.#servedMs)) / 1000;
    this.#servedMs = nowMs;
    this.#dueMs = nowMs + SERVE_PERIOD_MS;
    const earned = Math.min(room, this.#unearned);
    this.#unearned -= earned;
    this.#share(room - earned);
    this.#total = this.#busy.reduce((sum, { count }) => sum + count, this.#unearned);
  }

  #share(room: number): void {
    const counts = this.#busy.map(({ count }) => count);
    if (counts.reduce((sum, count) => sum + count, 0) <= room) {
      for (const link of this.#busy) link.count = 0; // mostly so: there is nothing to share
      this.#busy = [];
      return;
    }
    const weights = this.#busy.map(({ weight }) => weight);
    const served = maxMin(counts, room, weights);
    for (const [i, link] of this.#busy.entries()) link.count -= served[i] as number;
    this.#busy = this.#busy.filter(({ count }) => count > 0);
  }
}

function depthOf(perSecond: number, links: number): number {
  return (perSecond * BURST_MS) / 1000 + BURST_PACKETS_PER_LINK * Math.min(links, MOST_LINKS);
}
