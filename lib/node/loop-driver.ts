/**
 * Sends a node's own loops on a Poisson clock, counts what comes back, and raises the alarm when too little does.
 * @module
 */

import type { AddressKey } from '../core/bytes.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { epochAt } from '../core/params.ts';
import { PoissonClock } from '../core/poisson-clock.ts';
import type { Rng } from '../core/rng.ts';
import type { MonotonicMs } from '../core/units.ts';
import type { RingPosition, Topology } from '../directory/index.ts';
import { LoopAlarm, NodeLoops } from '../mixing/index.ts';
import type { Sphinx } from '../sphinx/index.ts';
import type { Log } from '../telemetry/log.ts';
import { LoopTally } from './loop-tally.ts';
import type { NodeMetrics } from './metrics.ts';

/** How often overdue loops are looked for, and a stopped clock for a new topology. */
const EXPIRY_PERIOD_MS = 1000;

export interface LoopDriverOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly sphinx: Sphinx;
  readonly address: Uint8Array;
  /** Where the node is in the ring. */
  readonly positionIn: (topology: Topology) => RingPosition | undefined;
  readonly epochMs: number;
  readonly topology: () => Topology | undefined;
  readonly metrics: NodeMetrics;
  readonly log: Log;
}

/** Takes a loop that leaves now. */
type SendLoop = (firstHop: AddressKey, packet: Uint8Array) => void;

export class LoopDriver {
  readonly loops: NodeLoops;
  readonly alarm = new LoopAlarm(0);
  /** What the node reports of its loops to the directory. */
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
        if (excessMs !== undefined) metrics.loopExcessSeconds.observe(excessMs / 1000);
      },
      onJudged: (inTime, nowMs) => this.#judged(inTime, nowMs),
    });
  }

  /** Begins to send loops, as soon as there is a topology. */
  start(send: SendLoop): void {
    const { clock, topology } = this.options;
    const nowMs = clock.nowMs();
    const rate = topology()?.params.nodeLoopRate ?? 0;
    this.#poisson.setRate(rate, nowMs);
    this.alarm.setRate(rate);
    const waitMs = Math.min(this.#poisson.deadlineMs - nowMs, EXPIRY_PERIOD_MS);
    this.#timer = clock.after(waitMs, () => this.#tick(send));
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #tick(send: SendLoop): void {
    const nowMs = this.options.clock.nowMs();
    while (this.#poisson.tick(nowMs)) this.#sendOne(nowMs, send);
    this.loops.expire(nowMs);
    this.start(send);
  }

  #judged(inTime: boolean, nowMs: MonotonicMs): void {
    const { log, metrics } = this.options;
    const change = this.alarm.decided(inTime, nowMs);
    if (change === undefined) return;
    metrics.loopAlarm.set(change === 'raised' ? 1 : 0);
    const { sent, returned } = this.loops.counts;
    if (change === 'ended') log.info({ sent, returned }, 'own loops return again');
    else log.warn({ sent, returned }, 'own loops are lost or late beyond chance: traffic of this node is held back');
  }

  #sendOne(nowMs: MonotonicMs, send: SendLoop): void {
    const { clock, positionIn, topology, metrics } = this.options;
    const known = topology();
    const position = known === undefined ? undefined : positionIn(known);
    if (known === undefined || position === undefined) return;
    const epoch = epochAt(clock.wallMs(), known.params.epochMs);
    const made = this.loops.make(known, position, epoch, nowMs);
    if (made === undefined) return;
    metrics.loopsSent.inc();
    send(made.firstHop, made.packet);
  }
}
