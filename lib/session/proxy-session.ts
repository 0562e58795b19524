/**
 * The proxy's end of a session: a pure machine that fills the plaintexts of packets to the requester and reads its
 * replies.
 *
 * Order of filling: HELLO and RATE until acknowledged; ACK and window updates; reply blocks while their stock is
 * under its floor (while uploading at least one: without replies there are no acknowledgements); data; reply blocks
 * up to the target.
 * @module
 */
import { type ErrorCode, MixError } from '../errors.ts';
import { FRAME, type Frame } from './frames.ts';
import { Goodbye } from './goodbye.ts';
import { Greeting } from './greeting.ts';
import {
  DEFAULT_SESSION_LIMITS,
  MAX_BLOCKS_PER_PACKET,
  MAX_HOST_BYTES,
  MAX_TOKEN_BYTES,
  PROXY_ACK_DELAY_MS,
  REQUESTER_ACK_DELAY_MS,
  SESSION_ID_BYTES,
  SURB_BYTES,
} from './limits.ts';
import { hostBytes, NOBODY, type PacketBuilder } from './packet-builder.ts';
import { beginUplink, decodeDownlink, UNNUMBERED } from './payload.ts';
import { closeNumber, closeReason, errorCode, streamCodeOf } from './reasons.ts';
import { type SilenceView, SilenceWatch } from './silence.ts';
import { NOTHING_WANTED, SurbSupply, type Wanted } from './surb-supply.ts';
import { Transport, type TransportEnd } from './transport.ts';
import type {
  CloseReason,
  ProxySessionOptions,
  SessionStats,
  SessionStream,
  StreamHandlers,
  StreamTarget,
  SurbSupplyStats,
} from './types.ts';

/** `opening`: HELLO unanswered; `draining`: takes no new streams, or says goodbye; `closed`: nothing left. */
export type ProxySessionState = 'opening' | 'open' | 'draining' | 'closed';

/** Without a route no reply block can be made; asked again after this long. */
const NO_ROUTE_PAUSE_MS = 100;

export class ProxySession implements TransportEnd {
  readonly id: Uint8Array;
  readonly #options: ProxySessionOptions;
  readonly #transport: Transport;
  readonly #supply: SurbSupply;
  readonly #greeting: Greeting;
  readonly #goodbye = new Goodbye();
  readonly #silence: SilenceWatch;
  #state: Exclude<ProxySessionState, 'open'> = 'opening';
  #nextStreamId = 0;
  #replyRatePerSecond: number;
  #lastFilled = 0;
  /** The last packet had room for blocks before data. */
  #blocksWentFirst = false;
  #mintAgainMs = Number.NEGATIVE_INFINITY;
  #contentCallback: () => void = () => {};
  #closedCallback: (reason: CloseReason) => void = () => {};

  constructor(options: ProxySessionOptions, nowMs: number) {
    if ((options.accessToken?.byteLength ?? 0) > MAX_TOKEN_BYTES) {
      throw new MixError('USAGE', `an access token has at most ${MAX_TOKEN_BYTES} bytes`);
    }
    this.#options = options;
    this.id = options.rng.bytes(SESSION_ID_BYTES);
    this.#replyRatePerSecond = options.replyRatePerSecond;
    this.#transport = new Transport(
      {
        rng: options.rng,
        delay: options.delay,
        payloadBytes: options.payloadBytes,
        slotGapMs: 1000 / options.mainRatePerSecond,
        ackDelayMs: PROXY_ACK_DELAY_MS,
        peerAckDelayMs: REQUESTER_ACK_DELAY_MS,
        limits: { ...DEFAULT_SESSION_LIMITS, ...options.limits },
      },
      this,
      nowMs,
    );
    this.#supply = new SurbSupply(
      {
        downlink: options.downlink,
        payloadBytes: options.payloadBytes,
        blocksPerPacket: Math.min(MAX_BLOCKS_PER_PACKET, Math.floor((options.payloadBytes - 64) / SURB_BYTES)),
        mainRatePerSecond: options.mainRatePerSecond,
        replyRatePerSecond: options.replyRatePerSecond,
        surbLifeMs: options.surbLifeMs,
      },
      nowMs,
    );
    const { sessionWindowBytes, streamWindowBytes, deadPeerMs } = this.#transport.limits;
    this.#greeting = new Greeting({
      sessionWindowBytes,
      streamWindowBytes,
      accessToken: options.accessToken ?? new Uint8Array(0),
      milliPerSecond: this.#milliPerSecond,
    });
    this.#silence = new SilenceWatch({ downlink: options.downlink, deadPeerMs }, nowMs);
  }

  get state(): ProxySessionState {
    return this.#state === 'opening' && this.#greeting.acked ? 'open' : this.#state;
  }

  /** Opens a stream. Throws MixError LIMIT when the table is full, SESSION_CLOSED when the session takes no more. */
  open(target: StreamTarget, handlers: StreamHandlers, nowMs: number): SessionStream {
    this.#transport.advance(nowMs);
    if (this.#state === 'draining' || this.#state === 'closed') {
      throw new MixError('SESSION_CLOSED', 'the session takes no new streams');
    }
    if (this.#transport.streams.size >= this.#transport.limits.maxStreams) {
      throw new MixError('LIMIT', `a session has at most ${this.#transport.limits.maxStreams} streams`);
    }
    const length = hostBytes(target.host).byteLength;
    if (length === 0 || length > MAX_HOST_BYTES) throw new MixError('ADDRESS_TYPE', 'a host has 1 to 255 bytes');
    if (this.#transport.streams.size === 0) this.#silence.reset();
    const stream = this.#transport.streams.open(this.#nextStreamId++, nowMs, target, handlers);
    this.onWake(nowMs);
    return stream;
  }

  /** For how long the requester should have been heard, and was not. */
  get overdueMs(): number {
    return this.#silence.overdueMs(this.#silenceView);
  }

  /** Refuses the streams that wait to be opened: the requester does not answer. */
  refuseOpening(code: ErrorCode, nowMs: number): void {
    this.#transport.advance(nowMs);
    this.#transport.streams.refuseUnanswered(code, nowMs);
  }

  /** Whether `fill` would return a packet. */
  hasContent(nowMs: number): boolean {
    this.#enter(nowMs);
    return this.#isWorthPacket(nowMs);
  }

  /** The plaintext of one packet, when there is something worth a slot. Every plaintext returned must be sent. */
  fill(nowMs: number): Uint8Array | undefined {
    this.#enter(nowMs);
    if (!this.#isWorthPacket(nowMs)) return undefined;
    const number = this.#transport.takeNumber();
    const builder = beginUplink(this.#options.payloadBytes, this.id, number);
    this.#lastFilled = number;
    if (this.#goodbye.begun) this.#writeGoodbye(builder, nowMs);
    else this.#writeFrames(builder, nowMs);
    this.#transport.finish(builder, number, nowMs);
    return builder.bytes;
  }

  /** Tells the sum of the mix delays drawn for the packet that `fill` returned last: its loss is then seen sooner. */
  routeDelayDrawn(delayMs: number): void {
    this.#transport.setDelay(this.#lastFilled, delayMs);
  }

  /** A plaintext that only fills a slot. May be made ahead, and need not be sent. */
  padding(_nowMs: number): Uint8Array {
    return beginUplink(this.#options.payloadBytes, this.id, UNNUMBERED).bytes;
  }

  /** Takes the plaintext of a reply. Never throws. */
  receive(plaintext: Uint8Array, nowMs: number): void {
    this.#enter(nowMs);
    if (this.#state === 'closed') return;
    const packet = decodeDownlink(plaintext);
    if (packet === undefined || this.#supply.lies(packet.account)) {
      this.onViolation('reply', nowMs);
      return;
    }
    this.#supply.onAccount(packet.account, nowMs);
    this.#silence.reset();
    const alive = () => this.#state !== 'closed';
    if (packet.number === UNNUMBERED) this.#transport.onUnnumbered(packet.frames, nowMs);
    else if (!this.#transport.isDuplicate(packet.number)) {
      this.#transport.onFrames(packet.number, packet.frames, alive, nowMs);
    }
    if (alive()) this.onWake(nowMs);
  }

  /** When `tick` must be called at the latest; Infinity: no need. */
  nextDeadlineMs(): number {
    if (this.#state === 'closed') return Number.POSITIVE_INFINITY;
    return Math.min(this.#silence.dueMs, this.#transport.nextDeadlineMs);
  }

  tick(nowMs: number): void {
    this.#enter(nowMs);
    if (this.#state === 'closed') return;
    if (nowMs >= this.#silence.dueMs) this.#onSilence(nowMs);
    this.onWake(nowMs);
  }

  setReplyRate(perSecond: number, nowMs: number): void {
    if (perSecond === this.#replyRatePerSecond) return;
    this.#replyRatePerSecond = perSecond;
    this.#supply.setReplyRate(perSecond);
    this.#greeting.setRate(this.#milliPerSecond);
    this.onWake(nowMs);
  }

  setMainRate(perSecond: number): void {
    this.#supply.setMainRate(perSecond);
    this.#transport.clock.setSlotGapMs(1000 / perSecond);
  }

  /** No reply block made so far can work any more (another gateway, lost keys): the requester gets new ones at once. */
  replyBlocksLost(nowMs: number): void {
    this.#supply.invalidate();
    this.onWake(nowMs);
  }

  /** Takes no new streams; closes when the last one has ended. */
  drain(nowMs: number): void {
    if (this.#state === 'closed' || this.#goodbye.begun) return;
    this.#state = 'draining';
    if (this.#transport.streams.size === 0) this.close(nowMs);
  }

  /** Ends the session now: streams are reset, the requester is told. `fill` goes on until `closed`. */
  close(nowMs: number): void {
    if (this.#state === 'closed' || this.#goodbye.begun) return;
    this.#state = 'draining';
    this.#goodbye.begin(nowMs);
    this.#transport.streams.close('SESSION_CLOSED');
    this.onWake(nowMs);
  }

  /** Forgets everything at once, without a word to the requester. */
  abandon(reason: CloseReason, _nowMs: number): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#transport.streams.close(streamCodeOf(reason));
    this.#closedCallback(reason);
  }

  /** Called when there may be content where there was none. */
  onContent(callback: () => void): void {
    this.#contentCallback = callback;
  }

  /** Called once. */
  onClosed(callback: (reason: CloseReason) => void): void {
    this.#closedCallback = callback;
  }

  /** Replies per second that the requester is asked for; 0 in burst mode. */
  get replyRate(): number {
    return this.#milliPerSecond / 1000;
  }

  stats(): SessionStats {
    return this.#transport.stats();
  }

  surbStats(): SurbSupplyStats {
    return this.#supply.stats(this.#position(this.#transport.nowMs));
  }

  // ---- making packets

  /** Thousandths of replies per second to ask for; 0 is burst mode. */
  get #milliPerSecond(): number {
    return this.#options.downlink === 'steady' ? Math.round(this.#replyRatePerSecond * 1000) : 0;
  }

  #enter(nowMs: number): void {
    this.#transport.advance(nowMs);
    if (this.#state === 'closed') return;
    this.#transport.detectLosses(nowMs);
    this.#supply.aim(this.#transport.roundMs, nowMs);
    if (this.#goodbye.over(nowMs)) this.abandon('done', nowMs);
  }

  #isWorthPacket(nowMs: number): boolean {
    if (this.#state === 'closed') return false;
    if (this.#goodbye.begun) return this.#goodbye.due(nowMs);
    return (
      this.#greeting.owed ||
      this.#transport.owesControl(nowMs) ||
      this.#transport.canSendData ||
      this.#wanted(nowMs).worthPacket ||
      // Slots leave anyway: one that is free may repeat what is overdue.
      this.#transport.repeatsAck(nowMs) ||
      this.#transport.repeatEarly(nowMs)
    );
  }

  #writeFrames(builder: PacketBuilder, nowMs: number): void {
    this.#greeting.write(builder);
    this.#transport.writeAck(builder, nowMs);
    this.#transport.writeControl(builder);
    const wanted = this.#wanted(nowMs);
    // Between a download that could use every slot for blocks and an upload, slots are shared.
    const yielding = this.#transport.canSendData && this.#blocksWentFirst && !wanted.critical;
    this.#blocksWentFirst = wanted.first > 1 && !yielding;
    // Who does not know us, or has run dry, can only answer through a block that comes along.
    const least = this.#transport.silentMs > this.#transport.roundMs ? 1 : 0;
    const first = Math.max(yielding ? Math.min(1, wanted.first) : wanted.first, least);
    this.#writeBlocks(builder, first, nowMs);
    this.#transport.writeData(builder);
    this.#writeBlocks(builder, wanted.after, nowMs);
  }

  #writeBlocks(builder: PacketBuilder, count: number, nowMs: number): void {
    const blocks: Uint8Array[] = [];
    for (let left = Math.min(count, builder.surbRoom); left > 0; left--) {
      const block = this.#options.mintSurb(nowMs);
      if (block === undefined) {
        this.#mintAgainMs = nowMs + NO_ROUTE_PAUSE_MS;
        break;
      }
      blocks.push(block);
    }
    if (!builder.replyBlocks(NOBODY, this.#supply.generation, Math.floor(this.#options.surbLifeMs), blocks)) return;
    this.#supply.onCreated(blocks.length, nowMs);
  }

  #writeGoodbye(builder: PacketBuilder, nowMs: number): void {
    this.#goodbye.onSaid(this.#transport.roundMs, nowMs);
    this.#greeting.write(builder); // until it is closed, its clock must not run beside that of the next session
    builder.close(NOBODY, closeNumber('done'));
    this.#writeBlocks(builder, 1, nowMs);
  }

  #wanted(nowMs: number): Wanted {
    if (nowMs < this.#mintAgainMs) return NOTHING_WANTED;
    const { roundMs, lossRatio, streams, canSendData } = this.#transport;
    const view = { arriveShare: 1 - lossRatio, roundMs, streamsOpen: streams.size > 0, uploading: canSendData };
    return this.#supply.wanted(view, nowMs);
  }

  #position(nowMs: number): number {
    const { roundMs, lossRatio, streams } = this.#transport;
    return this.#supply.position(1 - lossRatio, roundMs, streams.size > 0, nowMs);
  }

  #onSilence(nowMs: number): void {
    const verdict = this.#silence.judge(this.#silenceView, nowMs);
    if (verdict === 'give up') this.abandon('timeout', nowMs);
    else if (verdict === 'ask') this.#transport.wantPing();
  }

  get #silenceView(): SilenceView {
    const { silentMs, unansweredMs, roundMs, streams } = this.#transport;
    return { silentMs, unansweredMs, roundMs, streamsOpen: streams.size > 0 };
  }

  // ---- what the engine reports

  onFrame(frame: Frame, _packetNumber: number, nowMs: number): boolean {
    switch (frame.type) {
      case FRAME.OPENED:
      case FRAME.REFUSED: {
        if (frame.stream >= this.#nextStreamId) return false;
        const stream = this.#transport.streams.get(frame.stream);
        if (frame.type === FRAME.OPENED) stream?.onOpened({ host: frame.host, port: frame.port }, nowMs);
        else stream?.onRefused(errorCode(frame.reason), nowMs);
        return true;
      }
      case FRAME.CLOSE:
        this.abandon(closeReason(frame.reason), nowMs);
        return true;
      default:
        return false;
    }
  }

  onUnknownStream(id: number): 'gone' | 'violation' {
    return id < this.#nextStreamId ? 'gone' : 'violation';
  }

  onStreamEnded(nowMs: number): void {
    if (this.#state === 'draining' && this.#transport.streams.size === 0) this.close(nowMs);
  }

  onPacketAcked(): void {}
  onPacketLost(): void {}

  onSurbsSettled(count: number): void {
    this.#supply.onSettled(count);
  }

  onWake(nowMs: number): void {
    if (this.#isWorthPacket(nowMs)) this.#contentCallback();
  }

  onViolation(_what: string, nowMs: number): void {
    this.abandon('protocol', nowMs);
  }
}
