/**
 * One client of a gateway, connected now or lately: what it may send, what waits for it, and how that is delivered.
 *
 * To a client that asks for it the gateway delivers by a clock (docs/PROTOCOL.md section 5.8): at each tick the packet that has
 * waited for longest, or padding. So the departures to it depend on the clock alone, and not on what exits send. To others
 * (requesters, and proxies in burst mode) packets go as they come.
 *
 * Beside this each client gets every new consensus (section 5.9): in place of padding, or else by a slow clock that runs while there is
 * one to hand on.
 * @module
 */
import { type AddressKey, addressKeyOf, type IdentityHex } from '../lib/core/bytes.ts';
import type { MemoryBudget } from '../lib/core/memory-budget.ts';
import type { MonotonicMs } from '../lib/core/units.ts';
import type { ClientInboundLink } from '../lib/link/index.ts';
import type { NodeDrop, TokenBucket } from '../lib/mixing/index.ts';
import type { NextHop } from '../lib/node/index.ts';
import { type ConsensusFrames, ConsensusProgress } from './consensus-frames.ts';
import { DeliveryClock, queueBound } from './delivery-clock.ts';
import { type MailboxSpace, PacketQueue } from './packet-queue.ts';
import { SendTally } from './send-tally.ts';

/** What a gateway grants a client; two of one kind share the numbers, not the bucket. */
export interface ClientRate {
  /** Packets per second that it may send, on average. */
  readonly packetsPerSecond: number;
  /** Packets that it may send at once. */
  readonly burst: number;
}

/** The clocks of a class, per second. */
export interface ClassRates {
  /** What a client of the class sends. */
  readonly uplink: number;
  /** What is delivered to it. */
  readonly delivery: number;
}

/** The part of a client's link that the registry needs. */
export type ClientPort = Pick<
  ClientInboundLink,
  'peer' | 'client' | 'send' | 'sendPadding' | 'sendConsensus' | 'queued' | 'close'
>;

/** What became of a tick: a packet, padding or a piece of a consensus went, or nothing because the socket is full or nothing is due. */
export type Tick = 'packet' | 'padding' | 'consensus' | 'skipped';

/** Takes what became of packets and ticks. */
export interface ClientEvents {
  /** A packet left or was dropped; each is reported once. */
  readonly onResult: (result: 'sent' | NodeDrop) => void;
  readonly onTick: (tick: Tick) => void;
}

/** A tick that finds so many frames unwritten sends nothing: a reader that is slow must not fill memory with padding. */
export const MAX_UNWRITTEN = 4;

/** A client whose link broke after so long keeps its seat for as long. */
export const SEAT_MS = 60_000;

/** Pieces of a consensus per second for a client without a delivery clock. */
export const HANDING_RATE = 5;

export class Client implements NextHop {
  readonly key: AddressKey;
  readonly queue: PacketQueue;
  #link: ClientPort | undefined;
  /** Of the class that it is delivered to by clock; undefined when packets go as they come. */
  #rates: ClassRates | undefined;
  #receivedMs: MonotonicMs;
  #connectedMs: MonotonicMs;
  /** While it is away: whether its seat is kept. */
  keepsSeat = false;
  /** The one that it has named. */
  trafficClass = '';
  #tally: SendTally | undefined;
  /** Of its class; or, for a client without one, that of the consensus that it is handed. */
  #clock: DeliveryClock | undefined;
  #progress: ConsensusProgress;
  /** Frames that it has sent over its link, less the pieces that it got: without a delivery clock these are paid for so. */
  #paid = 0;

  /** `goneMs` is when the link was lost; meaningless while there is one. */
  constructor(
    readonly id: IdentityHex,
    /** What it may send. */
    readonly bucket: TokenBucket,
    space: MailboxSpace,
    public goneMs: MonotonicMs,
    readonly mailboxPackets: number,
    readonly consensus: ConsensusFrames,
    readonly events: ClientEvents,
    memory?: MemoryBudget,
  ) {
    this.#progress = new ConsensusProgress(consensus);
    this.key = addressKeyOf(id);
    this.#receivedMs = goneMs;
    this.#connectedMs = goneMs;
    const account = memory?.account('deliveries', () => {
      for (const _packet of this.queue.take()) events.onResult('memory');
    });
    this.queue = new PacketQueue(space, mailboxPackets, account);
  }

  get link(): ClientPort | undefined {
    return this.#link;
  }

  /** Frames per second that its clock makes; 0 without one. */
  get deliveryRate(): number {
    return this.#link === undefined ? 0 : (this.#rates?.delivery ?? 0);
  }

  /** When its clock ticks next: only while `isTicking`. */
  get dueMs(): MonotonicMs {
    return (this.#clock as DeliveryClock).dueMs;
  }

  get isTicking(): boolean {
    return this.#clock !== undefined;
  }

  /** Sends a packet on, or lets it wait for its tick, or for the client's return. */
  send(packet: Uint8Array, nowMs: MonotonicMs): void {
    if (this.#link !== undefined && this.#rates === undefined) this.events.onResult(this.#link.send(packet));
    else if (this.queue.push(packet, nowMs) > 0) this.events.onResult(this.#link ? 'delivery-full' : 'mailbox-full');
  }

  /** How long ago it has sent anything, or connected. */
  silentMs(nowMs: MonotonicMs): number {
    return nowMs - this.#receivedMs;
  }

  /** Its new link. `rates`: of its class, when it is to be delivered to by clock. The clock starts when it has sent enough. */
  connect(link: ClientPort, rates: ClassRates | undefined, nowMs: MonotonicMs): void {
    this.#link = link;
    this.trafficClass = link.client.trafficClass;
    this.#connectedMs = nowMs;
    this.#receivedMs = nowMs;
    this.#rates = rates;
    this.#clock = undefined;
    this.#progress = new ConsensusProgress(this.consensus);
    this.#paid = 0;
    this.#tally = rates && new SendTally(rates.uplink, nowMs);
    this.queue.leaveMailbox();
    this.#report(this.queue.setBound(rates === undefined ? this.mailboxPackets : queueBound(rates.delivery)));
    if (rates === undefined) for (const packet of this.queue.take()) this.send(packet, nowMs);
  }

  /** Its link is gone. What waits goes on waiting. `broke`: nobody has ended it. */
  disconnect(nowMs: MonotonicMs, broke: boolean): void {
    this.keepsSeat = broke && nowMs - this.#connectedMs >= SEAT_MS;
    this.#link = undefined;
    this.#clock = undefined;
    this.#tally = undefined;
    this.goneMs = nowMs;
    this.#report(this.queue.becomeMailbox());
  }

  /** A frame has come from it. Whether that starts its clock; `phase` (0 to 1) says when that ticks first. */
  received(nowMs: MonotonicMs, phase: () => number): boolean {
    this.#receivedMs = nowMs;
    this.#paid += 1;
    this.#tally?.count(nowMs);
    if (this.#rates === undefined || this.#clock !== undefined || !this.#tally?.hasBegun(nowMs)) return false;
    this.#clock = new DeliveryClock(this.#rates.delivery, phase(), nowMs);
    return true;
  }

  /** Without a delivery clock: whether one starts now for a consensus that it has not got. `phase` as above. */
  startHanding(nowMs: MonotonicMs, phase: () => number): boolean {
    if (this.#link === undefined || this.#rates !== undefined || this.#clock !== undefined) return false;
    if (this.#progress.next() === undefined) return false;
    this.#clock = new DeliveryClock(HANDING_RATE, phase(), nowMs);
    return true;
  }

  /** Whether it sends too little for what is delivered to it. To be asked about once a second. */
  isSilent(nowMs: MonotonicMs): boolean {
    return this.#tally?.isSilent(nowMs) === true;
  }

  /** Nobody could look for a while: what it sent in that time is not known. */
  restartTally(nowMs: MonotonicMs): void {
    this.#receivedMs = nowMs;
    this.#tally?.restart(nowMs);
  }

  /** The consensus has other rates for its class. */
  setRates(rates: ClassRates, nowMs: MonotonicMs): void {
    if (this.#rates === undefined || (rates.delivery === this.#rates.delivery && rates.uplink === this.#rates.uplink))
      return;
    this.#rates = rates;
    this.#tally = this.#tally && new SendTally(rates.uplink, nowMs);
    this.#clock?.setRate(rates.delivery, nowMs);
    this.#report(this.queue.setBound(queueBound(rates.delivery)));
  }

  /** Serves the ticks of its clock that are due. */
  tick(nowMs: MonotonicMs): void {
    const ticks = this.#clock?.ticks(nowMs) ?? 0;
    const isFull = this.#link === undefined || this.#link.queued() >= MAX_UNWRITTEN;
    for (let i = 0; i < ticks; i++) this.events.onTick(isFull ? 'skipped' : this.#deliver());
    if (this.#rates === undefined && this.#progress.next() === undefined) this.#clock = undefined;
  }

  #deliver(): Tick {
    if (this.#rates === undefined) return this.#paid > 0 && this.#handOn() ? 'consensus' : 'skipped';
    const packet = this.queue.shift();
    if (packet === undefined) {
      if (this.#handOn()) return 'consensus';
      this.#link?.sendPadding();
      return 'padding';
    }
    this.events.onResult(this.#link?.send(packet) ?? 'link-down');
    return 'packet';
  }

  #handOn(): boolean {
    const frame = this.#progress.next();
    if (frame === undefined || this.#link?.sendConsensus(frame) !== 'sent') return false;
    this.#progress.advance();
    this.#paid -= 1;
    return true;
  }

  #report(gone: number): void {
    for (let i = 0; i < gone; i++) this.events.onResult(this.#link ? 'delivery-full' : 'mailbox-full');
  }
}
