import { setImmediate as turn } from 'node:timers/promises';
import { VirtualClock } from './virtual-clock.ts';

/** Turns of the event loop in which what was written to a loopback socket is read, with some to spare. */
const TURNS_PER_STEP = 4;

/**
 * Virtual time for nodes in this process that talk over real sockets: it moves in small steps, and between two steps the
 * sockets have their turn. Packets take one step for each link, however slow the machine is.
 */
export class PacedClock extends VirtualClock {
  override readonly grainMs: number;

  constructor(
    startWallMs: number,
    readonly stepMs = 10,
  ) {
    super(startWallMs);
    this.grainMs = stepMs;
  }

  /** Lets time pass until `done`; throws when `maxMs` have passed before. */
  async until(done: () => boolean, maxMs: number): Promise<void> {
    const endMs = this.nowMs() + maxMs;
    while (!done()) {
      if (this.nowMs() >= endMs) throw new Error(`not within ${maxMs} ms of virtual time`);
      await this.step();
    }
  }

  /** One step of time, and what it brings about. */
  async step(): Promise<void> {
    this.advance(this.stepMs);
    for (let i = 0; i < TURNS_PER_STEP; i++) await turn();
  }

  /** Lets time pass until `promise` is settled. */
  async settle<T>(promise: Promise<T>, maxMs: number): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    promise.then(mark, mark);
    await this.until(() => settled, maxMs);
    return promise;
  }
}
