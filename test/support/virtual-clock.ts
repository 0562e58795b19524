import type { Clock, Timer } from '../../lib/clock.ts';

interface Armed {
  atMs: number;
  order: number;
  fire: () => void;
}

/** A clock that moves only when told to. Timers fire in order of deadline, then of arming. */
export class VirtualClock implements Clock {
  readonly grainMs: number = 0;
  #nowMs = 0;
  #order = 0;
  #armed: Armed[] = [];
  constructor(readonly startWallMs = Date.UTC(2026, 0, 1)) {}

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.startWallMs + this.#nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const armed = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fire };
    this.#armed.push(armed);
    return {
      cancel: () => {
        this.#armed = this.#armed.filter((other) => other !== armed);
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
      const next = this.#armed.sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#armed.shift();
      this.#nowMs = next.atMs;
      next.fire();
    }
    this.#nowMs = endMs;
  }
}
