/**
 * The requester's end of a session: a pure machine that reads the proxy's packets and fills replies.
 *
 * A reply costs a block. The last RESERVED_SURBS are kept for what the session cannot do without: ACK, MAX_*, OPENED,
 * REFUSED, RESET, CLOSE. In steady mode replies leave with a clock, which the caller runs at `replyRatePerSecond`; in
 * burst mode `nextReply` gives them as fast as the pacer lets it.
 * @module
 */
import type { Rng } from '../rng.ts';
import { FRAME, type Frame } from './frames.ts';
import {
  ACCEPT_TABLE_FACTOR,
  MAX_NUMBER_RANGES,
  PROXY_ACK_DELAY_MS,
  REQUESTER_ACK_DELAY_MS,
  RESERVED_SURBS,
} from './limits.ts';
import { Pacer } from './pacer.ts';
import { NOBODY } from './packet-builder.ts';
import { beginDownlink, UNNUMBERED, type Uplink } from './payload.ts';
import { RangeSet } from './ranges.ts';
import { closeNumber, streamCodeOf, streamKind } from './reasons.ts';
import type { SentPacket } from './sent-packets.ts';
import type { Stream } from './stream.ts';
import { SurbStock } from './surb-stock.ts';
import type { SurbAccount } from './surb-supply.ts';
import { MAX_AWAKE_STEP_MS, Transport, type TransportEnd } from './transport.ts';
import type {
  AcceptHandler,
  CloseReason,
  DelayLaw,
  Downlink,
  Reply,
  SessionLimits,
  SessionStats,
  SurbStockStats,
} from './types.ts';

export interface RequesterSessionOptions {
  readonly key: string;
  readonly rng: Rng;
  readonly payloadBytes: number;
  readonly delay: DelayLaw;
  readonly limits: SessionLimits;
  readonly accept: AcceptHandler;
  /** Whether a reply over this block has a chance, as far as its first hop tells. */
  readonly surbUsable?: (surb372: Uint8Array) => boolean;
  /** Called first of all when the session ends. */
  readonly onEnd: (reason: CloseReason, nowMs: number) => void;
  /** Takes a CLOSE to send when the session is already gone. */
  readonly sayGoodbye: (reply: Reply) => void;
}

/** Mean gap of the proxy's slots, as long as nothing better is known: the slower of the two classes. */
const ASSUMED_SLOT_GAP_MS = 20;
/** A reply block with its share of the packet that it came in. */
const HELD_SURB_BYTES = 448;
const FIRST_BURST_PER_SECOND = 100;
/** A goodbye is said this often at once, since replies get lost. */
const GOODBYES = 2;

export class RequesterSession implements TransportEnd {
  /** Session id as latin-1 text: a map key, and nothing to be logged. */
  readonly key: string;
  readonly #options: RequesterSessionOptions;
  readonly #transport: Transport;
  readonly #stock: SurbStock;
  readonly #pacer: Pacer;
  /** Ids of all streams there ever were: an id is never used again. */
  readonly #seenStreams = new RangeSet();
  #milliPerSecond = 0;
  #ratePacket = -1;
  #closed = false;
  #contentCallback: () => void = () => {};
  #rateCallback: () => void = () => {};
  #closedCallback: (reason: CloseReason) => void = () => {};

  constructor(options: RequesterSessionOptions, nowMs: number) {
    this.#options = options;
    this.key = options.key;
    this.#transport = new Transport(
      {
        rng: options.rng,
        delay: options.delay,
        payloadBytes: options.payloadBytes,
        slotGapMs: ASSUMED_SLOT_GAP_MS,
        ackDelayMs: REQUESTER_ACK_DELAY_MS,
        peerAckDelayMs: PROXY_ACK_DELAY_MS,
        limits: options.limits,
      },
      this,
      nowMs,
    );
    this.#stock = new SurbStock(options.limits.maxStockSurbs, options.surbUsable);
    this.#pacer = new Pacer(FIRST_BURST_PER_SECOND, nowMs);
  }

  get downlink(): Downlink {
    return this.#milliPerSecond === 0 ? 'burst' : 'steady';
  }

  /** Replies per second that the proxy asked for; 0 in burst mode. */
  get replyRatePerSecond(): number {
    return this.#milliPerSecond / 1000;
  }

  get closed(): boolean {
    return this.#closed;
  }

  hasContent(nowMs: number): boolean {
    this.#enter(nowMs);
    return this.#isWorthReply(nowMs);
  }

  /**
   * A reply that carries something, if there is any and a reply block for it. In burst mode paced: ask again at
   * `nextDeadlineMs`. Every reply returned must be sent.
   */
  nextReply(nowMs: number): Reply | undefined {
    this.#enter(nowMs);
    if (!this.#isWorthReply(nowMs)) return undefined;
    const withData = this.#maySendData(nowMs);
    const surb372 = this.#stock.take(nowMs);
    if (surb372 === undefined) return undefined;
    const number = this.#transport.takeNumber();
    const builder = beginDownlink(this.#options.payloadBytes, number, this.#account());
    this.#transport.writeAck(builder, nowMs);
    this.#transport.writeControl(builder);
    if (withData) this.#transport.writeData(builder);
    const paceRound = this.downlink === 'burst' ? this.#pacer.onSent(nowMs) : 0;
    this.#transport.finish(builder, number, nowMs, paceRound);
    return { surb372, plaintext: builder.bytes };
  }

  /**
   * A reply that only fills a slot of the steady clock; undefined when only the reserve is left. It may be made ahead
   * of its slot, so an ACK in it is a repetition and settles nothing.
   */
  dummyReply(nowMs: number): Reply | undefined {
    this.#enter(nowMs);
    if (this.#closed || this.#stock.held(nowMs) <= RESERVED_SURBS) return undefined;
    const surb372 = this.#stock.take(nowMs);
    if (surb372 === undefined) return undefined;
    const builder = beginDownlink(this.#options.payloadBytes, UNNUMBERED, this.#account());
    this.#transport.repeatAck(builder);
    return { surb372, plaintext: builder.bytes };
  }

  /** Takes a packet of the proxy, decoded. */
  receive(packet: Uplink, nowMs: number): void {
    this.#enter(nowMs);
    if (this.#closed) return;
    if (packet.number === UNNUMBERED) this.#transport.onUnnumbered(packet.frames, nowMs);
    else if (!this.#transport.isDuplicate(packet.number)) {
      this.#transport.onFrames(packet.number, packet.frames, () => !this.#closed, nowMs);
    }
    if (!this.#closed) this.onWake(nowMs);
  }

  nextDeadlineMs(): number {
    if (this.#closed) return Number.POSITIVE_INFINITY;
    const transport = this.#transport;
    const idleMs =
      transport.nowMs + Math.min(MAX_AWAKE_STEP_MS, Math.max(1, transport.limits.idleMs - transport.silentMs));
    const paceMs = this.#paceDeadlineMs();
    return Math.min(idleMs, paceMs, transport.nextDeadlineMs);
  }

  tick(nowMs: number): void {
    this.#enter(nowMs);
    if (this.#closed) return;
    if (this.#transport.silentMs >= this.#transport.limits.idleMs) this.close('idle', nowMs);
    else this.onWake(nowMs);
  }

  /** Ends the session: streams are reset, the proxy is told as far as there are reply blocks. */
  close(reason: CloseReason, nowMs: number): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onEnd(reason, nowMs);
    this.#transport.streams.close(streamCodeOf(reason));
    for (let i = 0; i < GOODBYES; i++) {
      const surb372 = this.#stock.take(nowMs);
      if (surb372 === undefined) break;
      const number = this.#transport.takeNumber();
      const builder = beginDownlink(this.#options.payloadBytes, number, this.#account());
      builder.close(NOBODY, closeNumber(reason));
      this.#options.sayGoodbye({ surb372, plaintext: builder.bytes });
    }
    this.#stock.clear();
    this.#closedCallback(reason);
  }

  onContent(callback: () => void): void {
    this.#contentCallback = callback;
  }

  /** The proxy asked for another rate or downlink. */
  onRate(callback: () => void): void {
    this.#rateCallback = callback;
  }

  onClosed(callback: (reason: CloseReason) => void): void {
    this.#closedCallback = callback;
  }

  /** Memory that the proxy makes us keep: unread bytes and reply blocks. */
  get heldBytes(): number {
    return this.#transport.streams.unreadBytes + this.#stock.stats().held * HELD_SURB_BYTES;
  }

  stats(): SessionStats {
    return this.#transport.stats();
  }

  surbStats(): SurbStockStats {
    return this.#stock.stats();
  }

  // ---- making replies

  #enter(nowMs: number): void {
    this.#transport.advance(nowMs);
    if (this.#closed) return;
    this.#transport.detectLosses(nowMs);
    if (this.downlink === 'burst') this.#pacer.advance(this.#transport.clock.srttMs, nowMs);
  }

  #isWorthReply(nowMs: number): boolean {
    if (this.#closed || this.#stock.held(nowMs) === 0) return false;
    return this.#transport.owesControl(nowMs) || this.#maySendData(nowMs) || this.#mayRepeat(nowMs);
  }

  /** A slot of the steady clock leaves anyway: a free one may repeat what is overdue. */
  #mayRepeat(nowMs: number): boolean {
    if (this.downlink === 'burst' || this.#stock.held(nowMs) <= RESERVED_SURBS) return false;
    return this.#transport.repeatsAck(nowMs) || this.#transport.repeatEarly(nowMs);
  }

  #maySendData(nowMs: number): boolean {
    if (this.#stock.held(nowMs) <= RESERVED_SURBS || !this.#transport.canSendData) return false;
    return this.downlink === 'steady' || this.#pacer.nextMs(nowMs) <= nowMs;
  }

  /** When the pacer lets the next bytes go, if it is the pacer that holds them back. */
  #paceDeadlineMs(): number {
    const nowMs = this.#transport.nowMs;
    if (this.downlink === 'steady' || this.#stock.held(nowMs) <= RESERVED_SURBS || !this.#transport.canSendData) {
      return Number.POSITIVE_INFINITY;
    }
    const atMs = this.#pacer.nextMs(nowMs);
    return atMs > nowMs ? atMs : Number.POSITIVE_INFINITY;
  }

  #account(): SurbAccount {
    const { received, used, expired, evicted } = this.#stock;
    return { received, used, expired, evicted, demandBytes: this.#transport.streams.queuedBytes };
  }

  // ---- what the engine reports

  onFrame(frame: Frame, packetNumber: number, nowMs: number): boolean {
    switch (frame.type) {
      case FRAME.HELLO:
        this.#transport.streams.setPeerWindows(frame.sessionWindow, frame.streamWindow);
        return true;
      case FRAME.OPEN:
        return this.#onOpen(frame, nowMs);
      case FRAME.SURBS:
        this.#stock.add(frame.generation, frame.lifeMs, frame.blocks, nowMs);
        return true;
      case FRAME.RATE:
        this.#onRateFrame(frame.milliPerSecond, packetNumber);
        return true;
      case FRAME.CLOSE:
        this.close('done', nowMs);
        return true;
      default:
        return false;
    }
  }

  #onOpen(frame: Extract<Frame, { type: typeof FRAME.OPEN }>, nowMs: number): boolean {
    const stream = this.#transport.streams.get(frame.stream) ?? this.onUnknownStream(frame.stream, nowMs);
    if (stream === 'violation') return false;
    if (stream === 'gone' || !stream.acceptable) return true;
    const kind = streamKind(frame.kind);
    if (kind === undefined) stream.refuse('COMMAND', nowMs);
    else if (this.#transport.streams.size > this.#maxStreams) stream.refuse('LIMIT', nowMs);
    else stream.attach(this.#options.accept(stream, kind, frame.host, frame.port, this.key), nowMs);
    return true;
  }

  get #maxStreams(): number {
    return this.#transport.limits.maxStreams * ACCEPT_TABLE_FACTOR;
  }

  /** Rates reorder like everything: the packet with the highest number has the last word. */
  #onRateFrame(milliPerSecond: number, packetNumber: number): void {
    if (packetNumber <= this.#ratePacket) return;
    this.#ratePacket = packetNumber;
    if (milliPerSecond === this.#milliPerSecond) return;
    this.#milliPerSecond = milliPerSecond;
    this.#rateCallback();
  }

  /** A stream that has not been seen: its bytes overtook its OPEN. */
  onUnknownStream(id: number, nowMs: number): Stream | 'gone' | 'violation' {
    if (this.#seenStreams.has(id)) return 'gone';
    // Refusing needs an entry too; a peer that fills twice the table breaks the rules.
    if (this.#transport.streams.size >= 2 * this.#maxStreams) return 'violation';
    this.#seenStreams.add(id, id + 1);
    if (this.#seenStreams.count > MAX_NUMBER_RANGES) return 'violation';
    return this.#transport.streams.open(id, nowMs);
  }

  onStreamEnded(): void {}

  onPacketAcked(packet: SentPacket): void {
    if (this.downlink === 'burst') this.#pacer.onAcked(packet.paceRound);
  }

  onPacketLost(packet: SentPacket): void {
    if (this.downlink === 'burst') this.#pacer.onLost(packet.paceRound);
  }

  onSurbsSettled(): void {}

  onWake(nowMs: number): void {
    if (this.#isWorthReply(nowMs)) this.#contentCallback();
  }

  onViolation(_what: string, nowMs: number): void {
    this.close('protocol', nowMs);
  }
}
