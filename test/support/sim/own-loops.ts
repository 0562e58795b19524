/**
 * A client's own loops over a simulated network, five a second: what the ledger of reply blocks compares a requester with.
 */
import { LossHistory } from '../../../lib/endpoint/health/loss-history.ts';
import type { OwnPath } from '../../../lib/transport/surbs/surb-ledger.ts';
import { monotonic } from '../units.ts';

const LOOPS_PER_SECOND = 5;

/** The path of a client whose loops all return. */
export const soundPath: OwnPath = {
  loops: (windowMs) => ({ seen: (windowMs * LOOPS_PER_SECOND) / 1000, lost: 0 }),
  usableShare: 1,
  avoidableFirstHops: 0,
};

/** Loops that are drawn when they are asked for; `lost` says for each whether the network loses it. */
export class OwnLoops {
  readonly #history = new LossHistory();
  #nextMs = 0;

  constructor(readonly lost: (atMs: number) => boolean) {}

  path(nowMs: number, more: Partial<OwnPath> = {}): OwnPath {
    for (; this.#nextMs <= nowMs; this.#nextMs += 1000 / LOOPS_PER_SECOND) {
      this.#history.add(!this.lost(this.#nextMs), monotonic(this.#nextMs));
    }
    return { ...soundPath, loops: (windowMs) => this.#history.over(windowMs, monotonic(nowMs)), ...more };
  }
}
