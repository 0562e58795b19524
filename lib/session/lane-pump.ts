/**
 * Drives machines that fill lanes: asks them when rings may have room, comes back for what is still missing, and ticks
 * them at their deadlines. What both hubs have in common.
 *
 * Reading a packet is cheap and making one dear. Therefore a turn of the event loop makes a few packets at most, after it
 * has read a whole batch: a main thread that cannot keep up sends less, and hears what comes without delay. The other way
 * round replies would wait for seconds, count as lost, and be asked for again.
 * @module
 */
import type { Clock, Timer } from '../clock.ts';

export interface Pumped {
  /** Fills the lanes a little; true when something is still missing. */
  feed(): boolean;
  /** When `tick` must be called at the latest; Infinity: no need. */
  nextDeadlineMs(): number;
  tick(): void;
}

export class LanePump {
  readonly #clock: Clock;
  readonly #pumped: Pumped;
  #deadline: { atMs: number; timer: Timer } | undefined;
  #held = false;
  #waitsForTurnsEnd = false;
  /** This turn of the event loop has had its packets … */
  #fed = false;
  /** … and more are wanted in the next one. */
  #wanted = false;
  #stopped = false;

  constructor(clock: Clock, pumped: Pumped) {
    this.#clock = clock;
    this.#pumped = pumped;
  }

  /** Feeds: now, or in the next turn if this one has done so. Machines call back into here while they are being asked. */
  run(): void {
    if (this.#held || this.#stopped) return;
    if (this.#fed) this.#wanted = true;
    else this.#feed();
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

  #feed(): void {
    this.#held = true;
    this.#wanted = this.#pumped.feed();
    this.#held = false;
    this.#fed = true;
    this.#clock.soon(() => this.#onNextTurn());
    this.#armDeadline();
  }

  #onNextTurn(): void {
    this.#fed = false;
    if (this.#wanted) this.run();
  }

  #armDeadline(): void {
    const atMs = this.#pumped.nextDeadlineMs();
    if (this.#deadline?.atMs === atMs) return;
    this.#deadline?.timer.cancel();
    this.#deadline = undefined;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const timer = this.#clock.after(atMs - this.#clock.nowMs(), () => {
      this.#deadline = undefined;
      this.#pumped.tick();
      this.run();
    });
    this.#deadline = { atMs, timer };
  }
}
