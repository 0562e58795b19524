/**
 * Decides what leaves and when: for every lane a Poisson clock and two rings. At a tick the oldest content frame
 * leaves, else the oldest idle frame. A state machine on injected time that hands frames to `send`.
 * @module
 */
import { PoissonClock } from '../../core/poisson-clock.ts';
import type { Rng } from '../../core/rng.ts';
import { type MonotonicMs, NEVER_MS } from '../../core/units.ts';
import type { LaneMemory } from './memory.ts';
import type { SpscRing } from './spsc-ring.ts';

/** Takes one frame, copying it; false when the link is down or its queue full. */
export type SendFrame = (frame: Buffer) => boolean;

export interface Lateness {
  record(lateMs: number): void;
}

/** A sleeper wakes about 0.1 ms late. */
const MAX_LEAD_MS = 0.2;
/** At most this share of a core is spent on waiting exactly. */
const LEAD_SHARE = 0.04;
/** Seconds over which the measured rate is taken. */
const MEASURED_SECONDS = 10;

class ClockedLane {
  readonly clock: PoissonClock;
  /** Ticks so far, now and at the last few calls of `measure`. */
  #ticks = 0;
  readonly #history: number[] = [0];

  constructor(
    readonly memory: LaneMemory,
    rng: Rng,
    ratePerSecond: number,
    nowMs: MonotonicMs,
  ) {
    this.clock = new PoissonClock(rng, ratePerSecond, nowMs);
  }

  tick(send: SendFrame): void {
    this.#ticks += 1;
    const { memory } = this;
    if (departContent(memory, send)) return;
    const sent = depart(memory.idle, send);
    if (sent === undefined) memory.countMissed();
    else if (sent) memory.countIdle();
    else memory.countDiscarded();
  }

  /** Call once a second. */
  measure(): void {
    this.#history.push(this.#ticks);
    const oldest = this.#history[0] ?? 0;
    this.memory.setMeasured((this.#ticks - oldest) / (this.#history.length - 1));
    if (this.#history.length > MEASURED_SECONDS) this.#history.shift();
  }
}

/** Takes the oldest content frame; false when there is none. */
function departContent(memory: LaneMemory, send: SendFrame): boolean {
  const sent = depart(memory.content, send);
  if (sent === undefined) return false;
  if (sent) memory.countContent();
  else memory.countDiscarded();
  return true;
}

/** Takes the oldest frame of `ring`: its time is now, whether it can be sent (the result) or not. */
function depart(ring: SpscRing, send: SendFrame): boolean | undefined {
  const frame = ring.peek();
  if (frame === undefined) return undefined;
  const sent = send(frame);
  ring.release();
  return sent;
}

export class Departures {
  readonly #clocked = new Map<number, ClockedLane>();
  readonly #immediate = new Map<number, LaneMemory>();

  constructor(
    readonly rng: Rng,
    readonly lateness: Lateness,
  ) {}

  add(lane: number, memory: LaneMemory, ratePerSecond: number, nowMs: MonotonicMs): void {
    this.#clocked.set(lane, new ClockedLane(memory, this.rng, ratePerSecond, nowMs));
  }

  addImmediate(lane: number, memory: LaneMemory): void {
    this.#immediate.set(lane, memory);
  }

  setRate(lane: number, ratePerSecond: number, nowMs: MonotonicMs): void {
    this.#clocked.get(lane)?.clock.setRate(ratePerSecond, nowMs);
  }

  /** Forgets up to `count` of the oldest idle frames of a lane; returns how many. */
  dropIdle(lane: number, count: number): number {
    const idle = this.#clocked.get(lane)?.memory.idle;
    let dropped = 0;
    for (; dropped < count && idle?.peek() !== undefined; dropped++) idle.release();
    return dropped;
  }

  remove(lane: number): void {
    this.#clocked.delete(lane);
    this.#immediate.delete(lane);
  }

  /**
   * How long before a deadline to be awake and watch the clock: enough for a late wake-up, and a small share
   * of the time between departures, so that waiting never takes more of the processor than that share.
   */
  leadMs(): number {
    let perSecond = 0;
    for (const { clock } of this.#clocked.values()) perSecond += clock.ratePerSecond;
    return perSecond > 0 ? Math.min(MAX_LEAD_MS, (LEAD_SHARE * 1000) / perSecond) : 0;
  }

  /** The earliest deadline of all lanes; Infinity when no clock runs. */
  nextDeadlineMs(): MonotonicMs {
    let earliestMs = NEVER_MS;
    for (const { clock } of this.#clocked.values()) {
      if (clock.deadlineMs < earliestMs) earliestMs = clock.deadlineMs;
    }
    return earliestMs;
  }

  /** Serves every tick that is due; returns how many were. */
  runDue(nowMs: MonotonicMs, send: SendFrame): number {
    let ticks = 0;
    for (const lane of this.#clocked.values()) {
      while (lane.clock.tick(nowMs)) {
        lane.tick(send);
        ticks += 1;
        this.lateness.record(lane.clock.lateMs);
      }
    }
    return ticks;
  }

  /**
   * Sends what is in the immediate lanes, in turns of one frame each, while `mayTake` says so. Returns the number of
   * frames taken, and leaves the rest for the next call.
   */
  runImmediate(send: SendFrame, mayTake: () => boolean): number {
    let taken = 0;
    for (let before = -1; taken !== before; ) {
      before = taken;
      for (const memory of this.#immediate.values()) {
        if (!mayTake()) return taken;
        if (departContent(memory, send)) taken += 1;
      }
    }
    return taken;
  }

  /** Whether an immediate lane still has frames. */
  immediateWaiting(): boolean {
    for (const memory of this.#immediate.values()) {
      if (memory.content.length() > 0) return true;
    }
    return false;
  }

  /** Brings the measured rates up to date; call once a second. */
  measure(): void {
    for (const lane of this.#clocked.values()) lane.measure();
  }
}
