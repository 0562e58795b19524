/**
 * Loop and drop cover of a client (Loopix section 4.1): two lanes of the link with clocks of their own, fed with packets
 * made ahead. A loop counts as sent when its frame left, which shows as a step of the lane's counter.
 * @module
 */

import type { Clock } from '../core/clock.ts';
import type { TrafficClass } from '../core/params.ts';
import { laterMs } from '../core/units.ts';
import type { NodeEntry } from '../directory/index.ts';
import type { Lane, LaneOptions } from '../link/index.ts';
import { LaneFeeder, type LaneFrame } from './lane-feeder.ts';
import type { LoopLedger } from './loop-ledger.ts';
import { ReturnTable } from './returns.ts';
import type { Sealed, SealedLoop } from './sealer.ts';

/** Per second. */
export type CoverRates = Pick<TrafficClass, 'loopRate' | 'dropRate'>;

export interface CoverOptions {
  readonly clock: Clock;
  readonly ledger: LoopLedger;
  readonly addLane: (options: LaneOptions) => Lane;
  readonly rates: CoverRates;
  /** Whether frames reach the gateway now; the clocks go on without, but what they send then is no evidence. */
  readonly linkIsUp: () => boolean;
  readonly makeLoop: () => SealedLoop | undefined;
  readonly makeDrop: () => Sealed | undefined;
}

interface PreparedLoop {
  readonly nodes: readonly NodeEntry[];
  /** Sum of the delays drawn for it. */
  readonly delayMs: number;
  /** Given by the ledger when the frame has left. */
  id: number | undefined;
  /** Whether its return or loss is evidence. */
  counts: boolean;
}

/** A loop is recognised this long after it was made; longer than any wait in the ring and on the way. */
const LOOP_RETURN_LIFE_MS = 120_000;
/** Loops and drops made ahead, each: so many, and for so long, at least 2. One that stands ready for long outlives its keys, and counts as lost. */
const COVER_SLOTS = 4;
const COVER_AHEAD_S = 8;
const LEAST_COVER_SLOTS = 2;

/** Slots of the ring of a clock of `ratePerSecond` for loops or drops. */
function coverSlots(ratePerSecond: number): number {
  return Math.max(LEAST_COVER_SLOTS, Math.min(COVER_SLOTS, Math.ceil(COVER_AHEAD_S * ratePerSecond)));
}

export class Cover {
  readonly #loopLane: Lane;
  readonly #dropLane: Lane;
  readonly #loops: LaneFeeder;
  readonly #drops: LaneFeeder;
  readonly #returns = new ReturnTable<PreparedLoop>();
  #prepared: PreparedLoop[] = [];
  #departed = 0;

  constructor(private readonly options: CoverOptions) {
    const { rates } = options;
    options.ledger.alarm.setRate(rates.loopRate);
    const lane = (name: string, ratePerSecond: number) =>
      options.addLane({ name, ratePerSecond, contentSlots: coverSlots(ratePerSecond), idleSlots: 1 });
    this.#loopLane = lane('loop', rates.loopRate);
    this.#dropLane = lane('drop', rates.dropRate);
    const nothing = () => undefined;
    this.#loops = new LaneFeeder(this.#loopLane, { content: () => this.#nextLoop(), idle: nothing });
    this.#drops = new LaneFeeder(this.#dropLane, { content: options.makeDrop, idle: nothing });
  }

  setRates({ loopRate, dropRate }: CoverRates): void {
    this.options.ledger.alarm.setRate(loopRate);
    this.#loopLane.setRate(loopRate);
    this.#dropLane.setRate(dropRate);
  }

  stats() {
    return { loop: this.#loopLane.stats(), drop: this.#dropLane.stats() };
  }

  /** Refills both lanes and records the loops that left since the last call. */
  feed(): void {
    this.recordDepartures();
    this.#loops.feed();
    this.#drops.feed();
  }

  /** Whether `packet` is an own loop: 'altered' when its payload was changed on the way. */
  receive(packet: Uint8Array, recover: (expected: PreparedLoopReturn) => boolean): 'returned' | 'altered' | undefined {
    const expected = this.#returns.find(packet);
    if (expected === undefined) return undefined;
    this.recordDepartures();
    if (!recover(expected)) return 'altered';
    this.#returns.remove(expected);
    if (expected.context.id !== undefined)
      this.options.ledger.returned(expected.context.id, this.options.clock.nowMs());
    return 'returned';
  }

  /** Counts overdue loops as lost and forgets those that will not be recognised any more. */
  sweep(): number {
    const nowMs = this.options.clock.nowMs();
    this.recordDepartures();
    this.#returns.sweep(nowMs);
    return this.options.ledger.sweep(nowMs);
  }

  /** The gateway or the identity has changed: prepared loops still leave, but cannot come back and are no evidence. */
  invalidatePrepared(): void {
    this.recordDepartures();
    for (const loop of this.#prepared) loop.counts = false;
  }

  #nextLoop(): LaneFrame | undefined {
    const loop = this.options.makeLoop();
    if (loop === undefined) return undefined;
    const prepared: PreparedLoop = { nodes: loop.nodes, delayMs: loop.delayMs, id: undefined, counts: true };
    this.#prepared.push(prepared);
    this.#returns.add(loop.recovery, prepared, laterMs(this.options.clock.nowMs(), LOOP_RETURN_LIFE_MS));
    return loop;
  }

  /**
   * Records the loops that left since the last call: the lane sends in order, so the counter says which of the prepared
   * ones they are. To be called before the link's state changes, too.
   */
  recordDepartures(): void {
    const { ledger, clock, linkIsUp } = this.options;
    const stats = this.#loopLane.stats();
    const nowMs = clock.nowMs();
    for (; this.#departed < stats.sentContent + stats.discarded; this.#departed++) {
      const loop = this.#prepared.shift();
      if (loop?.counts === true && linkIsUp()) loop.id = ledger.sent(loop.nodes, nowMs, loop.delayMs);
    }
  }
}

export type PreparedLoopReturn = NonNullable<ReturnType<ReturnTable<PreparedLoop>['find']>>;
