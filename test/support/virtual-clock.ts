import type { Clock, Timer } from '../../lib/core/clock.ts';
import { laterMs, type MonotonicMs, type UnixMs } from '../../lib/core/units.ts';
import { monotonic } from './units.ts';

interface Armed {
  atMs: number;
  fire: () => void;
}

/** A clock that moves only when told to. Timers fire in order of deadline, then of arming. */
export class VirtualClock implements Clock {
  readonly grainMs: number = 0;
  #nowMs = 0 as MonotonicMs;
  #armed: Armed[] = [];
  constructor(readonly startWallMs: number = Date.UTC(2026, 0, 1)) {}

  nowMs(): MonotonicMs {
    return this.#nowMs;
  }

  wallMs(): UnixMs {
    return (this.startWallMs + this.#nowMs) as UnixMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const armed = { atMs: this.#nowMs + Math.max(0, delayMs), fire };
    this.#armed.splice(this.#behind(armed.atMs), 0, armed);
    return {
      cancel: () => {
        const place = this.#armed.lastIndexOf(armed, this.#behind(armed.atMs) - 1);
        if (place >= 0) this.#armed.splice(place, 1);
      },
    };
  }

  soon(fire: () => void): void {
    this.after(0, fire);
  }

  get pending(): number {
    return this.#armed.length;
  }

  /** Moves on by `ms`, firing what falls due on the way, timers armed meanwhile included. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const [next] = this.#armed;
      if (next === undefined || next.atMs > endMs) break;
      this.#armed.shift();
      this.#nowMs = monotonic(Math.max(this.#nowMs, next.atMs));
      next.fire();
    }
    this.#nowMs = monotonic(endMs);
  }

  /** Moves on by `ms` in which the process has stood still: what fell due fires only now. */
  standStill(ms: number): void {
    this.#nowMs = monotonic(this.#nowMs + ms);
    this.advance(0);
  }

  /** Place behind all that are due by then. Timers are in order of deadline, those of the same one in order of arming. */
  #behind(atMs: number): number {
    let [low, high] = [0, this.#armed.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#armed[middle] as Armed).atMs <= atMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** One whose wall clock can be set apart from the time that passes. */
export class SettableClock extends VirtualClock {
  aheadMs = 0;

  override wallMs(): UnixMs {
    return laterMs(super.wallMs(), this.aheadMs);
  }
}
