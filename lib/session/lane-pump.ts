/**
 * Drives machines that fill lanes: asks them when rings have room, comes back for padding that is still missing, and
 * ticks them at their deadlines. What both hubs have in common.
 * @module
 */
import type { Clock, Timer } from '../clock.ts';

export interface Pumped {
  /** Fills the lanes; true when padding is still missing. */
  feed(): boolean;
  /** When `tick` must be called at the latest; Infinity: no need. */
  nextDeadlineMs(): number;
  tick(): void;
}

/** Padding is built a little at a time, so that data need not wait behind a full refill. */
const REFILL_MS = 2;

export class LanePump {
  readonly #clock: Clock;
  readonly #pumped: Pumped;
  #deadline: { atMs: number; timer: Timer } | undefined;
  #refill: Timer | undefined;
  #held = false;
  #stopped = false;

  constructor(clock: Clock, pumped: Pumped) {
    this.#clock = clock;
    this.#pumped = pumped;
  }

  /** Feeds now. Does nothing while it is at it: machines call back into here while they are being asked. */
  run(): void {
    if (this.#held || this.#stopped) return;
    this.#held = true;
    const wantsMore = this.#pumped.feed();
    this.#held = false;
    if (wantsMore) this.#refill ??= this.#clock.after(REFILL_MS, () => this.#refillNow());
    this.#armDeadline();
  }

  /** Does `work` without feeding, and feeds after this turn of the event loop. */
  afterTurn<T>(work: () => T): T {
    this.#held = true;
    try {
      return work();
    } finally {
      this.#held = false;
      queueMicrotask(() => this.run());
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#deadline?.timer.cancel();
    this.#refill?.cancel();
  }

  #refillNow(): void {
    this.#refill = undefined;
    this.run();
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
