/**
 * The loops that a mix or gateway sends to itself (Loopix, USENIX Security 2017, section 4.2): cover on its outgoing
 * links, and the measure by which it notices that someone holds back traffic (n-1 attack). A loop is recognised by the
 * MAC in its header, and nobody else can tell it from another packet.
 * @module
 */
import { type AddressKey, addressKeyAt } from '../bytes.ts';
import type { NodeEntry, Topology } from '../directory/index.ts';
import { exponential, pick, type Rng } from '../rng.ts';
import {
  type GammaKey,
  gammaKeyOf,
  type Recovery,
  type Sphinx,
  type SphinxHop,
  unlessBadKey,
} from '../sphinx/index.ts';

/** A loop that has not come back this long after its own delays is lost. */
export const LOOP_GRACE_MS = 10_000;
/** A loop that has not come back this long after its own delays is late, which the alarm counts like lost. */
export const LOOP_LATE_MS = 2_000;
/** A look for late loops that comes so late itself says that this process stood still, not the network. */
const STANDSTILL_MS = 2_000;
/** What arrived in a standstill is read in this time. */
const READING_MS = 500;
/** Loops in flight; beyond it the oldest counts as lost. */
export const LOOPS_IN_FLIGHT = 4096;

const NS_PER_MS = 1_000_000;
const NO_MESSAGE = new Uint8Array(0);

/** The place of the sender in the network: a mix of that layer, or a gateway. */
export type LoopOrigin = 1 | 2 | 3 | 'gateway';

/** What became of one loop: evidence about the nodes on its route. */
export interface LoopResult {
  readonly route: readonly NodeEntry[];
  readonly returned: boolean;
  /** From sending to return, less the delays that the route asked for; undefined when lost. */
  readonly excessMs: number | undefined;
}

interface InFlight {
  readonly recovery: Recovery;
  readonly route: readonly NodeEntry[];
  readonly sentMs: number;
  readonly delayMs: number;
  /** When it is late. */
  lateFromMs: number;
  /** Whether it was given more time once. */
  spared: boolean;
  /** Whether it has been called in time or late. */
  judged: boolean;
}

export interface NodeLoopsOptions {
  readonly sphinx: Sphinx;
  readonly rng: Rng;
  /** The sender's identity: last hop of its loops. */
  readonly address: Uint8Array;
  readonly onResult?: (result: LoopResult) => void;
  /** A loop came back in time, or is late. Once per loop, and before its result when that takes longer. */
  readonly onJudged?: (inTime: boolean, nowMs: number) => void;
}

export interface MadeLoop {
  readonly firstHop: AddressKey;
  readonly packet: Uint8Array;
}

export class NodeLoops {
  /** In order of sending. */
  readonly #inFlight = new Map<GammaKey, InFlight>();
  readonly counts = { sent: 0, returned: 0, lost: 0, altered: 0 };

  #lookedMs: number | undefined;

  constructor(readonly options: NodeLoopsOptions) {}

  /** A fresh loop over a route drawn now; undefined when a layer is empty or a node has no usable key for the epoch. */
  make(topology: Topology, origin: LoopOrigin, epoch: number, nowMs: number): MadeLoop | undefined {
    const route = drawRoute(topology, origin, this.options.rng);
    const first = route?.[0];
    if (route === undefined || first === undefined) return undefined;
    const hops: SphinxHop[] = [];
    let delayMs = 0;
    for (const node of route) {
      const publicKey = node.sphinxKey(epoch);
      if (publicKey === undefined) return undefined;
      const hopMs = node.role === 'mixnode' ? exponential(this.options.rng, topology.params.meanDelayMs) : 0;
      delayMs += Math.min(hopMs, topology.params.maxDelayMs);
      hops.push({ address: node.address, publicKey, delayNs: Math.round(hopMs * NS_PER_MS) });
    }
    const { sphinx, address } = this.options;
    const { payloadBytes } = topology.params;
    const made = unlessBadKey(() =>
      sphinx.createLoop({ route: hops, self: { address }, message: NO_MESSAGE, payloadBytes }),
    );
    if (made === undefined) return undefined;
    const { packet, recovery } = made;
    const lateFromMs = nowMs + delayMs + LOOP_LATE_MS;
    this.#remember(recovery, { recovery, route, sentMs: nowMs, delayMs, lateFromMs, spared: false, judged: false });
    return { firstHop: addressKeyAt(first.address, 0), packet };
  }

  /**
   * Whether `packet` is an own loop coming back: `returned` uses it up, which is also its replay protection. One that was
   * changed on the way is `altered` and stays in flight, so that a copy with a changed payload cannot discredit the loop.
   */
  receive(packet: Uint8Array, nowMs: number): 'returned' | 'altered' | undefined {
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
    this.#judge(loop, nowMs < loop.lateFromMs, nowMs);
    const excessMs = Math.max(0, nowMs - loop.sentMs - loop.delayMs);
    this.options.onResult?.({ route: loop.route, returned: true, excessMs });
    return 'returned';
  }

  /** Calls loops late and gives up on those that are overdue. To be called about once a second. */
  expire(nowMs: number): void {
    const stoodStill = this.#lookedMs !== undefined && nowMs - this.#lookedMs > STANDSTILL_MS;
    this.#lookedMs = nowMs;
    for (const loop of this.#inFlight.values()) {
      if (stoodStill && !loop.spared) {
        loop.lateFromMs = Math.max(loop.lateFromMs, nowMs + READING_MS);
        loop.spared = true; // once: a process that is always slow, for being flooded, still has to judge
      }
      if (nowMs >= loop.lateFromMs) this.#judge(loop, false, nowMs);
    }
    for (const [key, loop] of this.#inFlight) {
      if (nowMs - loop.sentMs < LOOP_GRACE_MS) break; // the rest is younger
      if (nowMs - loop.sentMs - loop.delayMs >= LOOP_GRACE_MS) this.#lose(key, loop, nowMs);
    }
  }

  /** Loops sent and neither back nor given up. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  #remember(recovery: Recovery, loop: InFlight): void {
    const [oldest] = this.#inFlight;
    if (this.#inFlight.size >= LOOPS_IN_FLIGHT && oldest !== undefined) this.#lose(...oldest, loop.sentMs);
    this.#inFlight.set(recovery.key, loop);
    this.counts.sent += 1;
  }

  #judge(loop: InFlight, inTime: boolean, nowMs: number): void {
    if (loop.judged) return;
    loop.judged = true;
    this.options.onJudged?.(inTime, nowMs);
  }

  #lose(key: GammaKey, loop: InFlight, nowMs: number): void {
    this.#inFlight.delete(key);
    this.#judge(loop, false, nowMs);
    this.counts.lost += 1;
    this.options.onResult?.({ route: loop.route, returned: false, excessMs: undefined });
  }
}

/**
 * The hops before the sender itself. Packets flow layer 1, 2, 3, gateway and (for this alone) gateway to layer 1; a
 * loop goes once around that ring, so a loop of a mix has three nodes before its own hop and so has one of a gateway.
 */
export function drawRoute(topology: Topology, origin: LoopOrigin, rng: Rng): NodeEntry[] | undefined {
  const ring = [...topology.layers, topology.gateways];
  const place = origin === 'gateway' ? 3 : origin - 1;
  const route: NodeEntry[] = [];
  for (let step = 1; step < ring.length; step++) {
    const node = pick(rng, ring[(place + step) % ring.length] ?? []);
    if (node === undefined) return undefined;
    route.push(node);
  }
  return route;
}
