/**
 * The proxy's own ledger of a session's reply blocks. A requester that keeps blocks back can send them all at once later, and
 * so write a pattern onto the link of its user. What it says about its blocks proves nothing. What came back does: each reply
 * comes over a block that only the requester had.
 *
 * A block is missing when later ones came back and the time of the delay law has passed (the endpoint settles that). Some
 * are always missing, since both ways lose packets. The client's own loops tell how many: each way loses at most about what
 * they lose. A requester is accused when, over one of the last windows,
 *
 * - the share of missing blocks exceeds twice the loss of own loops by 20 points or more,
 * - chance explains that with a probability below 10^-12 (Hoeffding 1963, theorem 2; blocks of one packet are lost together),
 * - and more are missing than a requester loses that is cut off from the network for a minute.
 *
 * A requester may avoid a minority of the mixes of layer 1 by its own finding, which nobody else can check. So the worst
 * minority of first hops is left out.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';

/**
 * What became of a reply block. `late`: it came back after it had counted as missing. `forgotten`: nothing can be said, since
 * its life ended, or the own link or gateway changed.
 */
export type BlockFate = 'returned' | 'missing' | 'late' | 'forgotten';

export interface SettledBlock {
  readonly fate: BlockFate;
  /** Names the first hop of its reply; undefined when the block's way led over a node that the client itself avoids. */
  readonly firstHop: string | undefined;
}

/** What a client knows of its ways by itself. */
export interface OwnPath {
  /** Its loops that were decided within the last `windowMs`. */
  loops(windowMs: number): { readonly seen: number; readonly lost: number };
  /** Share of reply blocks on whose way lies no node that it avoids itself: the others do not come back. */
  readonly usableShare: number;
  /** Of the first hops that it does not avoid, so many may be avoided by a requester. */
  readonly avoidableFirstHops: number;
}

interface Tally {
  seen: number;
  missing: number;
}

interface Slice {
  readonly beginsMs: number;
  readonly byFirstHop: Map<string, Tally>;
  /** The largest target of the supply in it. */
  target: number;
}

const SLICE_MS = 10_000;
/** Windows are the last slice, the last two, and so on. */
export const LEDGER_SLICES = 12;
/** Loops are also counted over these times: a block waits between its two ways. */
export const LOOP_WINDOWS_MS: readonly number[] = [60_000, 283_000];
/** A requester may lose so much more than own loops explain. */
export const TOLERATED_EXCESS = 0.2;
/** Nats of evidence: chance below 10^-12 for each look. */
const EVIDENCE_NATS = Math.log(1e12);
/** Missing blocks beyond the expected ones that are never an accusation: what is lost when a requester is cut off for a minute. */
const SPARED_TARGETS = 4;
const SPARED_BLOCKS = 500;
/** It is judged this often at most. */
const JUDGE_EVERY_MS = 1_000;
/** Quantile 0.999 of the normal distribution, squared. */
const Z_SQUARED = 9.55;

export class SurbLedger {
  #slices: Slice[] = [];
  #outstanding = 0;
  #judgedMs = Number.NEGATIVE_INFINITY;

  constructor(readonly blocksPerPacket: number) {}

  /** Blocks that were made and are not settled: the requester may hold them all. */
  get outstanding(): number {
    return this.#outstanding;
  }

  made(count: number): void {
    this.#outstanding += count;
  }

  settled({ fate, firstHop }: SettledBlock, target: number, nowMs: MonotonicMs): void {
    if (fate !== 'late') this.#outstanding = Math.max(0, this.#outstanding - 1);
    if (fate === 'forgotten' || firstHop === undefined) return;
    const slice = this.#sliceAt(nowMs);
    slice.target = Math.max(slice.target, target);
    const tally = slice.byFirstHop.get(firstHop) ?? { seen: 0, missing: 0 };
    slice.byFirstHop.set(firstHop, tally);
    if (fate !== 'late') tally.seen += 1;
    if (fate === 'missing') tally.missing += 1;
    if (fate === 'late') tally.missing -= 1;
  }

  /** All blocks made so far have become worthless. */
  reset(): void {
    this.#slices = [];
    this.#outstanding = 0;
  }

  /** Whether the requester keeps blocks back. To be asked whenever one was missed. */
  accuses(own: OwnPath, nowMs: MonotonicMs): boolean {
    if (nowMs - this.#judgedMs < JUDGE_EVERY_MS) return false;
    this.#judgedMs = nowMs;
    this.#sliceAt(nowMs);
    const sums = new Map<string, Tally>();
    let target = 0;
    for (let i = this.#slices.length - 1; i >= 0; i--) {
      const slice = this.#slices[i] as Slice;
      addTo(sums, slice.byFirstHop);
      target = Math.max(target, slice.target);
      const windowMs = nowMs - slice.beginsMs;
      if (this.#exceeds(withoutWorst(sums, own.avoidableFirstHops), expectedShare(own, windowMs), target)) return true;
    }
    return false;
  }

  #exceeds({ seen, missing }: Tally, expected: number, target: number): boolean {
    const share = missing / seen;
    if (!(share - expected >= TOLERATED_EXCESS)) return false;
    if (missing - expected * seen < SPARED_TARGETS * target + SPARED_BLOCKS) return false;
    return (2 * seen * (share - expected) ** 2) / this.blocksPerPacket >= EVIDENCE_NATS;
  }

  #sliceAt(nowMs: MonotonicMs): Slice {
    const latest = this.#slices.at(-1);
    if (latest !== undefined && nowMs - latest.beginsMs < SLICE_MS) return latest;
    const slice: Slice = { beginsMs: nowMs, byFirstHop: new Map(), target: 0 };
    this.#slices.push(slice);
    const oldestMs = nowMs - LEDGER_SLICES * SLICE_MS;
    this.#slices = this.#slices.filter(({ beginsMs }) => beginsMs > oldestMs);
    return slice;
  }
}

function addTo(sums: Map<string, Tally>, more: ReadonlyMap<string, Tally>): void {
  for (const [hop, { seen, missing }] of more) {
    const sum = sums.get(hop) ?? { seen: 0, missing: 0 };
    sums.set(hop, sum);
    sum.seen += seen;
    sum.missing += missing;
  }
}

/** The sum over all first hops but the `count` worst. */
function withoutWorst(sums: ReadonlyMap<string, Tally>, count: number): Tally {
  const rest = [...sums.values()].sort((a, b) => b.missing - a.missing).slice(count);
  const sum = { seen: 0, missing: 0 };
  for (const { seen, missing } of rest) {
    sum.seen += seen;
    sum.missing += missing;
  }
  return sum;
}

/** What both ways lose together at most, when each loses as own loops do; 1 without loops. */
function expectedShare(own: OwnPath, windowMs: number): number {
  let worst = 0;
  for (const ms of [windowMs, ...LOOP_WINDOWS_MS]) worst = Math.max(worst, upperShare(own.loops(ms)));
  return Math.min(1, 2 * worst);
}

/** A share that the true one exceeds with probability 0.001 (Wilson 1927): few loops prove little. */
function upperShare({ seen, lost }: { readonly seen: number; readonly lost: number }): number {
  if (seen === 0) return 1;
  const share = lost / seen;
  const centre = share + Z_SQUARED / (2 * seen);
  const spread = Math.sqrt(Z_SQUARED * ((share * (1 - share)) / seen + Z_SQUARED / (4 * seen * seen)));
  return (centre + spread) / (1 + Z_SQUARED / seen);
}
