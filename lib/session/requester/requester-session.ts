/**
 * The requester's end of a session: a pure machine that reads the proxy's packets and fills replies.
 *
 * A reply costs a block. The last RESERVED_SURBS are kept for what the session cannot do without: ACK, MAX_*, OPENED,
 * REFUSED, RESET, CLOSE. In steady mode replies leave with a clock, which the caller runs at `replyRatePerSecond`; in
 * burst mode `nextReply` gives them as fast as the pacer lets it.
 * @module
 */
import type { MemoryAccount } from '../../core/memory-budget.ts';
import { DEFAULT_SESSION_PARAMS } from '../../core/session-params.ts';
import type { MonotonicMs } from '../../core/units.ts';
import { ACK_SHARE, REQUESTER_ACK_DELAY_MS, RESERVED_SURBS } from '../../transport/limits.ts';
import { Pacer } from '../../transport/recovery/pacer.ts';
import { MAX_AWAKE_STEP_MS, SessionEnd } from '../../transport/session-end.ts';
import { SurbStock } from '../../transport/surbs/surb-stock.ts';
import type { SurbAccount } from '../../transport/surbs/surb-supply.ts';
import type {
  CloseReason,
  Downlink,
  Reply,
  RequesterSessionOptions,
  SessionStats,
  SurbStockStats,
} from '../../transport/types.ts';
import { FRAME, type Frame } from '../../transport/wire/frames.ts';
import { NOBODY } from '../../transport/wire/packet-builder.ts';
import { beginDownlink, UNNUMBERED, type Uplink } from '../../transport/wire/payload.ts';
import { closeNumber, streamCodeOf } from '../../transport/wire/reasons.ts';
import { PaidMeter } from './admission.ts';
import { ReceiptProof } from './receipt-proof.ts';

/** CLOSE replies are to be sent still. */
export type ClosedCallback = (reason: CloseReason, closes: readonly Reply[], nowMs: MonotonicMs) => void;

/** Mean gap of the proxy's slots, as long as nothing better is known: the slower of the two classes. */
const ASSUMED_SLOT_GAP_MS = 20;
/** A reply block with its share of the packet that it came in. */
const HELD_SURB_BYTES = 448;
const FIRST_BURST_PER_SECOND = 100;
/** CLOSE is sent this often at once, since replies get lost. */
const CLOSES = 2;

export class RequesterSession {
  /** Session id as latin-1 text: a map key, and nothing to be logged. */
  readonly key: string;
  readonly #end: SessionEnd;
  readonly #stock: SurbStock;
  readonly #pacer: Pacer;
  readonly #proof: ReceiptProof;
  readonly #memory: MemoryAccount | undefined;
  /** Packets that the proxy has sent. */
  readonly paid: PaidMeter;
  /** Memory of the lane that its replies leave by. */
  laneBytes = 0;
  #milliPerSecond = 0;
  #ratePacket = -1;
  #contentCallback: () => void = () => {};
  #rateCallback: () => void = () => {};
  #provenCallback: (nowMs: MonotonicMs) => void = () => {};
  #closedCallbacks: readonly ClosedCallback[] = [];

  constructor(
    private readonly options: RequesterSessionOptions,
    nowMs: MonotonicMs,
  ) {
    const { params = DEFAULT_SESSION_PARAMS } = options;
    this.key = options.key;
    this.#pacer = new Pacer(FIRST_BURST_PER_SECOND, nowMs);
    this.#end = new SessionEnd(
      {
        ...options,
        slotGapMs: ASSUMED_SLOT_GAP_MS,
        ackDelayMs: REQUESTER_ACK_DELAY_MS,
        peerAckDelayMs: params.ackDelayMs,
        params,
        pacer: this.#pacer,
        accept: (...open) => options.accept(...open, options.key),
        wake: (atMs) => this.#wake(atMs),
      },
      nowMs,
    );
    this.#proof = new ReceiptProof(options.rng);
    this.paid = new PaidMeter(nowMs);
    this.#stock = new SurbStock(options.limits.maxStockSurbs, options.surbUsable);
    this.#memory = options.memory?.account('sessions', () => this.close('limit', this.#end.nowMs));
  }

  get downlink(): Downlink {
    return this.#milliPerSecond === 0 ? 'burst' : 'steady';
  }

  /** Replies per second that the proxy asked for; 0 in burst mode. */
  get replyRatePerSecond(): number {
    return this.#milliPerSecond / 1000;
  }

  /** Whether the proxy has shown that it receives replies. */
  get proven(): boolean {
    return this.#proof.given;
  }

  get closed(): boolean {
    return this.#end.closed;
  }

  /** Whether `nextReply` would return one. Asking does not change the answer. */
  hasContent(nowMs: MonotonicMs): boolean {
    return this.#isWorthReply(nowMs) || this.#mayRepeat(nowMs);
  }

  /**
   * A reply that carries something, if there is any and a reply block for it. In burst mode paced: ask again at
   * `nextDeadlineMs`. Every reply returned must be sent.
   */
  nextReply(nowMs: MonotonicMs): Reply | undefined {
    const hadContent = this.hasContent(nowMs);
    this.#enter(nowMs);
    if (!hadContent && !this.hasContent(nowMs)) return undefined;
    if (!this.#isWorthReply(nowMs)) this.#end.retransmitEarly(nowMs);
    const withData = this.#maySendData(nowMs);
    const surb372 = this.#stock.take(nowMs);
    if (surb372 === undefined) return undefined;
    const number = this.#end.takeNumber();
    const builder = beginDownlink(this.options.payloadBytes, number, this.#account());
    this.#end.writeAck(builder, nowMs);
    this.#proof.write(builder);
    this.#end.streams.writeControl(builder);
    if (withData) this.#end.streams.writeData(builder);
    const paceRound = this.downlink === 'burst' ? this.#pacer.onSent(nowMs) : undefined;
    this.#end.finish(builder, number, nowMs, paceRound);
    return { surb372, plaintext: builder.bytes };
  }

  /**
   * A reply that only fills a slot of the steady clock; undefined when only the reserve is left. It may be made ahead
   * of its slot, so an ACK in it is a repetition and settles nothing.
   */
  dummyReply(nowMs: MonotonicMs): Reply | undefined {
    this.#enter(nowMs);
    if (this.closed || this.#stock.held(nowMs) <= RESERVED_SURBS) return undefined;
    const surb372 = this.#stock.take(nowMs);
    if (surb372 === undefined) return undefined;
    const builder = beginDownlink(this.options.payloadBytes, UNNUMBERED, this.#account());
    this.#end.acks.repeatTo(builder, builder.bytes.byteLength * ACK_SHARE);
    return { surb372, plaintext: builder.bytes };
  }

  /** Takes a packet of the proxy, decoded. */
  receive(packet: Uplink, nowMs: MonotonicMs): void {
    this.#enter(nowMs);
    if (this.closed) return;
    this.paid.onPacket(nowMs);
    const wasProven = this.proven;
    if (!this.#proof.check(packet.frames)) this.close('protocol', nowMs);
    else if (this.proven && !wasProven) this.#provenCallback(nowMs);
    if (this.closed) return;
    const onFrame = (frame: Frame) => this.#onFrame(frame, packet.number, nowMs);
    if (!this.#end.receive(packet.number, packet.frames, onFrame, nowMs)) this.close('protocol', nowMs);
    else if (!this.closed) this.#wake(nowMs);
  }

  nextDeadlineMs(): number {
    if (this.closed) return Number.POSITIVE_INFINITY;
    const transport = this.#end;
    const idleMs =
      transport.nowMs + Math.min(MAX_AWAKE_STEP_MS, Math.max(1, transport.limits.idleMs - transport.silentMs));
    const paceMs = this.#paceDeadlineMs();
    return Math.min(idleMs, paceMs, transport.nextDeadlineMs);
  }

  tick(nowMs: MonotonicMs): void {
    this.#enter(nowMs);
    if (this.closed) return;
    if (this.#end.silentMs >= this.#end.limits.idleMs) this.close('idle', nowMs);
    else this.#wake(nowMs);
  }

  /** Ends the session: streams are reset, the proxy gets CLOSE as far as there are reply blocks. */
  close(reason: CloseReason, nowMs: MonotonicMs): void {
    if (this.closed) return;
    this.#end.close(streamCodeOf(reason));
    const closes: Reply[] = [];
    for (let i = 0; i < CLOSES; i++) {
      const surb372 = this.#stock.take(nowMs);
      if (surb372 === undefined) break;
      const number = this.#end.takeNumber();
      const builder = beginDownlink(this.options.payloadBytes, number, this.#account());
      builder.close(NOBODY, closeNumber(reason));
      closes.push({ surb372, plaintext: builder.bytes });
    }
    this.#stock.clear();
    this.#memory?.set(0);
    for (const callback of this.#closedCallbacks) callback(reason, closes, nowMs);
  }

  onContent(callback: () => void): void {
    this.#contentCallback = callback;
  }

  onProven(callback: (nowMs: MonotonicMs) => void): void {
    this.#provenCallback = callback;
  }

  /** The proxy asked for another rate or downlink. */
  onRate(callback: () => void): void {
    this.#rateCallback = callback;
  }

  /** Adds a callback for the end of the session; they are called in order. */
  onClosed(callback: ClosedCallback): void {
    this.#closedCallbacks = this.#closedCallbacks.concat(callback);
  }

  stats(): SessionStats {
    return this.#end.stats();
  }

  surbStats(): SurbStockStats {
    return this.#stock.stats();
  }

  // ---- making replies

  #enter(nowMs: MonotonicMs): void {
    this.#end.advance(nowMs);
    if (this.closed) return;
    const heldBytes = this.laneBytes + this.#end.memoryBytes + this.#stock.size * HELD_SURB_BYTES;
    this.#memory?.set(heldBytes, this.#stock.used * HELD_SURB_BYTES);
    this.#end.loss.detect(nowMs);
    if (this.downlink === 'burst') this.#pacer.advance(this.#end.clock.srttMs, nowMs);
  }

  #isWorthReply(nowMs: MonotonicMs): boolean {
    if (this.closed || this.#stock.held(nowMs) === 0) return false;
    return this.#end.owesControl(nowMs) || this.#maySendData(nowMs);
  }

  /** A slot of the steady clock leaves anyway: a free one may repeat an ACK, or what is overdue. */
  #mayRepeat(nowMs: MonotonicMs): boolean {
    if (this.closed || this.downlink === 'burst' || this.#stock.held(nowMs) <= RESERVED_SURBS) return false;
    return this.#end.mayRepeat(nowMs);
  }

  #maySendData(nowMs: MonotonicMs): boolean {
    if (this.#stock.held(nowMs) <= RESERVED_SURBS || !this.#end.canSendData) return false;
    return this.downlink === 'steady' || this.#pacer.nextMs(nowMs) <= nowMs;
  }

  /** When the pacer lets the next bytes go, if it is the pacer that holds them back. */
  #paceDeadlineMs(): number {
    const nowMs = this.#end.nowMs;
    if (this.downlink === 'steady' || this.#stock.held(nowMs) <= RESERVED_SURBS || !this.#end.canSendData) {
      return Number.POSITIVE_INFINITY;
    }
    const atMs = this.#pacer.nextMs(nowMs);
    return atMs > nowMs ? atMs : Number.POSITIVE_INFINITY;
  }

  #account(): SurbAccount {
    const { received, used, expired, evicted } = this.#stock;
    return { received, used, expired, evicted, demandBytes: this.#end.streams.flow.queuedBytes };
  }

  // ---- frames that only a proxy sends

  /** Takes such a frame. False: it breaks the rules. */
  #onFrame(frame: Frame, packetNumber: number, nowMs: MonotonicMs): boolean {
    switch (frame.type) {
      case FRAME.HELLO:
        this.#end.streams.setPeerWindows(frame.sessionWindow, frame.streamWindow);
        return true;
      case FRAME.SURBS:
        this.#stock.add(frame.generation, frame.lifeMs, frame.blocks, nowMs);
        return true;
      case FRAME.RATE:
        this.#onRateFrame(frame.milliPerSecond, packetNumber);
        return true;
      case FRAME.RESPONSE:
        return true; // the proof has looked at it
      case FRAME.CLOSE:
        this.close('done', nowMs);
        return true;
      default:
        return false;
    }
  }

  /** Rates reorder like everything: the packet with the highest number has the last word. */
  #onRateFrame(milliPerSecond: number, packetNumber: number): void {
    if (packetNumber <= this.#ratePacket) return;
    this.#ratePacket = packetNumber;
    if (milliPerSecond === this.#milliPerSecond) return;
    this.#milliPerSecond = milliPerSecond;
    this.#rateCallback();
  }

  #wake(nowMs: MonotonicMs): void {
    if (this.hasContent(nowMs)) this.#contentCallback();
  }
}
