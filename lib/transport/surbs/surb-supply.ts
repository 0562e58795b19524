/**
 * The proxy's control of the reply blocks at the requester: a base-stock rule on absolute figures.
 *
 * Every reply carries the requester's cumulative counters; they merge by maximum, so lost and reordered replies do no
 * harm, and errors never add up. Position = held at the requester, by its own account, plus the share of what is
 * under way that will arrive. Whatever the position lacks to the target is created, as far as slots allow.
 *
 * The return path may be dead, and then no account comes: after a silence of one loss threshold the position sinks
 * by a low rate, so that a requester which is back finds a few blocks to answer with.
 *
 * The account is the requester's word. It may say when blocks are needed, and not how many: what is made is bounded by
 * the client's own figures (making-bound.ts), and so is what is made and not settled (surb-ledger.ts).
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';
import { RESERVED_SURBS } from '../limits.ts';
import type { Downlink, SurbSupplyStats } from '../types.ts';
import { MakingBound } from './making-bound.ts';
import type { OwnPath } from './surb-ledger.ts';

/** The requester's cumulative counters, as every reply carries them. */
export interface SurbAccount {
  readonly received: number;
  readonly used: number;
  readonly expired: number;
  readonly evicted: number;
  /** Bytes that wait at the requester. */
  readonly demandBytes: number;
}

/** Blocks that a packet should carry. */
export interface Wanted {
  /** Before data. */
  readonly first: number;
  /** In what data leaves free. */
  readonly after: number;
  /** Whether they are reason enough for a packet. */
  readonly worthPacket: boolean;
  /** The requester will soon have no block to answer with: blocks before everything. */
  readonly critical: boolean;
}

export const NOTHING_WANTED: Wanted = { first: 0, after: 0, worthPacket: false, critical: false };

export interface SupplyOptions {
  readonly downlink: Downlink;
  readonly payloadBytes: number;
  readonly blocksPerPacket: number;
  mainRatePerSecond: number;
  replyRatePerSecond: number;
  readonly surbLifeMs: number;
  readonly ownPath: () => OwnPath;
}

/** What the supply must know to decide for a packet. */
export interface SupplyView {
  /** Share of packets that are not lost. */
  readonly arriveShare: number;
  readonly roundMs: number;
  readonly streamsOpen: boolean;
  readonly uploading: boolean;
  /** Blocks that were made and are not settled. */
  readonly outstanding: number;
}

/** Supply for this long beyond a round trip: rides out lost packets, late slots and a moment of other use. */
const TARGET_MARGIN_MS = 1000;
/** Below this much beyond a round trip, blocks go before data. */
const FLOOR_MARGIN_MS = 250;
/** What an idle session keeps, so that a stream starts at once. */
const LEAST_TARGET = 64;
const LEAST_FLOOR = 24;
/** Class fast in burst mode needs 6,000 at a mean delay of 200 ms. The stock at the other end holds more. */
const MAX_TARGET = 7000;
/** Blocks alone are worth a packet of their own only by this many packets: each costs a block to acknowledge. */
const WORTH_PACKETS = 2;
/** Burst: for how long after the last bytes the high target is kept. */
const DEMAND_MEMORY_MS = 2000;
/** Blocks per second for a requester that is silent: at first, and later. In burst mode only while streams are open. */
const SILENT_RATE = 20;
const LONG_SILENT_RATE = 2;
const LONG_SILENCE_MS = 5_000;
/** Blocks that are not settled, in targets: those at the requester, on their way, and missing ones that are waited for. */
const WINDOW_TARGETS = 4;
/** Loss of own loops over this time tells how many blocks must be made. */
const LOSS_WINDOW_MS = 30_000;
/** Blocks this close to their end are not counted on. */
const LIFE_MARGIN_SHARE = 1 / 8;
const AGE_BUCKETS = 32;

export class SurbSupply {
  #created = 0;
  #inFlight = 0;
  #received = 0;
  #used = 0;
  #expired = 0;
  #evicted = 0;
  #accountMs: number;
  #demandMs = Number.NEGATIVE_INFINITY;
  /** What may be created in silence. */
  #bucket = Number.POSITIVE_INFINITY;
  #isSilent = false;
  #bucketMs: number;
  readonly #bound: MakingBound;
  /** Blocks created in the latest slices of their life, to know how many can be alive at all. */
  readonly #ages = new Array<number>(AGE_BUCKETS).fill(0);
  #ageSlice = 0;
  generation = 0;

  constructor(
    private readonly options: SupplyOptions,
    nowMs: MonotonicMs,
  ) {
    this.#accountMs = nowMs;
    this.#bucketMs = nowMs;
    this.#bound = new MakingBound(nowMs);
    this.#bound.setTarget(LEAST_TARGET);
    this.#ageSlice = this.#sliceAt(nowMs);
  }

  setReplyRate(perSecond: number): void {
    this.options.replyRatePerSecond = perSecond;
  }

  setMainRate(perSecond: number): void {
    this.options.mainRatePerSecond = perSecond;
  }

  /** Takes the account of a reply. */
  onAccount(account: SurbAccount, nowMs: MonotonicMs): void {
    this.#received = Math.max(this.#received, account.received);
    this.#used = Math.max(this.#used, account.used);
    this.#expired = Math.max(this.#expired, account.expired);
    this.#evicted = Math.max(this.#evicted, account.evicted);
    if (account.demandBytes > 0) this.#demandMs = nowMs;
    this.#accountMs = nowMs;
  }

  /** Whether the account claims more than was ever created. */
  lies(account: SurbAccount): boolean {
    return account.received > this.#created || account.used + account.expired + account.evicted > account.received;
  }

  onCreated(count: number, nowMs: MonotonicMs): void {
    this.#created += count;
    this.#inFlight += count;
    if (this.#isSilent) this.#bucket = Math.max(0, this.#bucket - count);
    this.#bound.spend(count);
    this.#advanceAges(nowMs);
    const slice = this.#ageSlice % AGE_BUCKETS;
    this.#ages[slice] = (this.#ages[slice] ?? 0) + count;
  }

  /** The packet with these blocks was acknowledged (then the account has them), or is overdue. */
  onSettled(count: number): void {
    this.#inFlight -= count;
  }

  /** All blocks made so far have become worthless. */
  invalidate(): void {
    this.generation++;
    this.#ages.fill(0);
    this.#demandMs = Number.NEGATIVE_INFINITY;
  }

  get target(): number {
    return this.#target;
  }

  #target = LEAST_TARGET;
  #floor = LEAST_FLOOR;

  /** Sets floor and target from the round trip and the demand. */
  aim(roundMs: number, nowMs: MonotonicMs): void {
    const { downlink, replyRatePerSecond, mainRatePerSecond, blocksPerPacket } = this.options;
    const steady = downlink === 'steady';
    const demand = nowMs - this.#demandMs < DEMAND_MEMORY_MS;
    const rate = steady ? replyRatePerSecond : demand ? mainRatePerSecond * blocksPerPacket : 0;
    const target = (rate * (roundMs + TARGET_MARGIN_MS)) / 1000 + RESERVED_SURBS;
    const floor = (rate * (roundMs + FLOOR_MARGIN_MS)) / 1000 + RESERVED_SURBS;
    this.#target = Math.ceil(Math.min(MAX_TARGET, Math.max(LEAST_TARGET, target)));
    this.#floor = Math.ceil(Math.min(MAX_TARGET / 2, Math.max(LEAST_FLOOR, floor)));
    this.#bound.setTarget(this.#target);
    this.#fillBound(steady ? replyRatePerSecond : mainRatePerSecond * blocksPerPacket, nowMs);
  }

  /** `perSecond`: replies that the session may have. In burst mode that is what its packets can carry. */
  #fillBound(perSecond: number, nowMs: MonotonicMs): void {
    const ownPath = this.options.ownPath();
    const { seen, lost } = ownPath.loops(LOSS_WINDOW_MS);
    this.#bound.fill(perSecond, seen === 0 ? 0 : lost / seen, ownPath.usableShare, nowMs);
  }

  /** Blocks that are at the requester or will be. `arriveShare`: share of packets that are not lost. */
  position(arriveShare: number, roundMs: number, streamsOpen: boolean, nowMs: MonotonicMs): number {
    const held = this.#received - this.#used - this.#expired - this.#evicted;
    const silentMs = Math.max(0, nowMs - this.#accountMs - roundMs);
    const known = Math.max(0, held - this.#usedInSilence(silentMs, streamsOpen));
    this.#advanceAges(nowMs);
    let alive = 0;
    for (const count of this.#ages) alive += count;
    return Math.min(known + this.#inFlight * arriveShare, alive);
  }

  #silentRate(streamsOpen: boolean, silentMs: number): number {
    const rate = silentMs > LONG_SILENCE_MS ? LONG_SILENT_RATE : SILENT_RATE;
    if (this.options.downlink === 'steady') return Math.min(rate, this.options.replyRatePerSecond);
    return streamsOpen ? rate : 0;
  }

  #usedInSilence(silentMs: number, streamsOpen: boolean): number {
    const firstMs = Math.min(silentMs, LONG_SILENCE_MS);
    const first = firstMs * this.#silentRate(streamsOpen, 0);
    return (first + (silentMs - firstMs) * this.#silentRate(streamsOpen, Number.POSITIVE_INFINITY)) / 1000;
  }

  /** Blocks that the next packet should carry, before data (`first`) and after it (`then`). */
  wanted(view: SupplyView, nowMs: MonotonicMs): Wanted {
    const position = this.position(view.arriveShare, view.roundMs, view.streamsOpen, nowMs);
    const perPacket = this.options.blocksPerPacket;
    const lacking = Math.min(this.#target - position, this.#bound.allowance, this.#allowance(view, nowMs));
    if (lacking < 1) return NOTHING_WANTED;
    const amount = Math.min(perPacket, Math.ceil(lacking));
    const urgent = position < this.#floor;
    const first = urgent ? amount : view.uploading ? 1 : 0;
    return {
      first,
      after: amount - first,
      worthPacket: urgent || lacking >= WORTH_PACKETS * perPacket,
      critical: position < LEAST_FLOOR,
    };
  }

  /**
   * Up to a window of blocks that are not settled. While nothing is received nothing is settled either: then what the
   * requester may be using, and one target once in a session.
   */
  #allowance(view: SupplyView, nowMs: MonotonicMs): number {
    const silentMs = nowMs - this.#accountMs - view.roundMs;
    this.#isSilent = silentMs > 0;
    if (!this.#isSilent) return WINDOW_TARGETS * this.#target + LEAST_TARGET - view.outstanding;
    // Blocks that nobody uses still run out of time.
    const rate = Math.max(this.#silentRate(view.streamsOpen, silentMs), (LEAST_TARGET * 1000) / this.#countedLifeMs);
    const earned = (Math.min(silentMs, nowMs - this.#bucketMs) * rate) / 1000;
    this.#bucket = Math.min(this.#target, this.#bucket + earned);
    this.#bucketMs = nowMs;
    return this.#bucket;
  }

  #sliceAt(nowMs: MonotonicMs): number {
    return Math.floor((nowMs * AGE_BUCKETS) / this.#countedLifeMs);
  }

  get #countedLifeMs(): number {
    return this.options.surbLifeMs * (1 - LIFE_MARGIN_SHARE);
  }

  #advanceAges(nowMs: MonotonicMs): void {
    const slice = this.#sliceAt(nowMs);
    const steps = Math.min(AGE_BUCKETS, slice - this.#ageSlice);
    for (let i = 1; i <= steps; i++) this.#ages[(this.#ageSlice + i) % AGE_BUCKETS] = 0;
    if (slice > this.#ageSlice) this.#ageSlice = slice;
  }

  stats(position: number): SurbSupplyStats {
    return {
      created: this.#created,
      inFlight: this.#inFlight,
      received: this.#received,
      used: this.#used,
      expired: this.#expired,
      evicted: this.#evicted,
      position,
      target: this.#target,
      floor: this.#floor,
    };
  }
}
