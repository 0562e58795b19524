/**
 * The packet engine of mixes and gateways: packets in, unwrapped, held for their time, out. It owns the pool and one
 * timer and knows nothing of sockets; where a next hop is says the node's behaviour. Whatever leaves the node leaves through
 * `relay`, also what has not been in the pool: faults are injected there alone.
 * @module
 */
import { type AddressKey, addressKeyAt, type IdentityHex } from '../core/bytes.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { MemoryAccount, MemoryBudget } from '../core/memory-budget.ts';
import { laterMs, type MonotonicMs, NEVER_MS } from '../core/units.ts';
import {
  type Arrivals,
  cappedDelayMs,
  type DelayQueue,
  type DepartureTicks,
  type FairPolicer,
  type NodeDrop,
  type NodeLoops,
  type PacketPipeline,
  type PolicedLink,
} from '../mixing/index.ts';
import type { Final, Forward } from '../sphinx/index.ts';
import type { NextHop, NodeBehaviour } from './behaviour.ts';
import type { FaultInjector } from './fault.ts';
import type { NodeMetrics } from './metrics.ts';

/** A packet in the pool. */
export interface PooledPacket {
  readonly next: AddressKey;
  readonly packet: Uint8Array;
  /** It has been through the faults and only waits out their delay. */
  readonly faulted: boolean;
  /** How many packets had been accepted when it came in: the replay tags of so many must be on disk when it leaves. */
  readonly accepted: number;
}

/** Of a packet in the pool, with what is kept beside its bytes. */
const memoryOf = ({ packet }: PooledPacket): number => packet.byteLength + POOLED_OVERHEAD_BYTES;
const POOLED_OVERHEAD_BYTES = 320;
/** Of the memory budget. */
const POOL_SHARE = 1 / 2;

export interface EngineOptions {
  readonly clock: Clock;
  readonly policer: Pick<FairPolicer<IdentityHex>, 'admits'>;
  readonly arrivals: Arrivals<Uint8Array>;
  readonly pipeline: Pick<PacketPipeline, 'process'>;
  /** Puts the replay tags of all packets accepted so far on disk; until it has returned true none of these leaves. */
  readonly flushTags: () => boolean;
  readonly loops: Pick<NodeLoops, 'receive'>;
  readonly pool: DelayQueue<PooledPacket>;
  readonly ticks: DepartureTicks;
  readonly maxDelayMs: () => number;
  readonly behaviour: Pick<NodeBehaviour, 'nextHop' | 'endsPackets'>;
  readonly metrics: NodeMetrics;
  /** What the pool draws on. */
  readonly memory?: MemoryBudget;
  /** For experiments: what befalls packets that leave. */
  readonly faults?: FaultInjector;
}

export class PacketEngine {
  /** Timers fire within a grain of their time: half of it sooner is asked for, and a tick within half of it has come. */
  readonly #earlyMs: number;
  #timer: Timer | undefined;
  #armedForMs: number = NEVER_MS;
  /** Packets accepted, and how many of them had been when their tags were last put on disk. */
  #accepted = 0;
  #recorded = 0;
  #stopped = false;
  #draining = false;
  /** Counts since the start. */
  readonly work = { opened: 0, shed: 0, held: 0 };
  readonly #memory: MemoryAccount | undefined;

  constructor(readonly options: EngineOptions) {
    this.#earlyMs = options.clock.grainMs / 2;
    this.#memory = options.memory?.account('pool');
  }

  /** Takes in a packet from a node's link, and its memory. What is beyond the link's share costs no work. */
  receive(packet: Uint8Array, link: PolicedLink): void {
    if (this.#stopped) return;
    const { clock, policer, arrivals } = this.options;
    const nowMs = clock.nowMs();
    if (!policer.admits(link, nowMs)) this.#drop('over-share');
    else if (!arrivals.mustWait(nowMs)) this.#open(packet, nowMs);
    else {
      this.#shed(arrivals.push(packet, link));
      this.#drainSoon();
    }
  }

  #open(packet: Uint8Array, nowMs: MonotonicMs): void {
    const { clock, loops, pipeline, arrivals } = this.options;
    this.work.opened += 1;
    const loop = loops.receive(packet, nowMs);
    if (loop === 'returned') return;
    const result = loop === 'altered' ? 'loop-altered' : pipeline.process(packet, clock.wallMs());
    if (typeof result === 'string') this.#drop(result);
    else if (result.kind === 'forward') this.#hold(result, nowMs);
    else this.#end(result);
    arrivals.worked(nowMs, clock.nowMs());
  }

  #drainSoon(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.options.clock.soon(() => this.#drain());
  }

  /** Sockets have been read meanwhile. */
  #drain(): void {
    this.#draining = false;
    const { clock, arrivals } = this.options;
    this.#shed(arrivals.beginTurn(clock.nowMs()));
    while (!arrivals.isTurnOver) {
      const packet = arrivals.shift();
      if (packet === undefined) return; // all of them, or the engine has stopped
      this.#open(packet, clock.nowMs());
    }
    this.#drainSoon();
  }

  #shed(count: number): void {
    this.work.shed += count;
    for (let i = 0; i < count; i++) this.#drop('overload');
  }

  /** Sends a loop of our own, and takes ownership: at the next tick, as what comes from others does, since an observer could else tell it. */
  sendLoop(next: AddressKey, packet: Uint8Array): void {
    const nowMs = this.options.clock.nowMs();
    this.#pool({ next, packet, faulted: false, accepted: this.#accepted }, nowMs, nowMs);
  }

  /** Sends a packet from a client, which has its time from a clock of the client's, and takes ownership. */
  relay(next: AddressKey, packet: Uint8Array): void {
    const { clock, faults } = this.options;
    if (faults === undefined) this.#forward(next, packet, clock.nowMs());
    else this.#inject(faults, next, packet);
  }

  /** Packets that have come and not left. */
  get waiting(): number {
    return this.options.arrivals.size + this.options.pool.size;
  }

  /** Forgets the pool and stops the timer. */
  stop(): void {
    this.#stopped = true;
    this.options.arrivals.clear();
    this.#timer?.cancel();
  }

  #hold({ nextAddress, packet, delayNs }: Forward, nowMs: MonotonicMs): void {
    const { behaviour, maxDelayMs } = this.options;
    const next = addressKeyAt(nextAddress, 0);
    const hop = behaviour.nextHop(next);
    const accepted = ++this.#accepted;
    if (typeof hop === 'string') this.#drop(hop);
    else if (this.#hasTooMuch) this.#drop('pool-full');
    else {
      const dueMs = laterMs(nowMs, cappedDelayMs(delayNs, maxDelayMs()));
      this.work.held += 1;
      this.#pool({ next, packet, faulted: false, accepted }, dueMs, nowMs);
    }
  }

  /** Senders choose how long packets stay: they must not close the links of others by that. */
  get #hasTooMuch(): boolean {
    const { memory } = this.options;
    return memory !== undefined && (memory.isFull || (this.#memory?.bytes ?? 0) > memory.limitBytes * POOL_SHARE);
  }

  #pool(packet: PooledPacket, dueMs: MonotonicMs, nowMs: MonotonicMs): void {
    const { pool, ticks } = this.options;
    if (pool.push(packet, ticks.at(dueMs))) {
      this.#memory?.add(memoryOf(packet));
      this.#schedule(nowMs);
    } else this.#drop('pool-full');
  }

  /** Drop traffic has done its work by coming to its last hop. */
  #end(_packet: Final): void {
    if (this.options.behaviour.endsPackets) this.options.metrics.ended.inc();
    else this.#drop('not-an-endpoint');
  }

  /** Arms the timer for the head of the pool. */
  #schedule(nowMs: MonotonicMs): void {
    const dueMs = this.options.pool.nextDueMs;
    if (dueMs >= this.#armedForMs) return;
    this.#timer?.cancel();
    this.#armedForMs = dueMs;
    this.#timer = this.options.clock.after(dueMs - this.#earlyMs - nowMs, () => this.#fired());
  }

  #fired(): void {
    this.#armedForMs = NEVER_MS;
    if (this.#stopped) return;
    const { clock, ticks } = this.options;
    const nowMs = clock.nowMs();
    const leaving = ticks.shuffle(this.#takeDue(laterMs(nowMs, this.#earlyMs)));
    this.#record(leaving);
    for (const item of leaving) {
      if (item.accepted > this.#recorded)
        this.#drop('journal'); // without its tag on disk it could leave again after a restart
      else if (item.faulted) this.#forward(item.next, item.packet, nowMs);
      else this.relay(item.next, item.packet);
    }
    this.#schedule(nowMs);
  }

  /** Writes the tags that are missing on disk, if one of these packets is not to leave without: one write covers all that wait. */
  #record(leaving: readonly PooledPacket[]): void {
    const isMissing = leaving.some(({ accepted }) => accepted > this.#recorded);
    if (isMissing && this.options.flushTags()) this.#recorded = this.#accepted;
  }

  #takeDue(dueMs: MonotonicMs): PooledPacket[] {
    const { pool, ticks } = this.options;
    ticks.passed(dueMs);
    const due: PooledPacket[] = [];
    let bytes = 0;
    for (let item = pool.popDue(dueMs); item !== undefined; item = pool.popDue(dueMs)) {
      due.push(item);
      bytes += memoryOf(item);
    }
    this.#memory?.add(-bytes);
    return due;
  }

  #inject(faults: FaultInjector, next: AddressKey, packet: Uint8Array): void {
    const nowMs = this.options.clock.nowMs();
    for (const copy of faults.inject(packet)) {
      if (faults.delayMs === 0) this.#forward(next, copy, nowMs);
      else this.#pool({ next, packet: copy, faulted: true, accepted: 0 }, laterMs(nowMs, faults.delayMs), nowMs);
    }
  }

  #forward(next: AddressKey, packet: Uint8Array, nowMs: MonotonicMs): void {
    const hop: NextHop | NodeDrop = this.options.behaviour.nextHop(next);
    if (typeof hop === 'string') this.#drop(hop);
    else hop.send(packet, nowMs);
  }

  #drop(reason: NodeDrop): void {
    this.options.metrics.drop(reason);
  }
}
