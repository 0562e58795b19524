/**
 * The loops that a mix or gateway sends to itself (Loopix, USENIX Security 2017, section 4.2): cover on its outgoing
 * links, and the measure by which it notices that someone holds back traffic (n-1 attack). A loop is recognised by the
 * MAC in its header, and nobody else can distinguish it from another packet.
 * @module
 */

import { type AddressKey, addressKeyAt } from '../core/bytes.ts';
import { pick, type Rng } from '../core/rng.ts';
import { type EpochNumber, laterMs, type MonotonicMs } from '../core/units.ts';
import { type NodeEntry, nodesAhead, RING_SIZE, type RingPosition, type Topology } from '../directory/index.ts';
import { type GammaKey, gammaKeyOf, type Recovery, type Sphinx, unlessBadKey } from '../sphinx/index.ts';
import { excessMs, type LoopInFlight, LoopsInFlight } from './loops-in-flight.ts';
import { drawnDelayMs, toSphinxHops, withDelays } from './route-hops.ts';

/** A loop that has not come back this long after its own delays is lost. */
export const LOOP_GRACE_MS = 10_000;
/** A loop that has not come back this long after its own delays is late, which the alarm counts like lost. */
export const LOOP_LATE_MS = 2_000;
/** See `LoopsInFlight`. */
const STANDSTILL_MS = 2_000;
/** Loops in flight; beyond it the oldest counts as lost. */
export const LOOPS_IN_FLIGHT = 4096;

const NO_MESSAGE = new Uint8Array(0);

/** What became of one loop: evidence about the nodes on its route. */
export interface FinishedLoop {
  readonly route: readonly NodeEntry[];
  readonly returned: boolean;
  /** From sending to return, less the delays that the route asked for; undefined when lost. */
  readonly excessMs: number | undefined;
}

/** Overdue means late. */
interface Loop extends LoopInFlight {
  readonly recovery: Recovery;
  readonly route: readonly NodeEntry[];
  /** Whether it has been called in time or late. */
  judged: boolean;
}

export interface NodeLoopsOptions {
  readonly sphinx: Sphinx;
  readonly rng: Rng;
  /** The sender's identity: last hop of its loops. */
  readonly address: Uint8Array;
  readonly onResult?: (result: FinishedLoop) => void;
  /** A loop came back in time, or is late. Once per loop, and before its result when that takes longer. */
  readonly onJudged?: (inTime: boolean, nowMs: MonotonicMs) => void;
}

export interface MadeLoop {
  readonly firstHop: AddressKey;
  readonly packet: Uint8Array;
}

export class NodeLoops {
  readonly #inFlight = new LoopsInFlight<GammaKey, Loop>(LOOPS_IN_FLIGHT, STANDSTILL_MS);
  readonly counts = { sent: 0, returned: 0, lost: 0, altered: 0 };

  constructor(readonly options: NodeLoopsOptions) {}

  /** A fresh loop over a route drawn now; undefined when a layer is empty or a node has no usable key for the epoch. */
  make(topology: Topology, position: RingPosition, epoch: EpochNumber, nowMs: MonotonicMs): MadeLoop | undefined {
    const route = drawRoute(topology, position, this.options.rng);
    const first = route?.[0];
    if (route === undefined || first === undefined) return undefined;
    const delayed = withDelays(route, topology.params.meanDelayMs, this.options.rng);
    const hops = toSphinxHops(delayed, epoch);
    if (hops === undefined) return undefined;
    const { sphinx, address } = this.options;
    const { payloadBytes } = topology.params;
    const made = unlessBadKey(() =>
      sphinx.createLoop({ route: hops, self: { address }, message: NO_MESSAGE, payloadBytes }),
    );
    if (made === undefined) return undefined;
    const delayMs = drawnDelayMs(delayed);
    const deadlineMs = laterMs(nowMs, delayMs + LOOP_LATE_MS);
    this.#remember({ recovery: made.recovery, route, sentMs: nowMs, delayMs, deadlineMs, judged: false });
    return { firstHop: addressKeyAt(first.address, 0), packet: made.packet };
  }

  /**
   * Whether `packet` is an own loop coming back: `returned` uses it up, which is also its replay protection. One that was
   * changed on the way is `altered` and stays in flight, so that a copy with a changed payload cannot discredit the loop.
   */
  receive(packet: Uint8Array, nowMs: MonotonicMs): 'returned' | 'altered' | undefined {
    if (this.#inFlight.size === 0) return undefined;
    const key = gammaKeyOf(packet);
    const loop = this.#inFlight.get(key);
    if (loop === undefined) return undefined;
    if (this.options.sphinx.recover(loop.recovery, packet) === undefined) {
      this.counts.altered += 1;
      return 'altered';
    }
    this.#inFlight.delete(key);
    this.counts.returned += 1;
    this.#judge(loop, nowMs < loop.deadlineMs, nowMs);
    this.options.onResult?.({ route: loop.route, returned: true, excessMs: excessMs(loop, nowMs) });
    return 'returned';
  }

  /** Calls loops late and gives up on those that are overdue. To be called about once a second. */
  expire(nowMs: MonotonicMs): void {
    for (const [key, loop] of this.#inFlight.review(nowMs)) {
      this.#judge(loop, false, nowMs);
      if (nowMs - loop.sentMs - loop.delayMs < LOOP_GRACE_MS) continue;
      this.#inFlight.delete(key);
      this.#lose(loop, nowMs);
    }
  }

  /** Loops sent and neither back nor given up. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  #remember(loop: Loop): void {
    const evicted = this.#inFlight.add(loop.recovery.key, loop);
    if (evicted !== undefined) this.#lose(evicted, loop.sentMs);
    this.counts.sent += 1;
  }

  #judge(loop: Loop, inTime: boolean, nowMs: MonotonicMs): void {
    if (loop.judged) return;
    loop.judged = true;
    this.options.onJudged?.(inTime, nowMs);
  }

  #lose(loop: Loop, nowMs: MonotonicMs): void {
    this.#judge(loop, false, nowMs);
    this.counts.lost += 1;
    this.options.onResult?.({ route: loop.route, returned: false, excessMs: undefined });
  }
}

/**
 * The hops before the sender itself. Packets flow layer 1, 2, 3, gateway and (for this alone) gateway to layer 1; a
 * loop goes once around that ring, so a loop of a mix has three nodes before its own hop and so has one of a gateway.
 */
export function drawRoute(topology: Topology, position: RingPosition, rng: Rng): NodeEntry[] | undefined {
  const route: NodeEntry[] = [];
  for (let step = 1; step < RING_SIZE; step++) {
    const node = pick(rng, nodesAhead(topology, position, step));
    if (node === undefined) return undefined;
    route.push(node);
  }
  return route;
}
