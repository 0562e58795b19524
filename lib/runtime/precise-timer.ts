/**
 * A timer that fires at its time and not some milliseconds later, for a thread with little else to do.
 *
 * A timer of the event loop counts whole milliseconds. So it wakes the thread ahead of time; the thread then sleeps up to the deadline in one
 * piece, and watches the clock for the last of it, since a sleeper wakes a little late. Meanwhile its other events wait: for some
 * 2 ms at most, and never through two deadlines without their turn.
 * @module
 */
import type { Clock, Timer } from '../core/clock.ts';
import { type MonotonicMs, NEVER_MS } from '../core/units.ts';

/** How much later than asked a timer of the event loop may fire: its grain, and the system's own delay. */
const TIMER_LATE_MS = 1.4;
/** The longest time without other events: what a timer of the event loop cannot be set for. */
export const MOST_ASLEEP_MS = TIMER_LATE_MS + 1;

export interface PreciseTimerOptions {
  readonly clock: Pick<Clock, 'nowMs' | 'after' | 'soon'>;
  /** Blocks the thread, for about so long. */
  readonly sleep: (ms: number) => void;
  readonly fire: () => void;
}

export class PreciseTimer {
  #deadlineMs = NEVER_MS;
  #watchMs = 0;
  #timer: Timer | undefined;
  #isNext = false;

  constructor(private readonly options: PreciseTimerOptions) {}

  /** Fires at this time (NEVER_MS: not at all) instead of at the one set before, in a later turn; `watchMs` before it the thread is awake. */
  set(deadlineMs: MonotonicMs, watchMs: number): void {
    this.#deadlineMs = deadlineMs;
    this.#watchMs = watchMs;
    this.#arm();
  }

  stop(): void {
    this.set(NEVER_MS, 0);
  }

  #arm(): void {
    const { clock } = this.options;
    this.#timer?.cancel();
    if (this.#deadlineMs === NEVER_MS) return;
    const aheadMs = this.#deadlineMs - clock.nowMs();
    if (aheadMs >= MOST_ASLEEP_MS) {
      this.#timer = clock.after(Math.floor(aheadMs - TIMER_LATE_MS), () => this.#wake());
    } else if (!this.#isNext) {
      this.#isNext = true;
      clock.soon(() => {
        this.#isNext = false;
        this.#wake();
      });
    }
  }

  #wake(): void {
    const { clock, sleep, fire } = this.options;
    const aheadMs = this.#deadlineMs - clock.nowMs();
    if (aheadMs > MOST_ASLEEP_MS) {
      this.#arm(); // the timer fired early, or was set anew
      return;
    }
    if (aheadMs > this.#watchMs) sleep(aheadMs - this.#watchMs);
    while (clock.nowMs() < this.#deadlineMs);
    fire();
  }
}

const NOBODY_WAKES = new Int32Array(new SharedArrayBuffer(4));

/** Blocks this thread; not on the main thread of a program. */
export function sleepThread(ms: number): void {
  Atomics.wait(NOBODY_WAKES, 0, 0, ms);
}
