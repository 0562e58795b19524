/**
 * Sends a node's own loops on a Poisson clock, counts what comes back, and raises the alarm when too little does.
 * @module
 */
import type { AddressKey } from '../bytes.ts';
import type { Clock, Timer } from '../clock.ts';
import type { Topology } from '../directory/index.ts';
import type { Log } from '../log.ts';
import { LoopAlarm, type LoopOrigin, NodeLoops, PoissonClock } from '../mixing/index.ts';
import { epochAt } from '../params.ts';
import type { Rng } from '../rng.ts';
import type { Sphinx } from '../sphinx/index.ts';
import { LoopTally } from './loop-tally.ts';
import type { NodeMetrics } from './metrics.ts';

/** How often overdue loops are looked for, and a stopped clock for a new topology. */
const EXPIRY_PERIOD_MS = 1000;

export interface LoopDriverOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly sphinx: Sphinx;
  readonly address: Uint8Array;
  readonly origin: LoopOrigin;
  readonly epochMs: number;
  readonly topology: () => Topology | undefined;
  readonly send: (firstHop: AddressKey, packet: Uint8Array) => void;
  readonly metrics: NodeMetrics;
  readonly log: Log;
}

export class LoopDriver {
  readonly loops: NodeLoops;
  readonly alarm = new LoopAlarm(0);
  /** What the node tells the directory of its loops. */
  readonly tally: LoopTally;
  readonly #poisson: PoissonClock;
  #timer: Timer | undefined;

  constructor(readonly options: LoopDriverOptions) {
    const { clock, rng, sphinx, address, metrics } = options;
    this.tally = new LoopTally(options.epochMs);
    this.#poisson = new PoissonClock(rng, 0, clock.nowMs());
    this.loops = new NodeLoops({
      sphinx,
      rng,
      address,
      onResult: (result) => {
        const { returned, excessMs } = result;
        this.tally.add(result, clock.nowMs());
        (returned ? metrics.loopsReturned : metrics.loopsLost).inc();
        if (excessMs !== undefined) metrics.loopExcessMs.observe(excessMs);
      },
      onJudged: (inTime, nowMs) => this.#judged(inTime, nowMs),
    });
  }

  start(): void {
    const { clock, topology } = this.options;
    const nowMs = clock.nowMs();
    const rate = topology()?.params.nodeLoopRate ?? 0;
    this.#poisson.setRate(rate, nowMs);
    this.alarm.setRate(rate);
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

  #judged(inTime: boolean, nowMs: number): void {
    const { log, metrics } = this.options;
    const change = this.alarm.decided(inTime, nowMs);
    if (change === undefined) return;
    metrics.loopAlarm.set(change === 'raised' ? 1 : 0);
    const { sent, returned } = this.loops.counts;
    if (change === 'ended') log.info({ sent, returned }, 'own loops return again');
    else log.warn({ sent, returned }, 'own loops are lost or late beyond chance: traffic of this node is held back');
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
