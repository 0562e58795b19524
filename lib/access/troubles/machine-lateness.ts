/**
 * Whether this machine keeps up: from what one look a second at its own counters finds over the last seconds. Pure.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';

/** Counters since the start. */
export interface MachineCounters {
  /** Ticks of own clocks that found no packet ready, and how many ticks a second there are. */
  readonly slotsMissed: number;
  /** Packets that left at ticks, or would have if the link had been up. */
  readonly departures: number;
  readonly ticksPerSecond: number;
  /** Packets that were dropped because nobody read them in time. */
  readonly unread: number;
}

interface Look extends MachineCounters {
  readonly atMs: MonotonicMs;
}

/** Looks that are remembered, a second apart. */
export const LOOKS = 10;
const PERIOD_MS = 1_000;
/** A look that comes this much too late shows that the event loop stood still. */
export const STANDSTILL_MS = 500;
/** Missed ticks that are felt: this share, and at least so many. */
const MISSED_SHARE = 0.01;
const MIN_MISSED = 3;
/** A gateway ends the link of a client that sends less than half of its clocks (docs/PROTOCOL.md section 5.8), over a longer time than this. */
const TOO_LITTLE = 0.6;
/** Looks that say something of a rate. */
const MIN_LOOKS = 5;

export class MachineLateness {
  #looks: Look[] = [];

  /** To be called once a second. */
  look(counters: MachineCounters, nowMs: MonotonicMs): void {
    this.#looks.push({ ...counters, atMs: nowMs });
    if (this.#looks.length > LOOKS + 1) this.#looks.shift();
  }

  /** Whether it sends so little of what its clocks are to make that the gateway ends the link. */
  get sendsTooLittle(): boolean {
    const [first] = this.#looks;
    const last = this.#looks.at(-1);
    if (first === undefined || last === undefined || this.#looks.length <= MIN_LOOKS) return false;
    return last.departures - first.departures < (TOO_LITTLE * last.ticksPerSecond * (last.atMs - first.atMs)) / 1000;
  }

  get isLate(): boolean {
    const [first] = this.#looks;
    const last = this.#looks.at(-1);
    if (first === undefined || last === undefined) return false;
    return this.missesTicks || last.unread - first.unread >= MIN_MISSED || this.#stoodStill;
  }

  /** Whether its clocks ask for more packets than it makes. */
  get missesTicks(): boolean {
    const [first] = this.#looks;
    const last = this.#looks.at(-1);
    if (first === undefined || last === undefined) return false;
    const missed = last.slotsMissed - first.slotsMissed;
    const ticks = (last.ticksPerSecond * (last.atMs - first.atMs)) / 1000;
    return missed >= MIN_MISSED && missed >= MISSED_SHARE * ticks;
  }

  get #stoodStill(): boolean {
    return this.#looks.some(({ atMs }, i) => atMs - (this.#looks[i - 1]?.atMs ?? atMs) > PERIOD_MS + STANDSTILL_MS);
  }
}
