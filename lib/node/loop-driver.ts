/**
 * Sends a node's own loops on a Poisson clock and counts what comes back.
 * @module
 */
import type { AddressKey } from '../bytes.ts';
import type { Clock, Timer } from '../clock.ts';
import type { Topology } from '../directory/index.ts';
import { type LoopOrigin, NodeLoops, PoissonClock } from '../mixing/index.ts';
import { epochAt } from '../params.ts';
import type { Rng } from '../rng.ts';
import type { Sphinx } from '../sphinx/index.ts';
import type { NodeMetrics } from './metrics.ts';

/** How often overdue loops are looked for, and a stopped clock for a new topology. */
const EXPIRY_PERIOD_MS = 1000;

export interface LoopDriverOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly sphinx: Sphinx;
  readonly address: Uint8Array;
  readonly origin: LoopOrigin;
  readonly topology: () => Topology | undefined;
  readonly send: (firstHop: AddressKey, packet: Uint8Array) => void;
  readonly metrics: NodeMetrics;
}

export class LoopDriver {
  readonly loops: NodeLoops;
  readonly #poisson: PoissonClock;
  #timer: Timer | undefined;

  constructor(readonly options: LoopDriverOptions) {
    const { clock, rng, sphinx, address, metrics } = options;
    this.#poisson = new PoissonClock(rng, 0, clock.nowMs());
    this.loops = new NodeLoops({
      sphinx,
      rng,
      address,
      onResult: ({ returned, excessMs }) => {
        (returned ? metrics.loopsReturned : metrics.loopsLost).inc();
        if (excessMs !== undefined) metrics.loopExcessMs.observe(excessMs);
      },
    });
  }

  start(): void {
    const { clock, topology } = this.options;
    const nowMs = clock.nowMs();
    this.#poisson.setRate(topology()?.params.nodeLoopRate ?? 0, nowMs);
    const waitMs = Math.min(this.#poisson.nextDueMs - nowMs, EXPIRY_PERIOD_MS);
    this.#timer = clock.after(waitMs, () => this.#tick());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #tick(): void {
    const nowMs = this.options.clock.nowMs();
    for (let due = this.#poisson.take(nowMs); due > 0; due--) this.#sendOne(nowMs);
    this.loops.expire(nowMs);
    this.start();
  }

  #sendOne(nowMs: number): void {
    const { clock, origin, topology, send, metrics } = this.options;
    const known = topology();
    if (known === undefined) return;
    const epoch = epochAt(clock.wallMs(), known.params.epochMs);
    const made = this.loops.make(known, origin, epoch, nowMs);
    if (made === undefined) return;
    metrics.loopsSent.inc();
    send(made.firstHop, made.packet);
  }
}
