/**
 * The packet engine of mixes and gateways: packets in, unwrapped, held for their time, out. It owns the pool and one
 * timer and knows nothing of sockets; what a role does with next hops comes in as `EngineRole`. Whatever leaves the node
 * leaves through `leave`, also what has not been in the pool: there is one place for faults to strike.
 * @module
 */
import { type AddressKey, addressKeyAt } from '../bytes.ts';
import type { Clock, Timer } from '../clock.ts';
import { cappedDelayMs, type DelayQueue, type NodeDrop, type NodeLoops, type PacketPipeline } from '../mixing/index.ts';
import type { Final, Forward } from '../sphinx/index.ts';
import type { FaultInjector } from './fault.ts';
import type { NodeMetrics } from './metrics.ts';

/** A packet in the pool. */
export interface PooledPacket {
  readonly next: AddressKey;
  readonly packet: Uint8Array;
  /** It has been through the faults and only waits out their delay. */
  readonly harmed: boolean;
}

export interface EngineRole {
  /** Why a packet may not go to `next`; undefined when it may. */
  refuses(next: AddressKey): NodeDrop | undefined;
  /** Sends a packet whose time has come; the reason when it could not. Takes ownership. */
  forward(next: AddressKey, packet: Uint8Array): NodeDrop | undefined;
  /** A packet whose last hop is here; the reason when none may end here. */
  ends(final: Final): NodeDrop | undefined;
}

export interface EngineOptions {
  readonly clock: Clock;
  readonly pipeline: Pick<PacketPipeline, 'process'>;
  /** Puts the replay tags of accepted packets on disk; no packet leaves before it said true. */
  readonly flushTags: () => boolean;
  readonly loops: Pick<NodeLoops, 'receive'>;
  readonly pool: DelayQueue<PooledPacket>;
  readonly maxDelayMs: () => number;
  readonly role: EngineRole;
  readonly metrics: NodeMetrics;
  /** For experiments: harms what leaves. */
  readonly faults?: FaultInjector;
}

export class PacketEngine {
  /**
   * Timers fire within a grain of their time; what is due within half of it leaves too, so that departures are late as
   * often as early and the law of delays keeps its mean.
   */
  readonly #earlyMs: number;
  #timer: Timer | undefined;
  #armedForMs = Number.POSITIVE_INFINITY;
  #drainQueued = false;
  #stopped = false;

  constructor(readonly options: EngineOptions) {
    this.#earlyMs = options.clock.grainMs / 2;
  }

  /** Takes in a packet from a node's link, and its memory. */
  receive(packet: Uint8Array): void {
    if (this.#stopped) return;
    const { clock, loops, metrics, pipeline } = this.options;
    const nowMs = clock.nowMs();
    const loop = loops.receive(packet, nowMs);
    if (loop !== undefined) {
      if (loop === 'altered') metrics.drop('loop-altered');
      return;
    }
    const result = pipeline.process(packet, clock.wallMs());
    const reason = typeof result === 'string' ? result : this.#accept(result, nowMs);
    if (reason !== undefined) metrics.drop(reason);
  }

  /**
   * Sends a packet that has no time to wait here: one that a client sent, or a loop of our own. The reason when it could
   * not; takes ownership.
   */
  leave(next: AddressKey, packet: Uint8Array): NodeDrop | undefined {
    const { faults, role } = this.options;
    return faults === undefined ? role.forward(next, packet) : this.#harm(faults, next, packet);
  }

  /** Forgets the pool and stops the timer. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #accept(result: Forward | Final, nowMs: number): NodeDrop | undefined {
    const { role, pool, maxDelayMs } = this.options;
    if (result.kind === 'final') return role.ends(result);
    const next = addressKeyAt(result.nextAddress, 0);
    const refused = role.refuses(next);
    if (refused !== undefined) return refused;
    const dueMs = nowMs + cappedDelayMs(result.delayNs, maxDelayMs());
    if (!pool.push({ next, packet: result.packet, harmed: false }, dueMs)) return 'queue-full';
    this.#schedule(nowMs);
    return undefined;
  }

  /** Arms the timer for the head of the pool; what is due already leaves at the end of this turn, with its batch. */
  #schedule(nowMs: number): void {
    const dueMs = this.options.pool.nextDueMs;
    if (dueMs <= nowMs + this.#earlyMs) {
      if (this.#drainQueued) return;
      this.#drainQueued = true;
      queueMicrotask(() => this.#drain());
      return;
    }
    if (dueMs >= this.#armedForMs) return;
    this.#timer?.cancel();
    this.#armedForMs = dueMs;
    this.#timer = this.options.clock.after(dueMs - nowMs, () => this.#fired());
  }

  #fired(): void {
    this.#armedForMs = Number.POSITIVE_INFINITY;
    this.#drain();
  }

  #drain(): void {
    this.#drainQueued = false;
    if (this.#stopped) return;
    const { clock, flushTags, pool } = this.options;
    const written = flushTags();
    const nowMs = clock.nowMs();
    const dueMs = nowMs + this.#earlyMs;
    for (let item = pool.popDue(dueMs); item !== undefined; item = pool.popDue(dueMs)) this.#release(item, written);
    if (pool.size > 0) this.#schedule(nowMs);
  }

  /** A packet whose tag is not on disk must not leave: after a restart it could leave again. */
  #release({ next, packet, harmed }: PooledPacket, written: boolean): void {
    const reason = written ? this.#send(next, packet, harmed) : 'journal';
    if (reason !== undefined) this.options.metrics.drop(reason);
  }

  #send(next: AddressKey, packet: Uint8Array, harmed: boolean): NodeDrop | undefined {
    return harmed ? this.options.role.forward(next, packet) : this.leave(next, packet);
  }

  #harm(faults: FaultInjector, next: AddressKey, packet: Uint8Array): NodeDrop | undefined {
    const { clock, pool, role } = this.options;
    const nowMs = clock.nowMs();
    let reason: NodeDrop | undefined;
    for (const copy of faults.harm(packet)) {
      if (faults.delayMs === 0) reason = role.forward(next, copy);
      else if (!pool.push({ next, packet: copy, harmed: true }, nowMs + faults.delayMs)) reason = 'queue-full';
    }
    this.#schedule(nowMs);
    return reason;
  }
}
