/**
 * How many packets per second a process carries, by its main thread: measured, and then judged by what it achieves. While the
 * thread is too busy, capacity falls to what would leave it some air; while it has plenty, capacity rises again, slowly. Between the
 * two it stands still, and each decision rests on a window that began after the one before took effect: so it does not swing.
 * @module
 */
import { laterMs, type MonotonicMs } from '../core/units.ts';

export interface CapacityPolicy {
  /** Above this share of its time the main thread is too busy … */
  readonly high: number;
  /** … which capacity is chosen to bring it to … */
  readonly goal: number;
  /** … and below this one there is room for more. */
  readonly low: number;
}

export const CAPACITY_POLICY: CapacityPolicy = { high: 0.85, goal: 0.7, low: 0.55 };
/** What a decision rests on. */
const WINDOW_MS = 5_000;
/** Until a changed capacity shows: what stands ready leaves first. */
const SETTLE_MS = 1_000;
/** In one window capacity falls to this share at most, and rises by this factor. */
const MOST_FALL = 1 / 2;
const MOST_RISE = 1.1;
/** Whatever else keeps the thread busy: it must be able to answer. */
const LEAST_SHARE = 1 / 10;
/** With fewer packets than this share of the capacity, their cost cannot be separated from that of the rest. */
const TELLING_SHARE = 1 / 2;

/** A call that comes so much later than the one before shows that the process stood still: what it did says nothing of the machine. */
export const STANDSTILL_MS = 3_000;
/** Not more often than this: one that is always late is too slow. */
const EXCUSE_PERIOD_MS = 60_000;

export interface MeasuredCapacityOptions {
  /** Packets per second, by what one costs. */
  readonly measured: number;
  /** Packets per second, whatever is measured. */
  readonly most: number;
  readonly policy?: CapacityPolicy;
}

/** What was done since the last call. */
export interface Load {
  /** Packets that were made, or unwrapped. */
  readonly packets: number;
  /** Share of the time in which the main thread worked. */
  readonly busyShare: number;
}

export class MeasuredCapacity {
  readonly #policy: CapacityPolicy;
  #perSecond: number;
  #beginsMs: MonotonicMs;
  #lastMs: MonotonicMs;
  #busyMs = 0;
  #packets = 0;
  #excusedMs = Number.NEGATIVE_INFINITY;

  constructor(
    private options: MeasuredCapacityOptions,
    nowMs: MonotonicMs,
  ) {
    this.#policy = options.policy ?? CAPACITY_POLICY;
    this.#perSecond = Math.min(options.most, options.measured);
    this.#beginsMs = nowMs;
    this.#lastMs = nowMs;
  }

  /** Packets per second that it carries. */
  get perSecond(): number {
    return this.#perSecond;
  }

  /** After another measurement: where it shows more, capacity rises as the thread has room; where less, it falls as much at once. */
  setBounds(measured: number, most: number): void {
    const change = measured / this.options.measured;
    this.options = { ...this.options, measured, most };
    this.#perSecond = Math.min(most, this.#perSecond * Math.min(1, change));
  }

  /** To be called about once a second. */
  observe({ packets, busyShare }: Load, nowMs: MonotonicMs): void {
    const stepMs = nowMs - this.#lastMs;
    const fromMs = this.#lastMs;
    this.#lastMs = nowMs;
    if (fromMs < this.#beginsMs || stepMs <= 0) return;
    if (stepMs > STANDSTILL_MS && nowMs - this.#excusedMs >= EXCUSE_PERIOD_MS) {
      this.#excusedMs = nowMs;
      this.#begin(laterMs(nowMs, SETTLE_MS));
      return;
    }
    this.#busyMs += busyShare * stepMs;
    this.#packets += packets;
    const windowMs = nowMs - this.#beginsMs;
    if (windowMs < WINDOW_MS) return;
    const next = this.#next(this.#busyMs / windowMs, (this.#packets * 1000) / windowMs);
    this.#begin(next === this.#perSecond ? nowMs : laterMs(nowMs, SETTLE_MS));
    this.#perSecond = next;
  }

  /** Another window. */
  #begin(atMs: MonotonicMs): void {
    this.#beginsMs = atMs;
    this.#busyMs = 0;
    this.#packets = 0;
  }

  /** The capacity after a window in which the thread was `busy` and did `achieved` packets per second. */
  #next(busy: number, achieved: number): number {
    const { high, goal, low } = this.#policy;
    const { measured, most } = this.options;
    const sustained = (achieved * goal) / busy;
    const least = Math.min(most, measured) * LEAST_SHARE;
    if (busy > high) return Math.max(least, this.#perSecond * MOST_FALL, Math.min(this.#perSecond, sustained));
    if (busy >= low) return this.#perSecond;
    const telling = achieved >= TELLING_SHARE * this.#perSecond;
    const limit = Math.min(most, telling ? Math.max(measured, sustained) : measured);
    return Math.max(this.#perSecond, Math.min(limit, this.#perSecond * MOST_RISE));
  }
}
