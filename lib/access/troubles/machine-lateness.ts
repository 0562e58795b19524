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
    return this.#looks.length > MIN_LOOKS && this.#sinceFirst('departures') < TOO_LITTLE * this.#ticks;
  }

  get isLate(): boolean {
    return this.missesTicks || this.#sinceFirst('unread') >= MIN_MISSED || this.#stoodStill;
  }

  /** Whether its clocks ask for more packets than it makes. */
  get missesTicks(): boolean {
    const missed = this.#sinceFirst('slotsMissed');
    return missed >= MIN_MISSED && missed >= MISSED_SHARE * this.#ticks;
  }

  /** How much it has grown since the first look that is remembered. */
  #sinceFirst(counter: keyof Look): number {
    return (this.#looks.at(-1)?.[counter] ?? 0) - (this.#looks[0]?.[counter] ?? 0);
  }

  /** Of own clocks, in the same time. */
  get #ticks(): number {
    return ((this.#looks.at(-1)?.ticksPerSecond ?? 0) * this.#sinceFirst('atMs')) / 1000;
  }

  get #stoodStill(): boolean {
    return this.#looks.some(({ atMs }, i) => atMs - (this.#looks[i - 1]?.atMs ?? atMs) > PERIOD_MS + STANDSTILL_MS);
  }
}
