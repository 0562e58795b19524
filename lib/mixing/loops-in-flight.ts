/**
 * Loops that have left and are not back: a bounded table with a deadline for each. Clients and nodes keep one; what a late loop
 * says, and about whom, is theirs to judge. A pure state machine: time comes in as `nowMs`.
 * @module
 */
import { laterMs, latestMs, type MonotonicMs } from '../core/units.ts';

/** After a standstill of the process, what arrived meanwhile is read in this time. */
const READING_MS = 500;

export interface LoopInFlight {
  readonly sentMs: MonotonicMs;
  /** Sum of the delays that its header asks for. */
  readonly delayMs: number;
  /** From this time on it is overdue. */
  deadlineMs: MonotonicMs;
}

/** How much longer than the delays in its header a loop that comes back at `nowMs` has taken. */
export function excessMs({ sentMs, delayMs }: LoopInFlight, nowMs: MonotonicMs): number {
  return Math.max(0, nowMs - sentMs - delayMs);
}

export class LoopsInFlight<Key, Loop extends LoopInFlight> {
  /** In order of sending. */
  readonly #loops = new Map<Key, Loop>();
  /** Those whose deadline has been moved once. */
  readonly #extended = new WeakSet<Loop>();
  #reviewedMs: MonotonicMs | undefined;

  /** A review that follows the one before by more than `standstillMs` shows that this process stood still, not the network. */
  constructor(
    readonly capacity: number,
    readonly standstillMs: number,
  ) {}

  get size(): number {
    return this.#loops.size;
  }

  get(key: Key): Loop | undefined {
    return this.#loops.get(key);
  }

  /** Takes a loop in. At capacity the oldest makes room for it and is returned. */
  add(key: Key, loop: Loop): Loop | undefined {
    const [oldest] = this.#loops;
    const evicted = this.#loops.size >= this.capacity && oldest !== undefined ? oldest : undefined;
    if (evicted !== undefined) this.#loops.delete(evicted[0]);
    this.#loops.set(key, loop);
    return evicted?.[1];
  }

  delete(key: Key): void {
    this.#loops.delete(key);
  }

  clear(): void {
    this.#loops.clear();
  }

  /** All loops that are overdue, oldest first; they stay in the table. Call it a few times in each `standstillMs`. */
  review(nowMs: MonotonicMs): [Key, Loop][] {
    const stoodStill = this.#reviewedMs !== undefined && nowMs - this.#reviewedMs > this.standstillMs;
    this.#reviewedMs = nowMs;
    if (stoodStill) for (const loop of this.#loops.values()) this.#extend(loop, laterMs(nowMs, READING_MS));
    return [...this.#loops].filter(([, { deadlineMs }]) => nowMs >= deadlineMs);
  }

  /** Once per loop: a process that is always slow, for being flooded, still has to judge. */
  #extend(loop: Loop, deadlineMs: MonotonicMs): void {
    if (this.#extended.has(loop)) return;
    this.#extended.add(loop);
    loop.deadlineMs = latestMs(loop.deadlineMs, deadlineMs);
  }
}
