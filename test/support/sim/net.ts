/**
 * The simulated mixnet: packets that arrive later, out of order, twice, or not at all, in virtual time. Sessions
 * (session-sim.ts), the hub of a proxy (hub-world.ts) and a client's loops (loop-world.ts) are run over it.
 * @module
 */
import { exponential, type Rng } from '../../../lib/core/rng.ts';

/** Virtual time: a VirtualClock, or the faster EventQueue. */
export interface VirtualTime {
  after(delayMs: number, run: () => void): unknown;
}

export interface NetLaw {
  /** Constant part of the way. */
  readonly linkMs: number;
  readonly mixes: number;
  /** Mean of the exponential delay at each mix; 0: none. */
  readonly meanDelayMs: number;
}

export class SimNet {
  constructor(
    readonly time: VirtualTime,
    readonly rng: Rng,
    public law: NetLaw,
  ) {}

  /** The time of one packet on its way. */
  wayMs(): number {
    const { linkMs, mixes, meanDelayMs } = this.law;
    let ms = linkMs;
    for (let i = 0; meanDelayMs > 0 && i < mixes; i++) ms += exponential(this.rng, meanDelayMs);
    return ms;
  }

  /** Whether a packet survives mixes that each drop this share. */
  survives(lossPerMix: number): boolean {
    return this.rng.uniform() < (1 - lossPerMix) ** this.law.mixes;
  }

  /** Delivers a packet after `wayMs`. */
  carry(deliver: () => void, wayMs = this.wayMs()): void {
    this.time.after(wayMs, deliver);
  }
}
