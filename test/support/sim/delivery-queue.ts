/**
 * A client's gateway in the simulated mixnet: what waits for the ticks of its delivery clock, with the client's loops among it.
 */
import { DeliveryClock, queueBound } from '../../../gateway/delivery-clock.ts';
import { exponential, type Rng } from '../../../lib/core/rng.ts';
import { monotonic } from '../units.ts';
import type { EventQueue } from './event-queue.ts';

export class DeliveryQueue {
  dropped = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #clock: DeliveryClock;

  constructor(
    readonly events: EventQueue,
    readonly rng: Rng,
    readonly rate: number,
    loopRate: number,
  ) {
    this.#clock = new DeliveryClock(rate, rng.uniform(), monotonic(events.nowMs));
    this.#tick();
    if (loopRate > 0) this.#loop(1000 / loopRate);
  }

  /** A packet has come; `deliver` is called at its tick. */
  push(deliver: () => void): void {
    this.#waiting.push(deliver);
    if (this.#waiting.length <= queueBound(this.rate)) return;
    this.#waiting.shift();
    this.dropped += 1;
  }

  #tick(): void {
    this.events.at(this.#clock.dueMs, () => {
      for (let ticks = this.#clock.ticks(monotonic(this.events.nowMs)); ticks > 0; ticks--) this.#waiting.shift()?.();
      this.#tick();
    });
  }

  #loop(meanMs: number): void {
    this.events.after(exponential(this.rng, meanMs), () => {
      this.push(() => {});
      this.#loop(meanMs);
    });
  }
}
