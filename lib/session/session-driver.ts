/**
 * Drives the pure machines of a hub: ticks them at their deadlines, and fills the lanes of the link from them whenever rings
 * may have room. What both hubs have in common.
 *
 * Reading a packet is cheap and making one dear. Therefore a turn of the event loop makes a few packets at most, after it
 * has read a whole batch: a main thread that cannot keep up sends less, and reads what comes without delay. The other way
 * round replies would wait for seconds, count as lost, and be asked for again.
 * @module
 */
import type { Clock, Timer } from '../core/clock.ts';
import type { MonotonicMs } from '../core/units.ts';

/** A machine that wants to be called at certain times. */
export interface TimedMachine {
  /** When `tick` must be called at the latest; Infinity: no need. */
  nextDeadlineMs(): number;
  tick(nowMs: MonotonicMs): void;
}

export class SessionDriver {
  #deadline: { atMs: number; timer: Timer } | undefined;
  #held = false;
  #waitsForTurnsEnd = false;
  /** This turn of the event loop has had its packets … */
  #fed = false;
  /** … and more are wanted in the next one. */
  #wanted = false;
  #stopped = false;

  /** `feed` fills the lanes a little; true when something is still missing. */
  constructor(
    private readonly clock: Clock,
    private readonly machine: TimedMachine,
    private readonly feed: () => boolean,
  ) {}

  /** Feeds: now, or in the next turn if this one has done so. Machines call back into here while they are being asked. */
  run(): void {
    if (this.#held || this.#stopped) return;
    if (this.#fed) this.#wanted = true;
    else this.#feedOnce();
  }

  /** Does `work` without feeding, and feeds after it and whatever else is done in the same go. */
  afterTurn<T>(work: () => T): T {
    const heldBefore = this.#held;
    this.#held = true;
    try {
      return work();
    } finally {
      this.#held = heldBefore;
      this.#runAtTurnsEnd();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#deadline?.timer.cancel();
  }

  #runAtTurnsEnd(): void {
    if (this.#waitsForTurnsEnd) return;
    this.#waitsForTurnsEnd = true;
    queueMicrotask(() => {
      this.#waitsForTurnsEnd = false;
      this.run();
    });
  }

  #feedOnce(): void {
    this.#held = true;
    this.#wanted = this.feed();
    this.#held = false;
    this.#fed = true;
    this.clock.soon(() => this.#onNextTurn());
    this.#armDeadline();
  }

  #onNextTurn(): void {
    this.#fed = false;
    if (this.#wanted) this.run();
  }

  #armDeadline(): void {
    const atMs = this.machine.nextDeadlineMs();
    if (this.#deadline?.atMs === atMs) return;
    this.#deadline?.timer.cancel();
    this.#deadline = undefined;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const timer = this.clock.after(atMs - this.clock.nowMs(), () => {
      this.#deadline = undefined;
      this.machine.tick(this.clock.nowMs());
      this.run();
    });
    this.#deadline = { atMs, timer };
  }
}
