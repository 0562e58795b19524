/**
 * What a node publishes of its load: how many packets per second it carries, as the median of an epoch, and what share it sheds, both in
 * coarse steps. A state machine on injected time.
 * @module
 */
import { systemClock } from '../core/clock.ts';
import type { MonotonicMs } from '../core/units.ts';
import { CAPACITY_STEPS, SHED_STEPS, stepAtMost } from '../directory/index.ts';
import { busyShareMeter } from '../runtime/busy-share.ts';
import type { Components } from '../runtime/components.ts';
import { MeasuredCapacity, STANDSTILL_MS } from '../runtime/measured-capacity.ts';
import { usableProcessors } from '../runtime/processors.ts';
import type { Log } from '../telemetry/log.ts';

/** An epoch is kept in so many slots of this length at least; the oldest goes as a whole. */
export const LOAD_SLOTS = 60;
const LEAST_SLOT_MS = 1_000;
/** At most one line in this time. */
const LINE_PERIOD_MS = 60_000;
/** After a standstill of the process what came meanwhile is dropped, which says nothing of the machine. */
const CATCH_UP_MS = 5_000;

/** Counts since the start. */
export interface NodeWork {
  /** Packets from nodes that were looked at: unwrapped, or known as own loops. */
  readonly opened: number;
  /** Packets that were dropped unopened since they had waited too long. */
  readonly shed: number;
  /** Packets that were held for mixing. */
  readonly held: number;
}

const IDLE: NodeWork = { opened: 0, shed: 0, held: 0 };

interface Slot extends NodeWork {
  readonly capacity: number;
  readonly lastsMs: number;
}

/** What a descriptor says of it. */
export interface PublishedLoad {
  readonly capacity: number;
  readonly shed: number;
  /** Packets held per second: of mixes; missing until a slot is over. */
  readonly arrivalsPerSecond?: number;
}

export interface CarriedLoadOptions {
  readonly capacity: MeasuredCapacity;
  /** Packets per second that it accepts at most, as last measured, and the share of a processor that it may use, up to 1. */
  readonly machine: () => { readonly perSecond: number; readonly processors: number };
  /** Share of the time since its last call in which the main thread worked. */
  readonly busyShare: () => number;
  readonly epochMs: number;
  readonly log: Log;
}

export class CarriedLoad {
  readonly #slotMs: number;
  #slots: Slot[] = [];
  #slotFromMs: MonotonicMs;
  #slotFrom: NodeWork = IDLE;
  #last: NodeWork = IDLE;
  #saidMs: MonotonicMs | undefined;
  #lookedMs: MonotonicMs;
  #stoodStillMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly options: CarriedLoadOptions,
    nowMs: MonotonicMs,
  ) {
    this.#slotMs = Math.max(LEAST_SLOT_MS, options.epochMs / LOAD_SLOTS);
    this.#slotFromMs = nowMs;
    this.#lookedMs = nowMs;
  }

  /** To be called about once a second. */
  look(work: NodeWork, nowMs: MonotonicMs): void {
    const { capacity, busyShare, machine } = this.options;
    capacity.observe({ packets: work.opened - this.#last.opened, busyShare: busyShare() }, nowMs);
    const isLate = nowMs - this.#lookedMs > STANDSTILL_MS;
    if (isLate && nowMs - this.#stoodStillMs >= LINE_PERIOD_MS) this.#stoodStillMs = nowMs;
    this.#lookedMs = nowMs;
    if (work.shed > this.#last.shed && nowMs - this.#stoodStillMs >= CATCH_UP_MS) this.#say(nowMs);
    this.#last = { ...work };
    if (nowMs - this.#slotFromMs < this.#slotMs) return;
    const { perSecond, processors } = machine();
    capacity.setBounds(perSecond * processors, perSecond);
    this.#slots = [...this.#slots, this.#slotUntil(nowMs)].slice(-LOAD_SLOTS);
    this.#slotFromMs = nowMs;
    this.#slotFrom = this.#last;
  }

  /** As a descriptor has it. */
  get published(): PublishedLoad {
    const slots = this.#slots.length === 0 ? [this.#slotUntil(this.#slotFromMs)] : this.#slots;
    const shed = slots.reduce((sum, slot) => sum + slot.shed, 0);
    const come = slots.reduce((sum, slot) => sum + slot.opened + slot.shed, 0);
    return {
      capacity: stepAtMost(CAPACITY_STEPS, median(slots.map(({ capacity }) => capacity)) ?? 1),
      shed: stepAtMost(SHED_STEPS, come === 0 ? 0 : (100 * shed) / come),
      ...(this.#slots.length === 0 ? {} : { arrivalsPerSecond: arrivalsIn(this.#slots) }),
    };
  }

  /** The one that has begun. */
  #slotUntil(nowMs: MonotonicMs): Slot {
    const { opened, shed, held } = this.#last;
    const from = this.#slotFrom;
    const work = { opened: opened - from.opened, shed: shed - from.shed, held: held - from.held };
    return { ...work, capacity: this.options.capacity.perSecond, lastsMs: nowMs - this.#slotFromMs };
  }

  #say(nowMs: MonotonicMs): void {
    if (this.#saidMs !== undefined && nowMs - this.#saidMs < LINE_PERIOD_MS) return;
    this.#saidMs = nowMs;
    this.options.log.warn(
      { packetsPerSecond: Math.round(this.options.capacity.perSecond) },
      'this machine is too slow for its rates: packets that waited too long are dropped unopened',
    );
  }
}

function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** Packets per second in the median slot, as a step, or 0. */
function arrivalsIn(slots: readonly Slot[]): number {
  const perSecond = median(slots.map(({ held, lastsMs }) => (1000 * held) / lastsMs)) ?? 0;
  return perSecond < 1 ? 0 : stepAtMost(CAPACITY_STEPS, perSecond);
}

/** Goes by `perSecond`, which the node accepts at most: what its thread carries by what unwrapping costs, on a whole processor. */
export function openCarriedLoad(
  { clock, log, metrics }: Components,
  perSecond: () => number,
  epochMs: number,
): CarriedLoad {
  const machine = () => ({ perSecond: perSecond(), processors: Math.min(1, usableProcessors()) });
  const first = machine();
  const terms = { measured: first.perSecond * first.processors, most: first.perSecond };
  const capacity = new MeasuredCapacity(terms, clock.nowMs());
  metrics.gaugeOf('capacity_packets_per_second', 'Packets per second that it carries by its own measure', () => {
    return capacity.perSecond;
  });
  // On another clock the thread's own time says nothing.
  const busyShare = clock === systemClock ? busyShareMeter() : () => 0;
  return new CarriedLoad({ capacity, machine, busyShare, epochMs, log }, clock.nowMs());
}
