/**
 * The proxy's end of a session: a pure machine that fills packets (docs/PROTOCOL.md section 10.5) and reads replies.
 * @module
 */
import { type ErrorCode, MixError } from '../../core/errors.ts';
import { DEFAULT_SESSION_PARAMS } from '../../core/session-params.ts';
import type { MonotonicMs } from '../../core/units.ts';
import { PROTOCOL_VERSION, proxyLimits, REQUESTER_ACK_DELAY_MS, SESSION_ID_BYTES } from '../../transport/limits.ts';
import { SessionEnd } from '../../transport/session-end.ts';
import type { SettledBlock } from '../../transport/surbs/surb-ledger.ts';
import type {
  CloseReason,
  ProxySessionOptions,
  ProxySessionState,
  SessionStats,
  SessionStream,
  StreamHandlers,
  StreamTarget,
} from '../../transport/types.ts';
import { FRAME, type Frame } from '../../transport/wire/frames.ts';
import { NOBODY, type PacketBuilder } from '../../transport/wire/packet-builder.ts';
import { beginUplink, decodeDownlink, UNNUMBERED } from '../../transport/wire/payload.ts';
import { closeNumber, closeReason, streamCodeOf } from '../../transport/wire/reasons.ts';
import { refusingVersion } from '../versions.ts';
import { Closing } from './closing.ts';
import { HelloSender } from './hello.ts';
import { PeerTimeout } from './peer-timeout.ts';
import { ReplyBlocks } from './reply-blocks.ts';

export class ProxySession {
  readonly id: Uint8Array;
  readonly #end: SessionEnd;
  readonly #blocks: ReplyBlocks;
  readonly #hello: HelloSender;
  readonly #closing = new Closing();
  readonly #timeout: PeerTimeout;
  #state: 'opening' | 'draining' | 'closed' = 'opening';
  #requesterVersion = PROTOCOL_VERSION;
  #replyRatePerSecond: number;
  #lastFilled = 0;
  #hadStreams = false;
  #contentCallback: () => void = () => {};
  #idleCallback: () => void = () => {};
  #closedCallback: (reason: CloseReason) => void = () => {};

  constructor(
    private readonly options: ProxySessionOptions,
    nowMs: MonotonicMs,
  ) {
    const { params = DEFAULT_SESSION_PARAMS } = options;
    this.id = options.rng.bytes(SESSION_ID_BYTES);
    this.#replyRatePerSecond = options.replyRatePerSecond;
    this.#end = new SessionEnd(
      {
        ...options,
        params,
        slotGapMs: 1000 / options.mainRatePerSecond,
        ackDelayMs: params.ackDelayMs,
        peerAckDelayMs: REQUESTER_ACK_DELAY_MS,
        limits: proxyLimits(options.limits, options.payloadBytes, params),
        wake: (atMs) => this.#wake(atMs),
      },
      nowMs,
    );
    this.#blocks = new ReplyBlocks(this.#end, options, nowMs);
    this.#hello = new HelloSender({ ...this.#end.limits, ...options, milliPerSecond: this.#milliPerSecond });
    this.#timeout = new PeerTimeout(this.#end, options.downlink, params.pingMs, nowMs);
  }

  get state(): ProxySessionState {
    return this.#state === 'opening' && this.#hello.acked ? 'open' : this.#state;
  }

  /** The version that the requester speaks: another than ours when the session has ended for `version`. */
  get requesterVersion(): number {
    return this.#requesterVersion;
  }

  get streamsOpen(): number {
    return this.#end.streams.size;
  }

  /** Throws MixError LIMIT when the table is full, SESSION_CLOSED when the session takes no more streams. */
  open(target: StreamTarget, handlers: StreamHandlers, nowMs: MonotonicMs): SessionStream {
    this.#end.advance(nowMs);
    if (this.#state !== 'opening') throw new MixError('SESSION_CLOSED', 'the session takes no new streams');
    if (this.#end.streams.size === 0) this.#timeout.reset();
    const stream = this.#end.streams.open(target, handlers, nowMs);
    this.#wake(nowMs);
    return stream;
  }

  /** For how long the requester should have answered, and has not. */
  get overdueMs(): number {
    return this.#timeout.overdueMs;
  }

  /** Refuses the streams that wait to be opened: the requester does not answer. */
  refuseOpening(code: ErrorCode, nowMs: MonotonicMs): void {
    this.#end.advance(nowMs);
    this.#end.streams.refuseUnanswered(code);
  }

  /** Whether `fill` would return a packet. Asking does not change the answer. */
  hasContent(nowMs: MonotonicMs): boolean {
    if (this.#state === 'closed') return false;
    if (this.#closing.begun) return this.#closing.due(nowMs) && !this.#closing.over(nowMs);
    // Slots leave anyway: one that is free may repeat an ACK, or what is overdue.
    return this.#isWorthPacket(nowMs) || this.#end.mayRepeat(nowMs);
  }

  /** The plaintext of one packet, when there is something worth a slot. Every plaintext returned must be sent. */
  fill(nowMs: MonotonicMs): Uint8Array | undefined {
    const hadContent = this.hasContent(nowMs);
    this.#enter(nowMs);
    if (!hadContent && !this.hasContent(nowMs)) return undefined;
    const number = this.#end.takeNumber();
    const builder = beginUplink(this.options.payloadBytes, this.id, number);
    this.#lastFilled = number;
    if (this.#closing.begun) this.#writeClose(builder, nowMs);
    else this.#writeFrames(builder, nowMs);
    this.#end.finish(builder, number, nowMs);
    return builder.bytes;
  }

  /** Sets the sum of the mix delays drawn for the packet that `fill` returned last: its loss is then seen sooner. */
  routeDelayDrawn(delayMs: number): void {
    this.#end.loss.setDelay(this.#lastFilled, delayMs);
  }

  /** Only fills a slot. May be made ahead, and need not be sent. */
  padding(_nowMs: number): Uint8Array {
    return beginUplink(this.options.payloadBytes, this.id, UNNUMBERED).bytes;
  }

  /** Takes the plaintext of a reply. Never throws. */
  receive(plaintext: Uint8Array, nowMs: MonotonicMs): void {
    this.#enter(nowMs);
    if (this.#state === 'closed') return;
    const packet = decodeDownlink(plaintext);
    const fault = packet && this.#blocks.faultIn(packet.account, nowMs);
    if (packet === undefined || fault !== undefined) {
      this.abandon(fault ?? 'protocol', nowMs);
      return;
    }
    this.#timeout.reset();
    const onFrame = (frame: Frame) => this.#onFrame(frame, packet.frames, nowMs);
    if (!this.#end.receive(packet.number, packet.frames, onFrame, nowMs)) this.abandon('protocol', nowMs);
    else if (!this.#end.closed) this.#wake(nowMs);
  }

  /** It is known what became of one of its reply blocks. A requester that keeps blocks back loses the session. */
  settled(block: SettledBlock, nowMs: MonotonicMs): void {
    if (this.#state !== 'closed' && this.#blocks.settled(block, nowMs)) this.abandon('hoarding', nowMs);
  }

  /** Takes a frame that only a requester sends. False: it breaks the rules. */
  #onFrame(frame: Frame, frames: readonly Frame[], nowMs: MonotonicMs): boolean {
    if (frame.type === FRAME.CHALLENGE) {
      this.#hello.onChallenge(frame.bytes);
      this.#end.streams.letAllSend();
      return true;
    }
    if (frame.type !== FRAME.CLOSE) return false;
    const reason = closeReason(frame.reason);
    if (reason === 'version') this.#requesterVersion = refusingVersion(frames); // its HELLO stands behind CLOSE
    this.abandon(reason, nowMs);
    return true;
  }

  /** When `tick` must be called at the latest; Infinity: no need. */
  nextDeadlineMs(): number {
    return this.#state === 'closed'
      ? Number.POSITIVE_INFINITY
      : Math.min(this.#timeout.dueMs, this.#end.nextDeadlineMs);
  }

  tick(nowMs: MonotonicMs): void {
    this.#enter(nowMs);
    if (this.#state === 'closed') return;
    const verdict = nowMs >= this.#timeout.dueMs ? this.#timeout.check(nowMs) : 'wait';
    if (verdict === 'give up') this.abandon('timeout', nowMs);
    else if (verdict === 'ping') this.#end.wantPing();
    this.#wake(nowMs);
  }

  setReplyRate(perSecond: number, nowMs: MonotonicMs): void {
    if (perSecond === this.#replyRatePerSecond) return;
    this.#replyRatePerSecond = perSecond;
    this.#blocks.setReplyRate(perSecond, nowMs);
    this.#hello.setRate(this.#milliPerSecond);
    this.#wake(nowMs);
  }

  setMainRate(perSecond: number): void {
    this.#blocks.supply.setMainRate(perSecond);
    this.#end.clock.setSlotGapMs(1000 / perSecond);
  }

  /** No reply block made so far can work any more (another gateway, lost keys): the requester gets new ones at once. */
  replyBlocksLost(nowMs: MonotonicMs): void {
    this.#blocks.invalidate();
    this.#wake(nowMs);
  }

  /** Takes no new streams; closes when the last one has ended. */
  drain(nowMs: MonotonicMs): void {
    if (this.#state === 'closed' || this.#closing.begun) return;
    this.#state = 'draining';
    if (this.#end.streams.size === 0) this.close(nowMs);
  }

  /** Ends the session now: streams are reset, the requester gets CLOSE. `fill` goes on until `closed`. */
  close(nowMs: MonotonicMs): void {
    if (this.#state === 'closed' || this.#closing.begun) return;
    this.#state = 'draining';
    this.#closing.begin(nowMs);
    this.#end.streams.close('SESSION_CLOSED');
    this.#wake(nowMs);
  }

  /** Forgets everything at once, without CLOSE to the requester. */
  abandon(reason: CloseReason, _nowMs: number): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#end.close(streamCodeOf(reason));
    this.#closedCallback(reason);
  }

  /** Called when there may be content where there was none. */
  onContent(callback: () => void): void {
    this.#contentCallback = callback;
  }

  /** When the last stream has ended. */
  onIdle(callback: () => void): void {
    this.#idleCallback = callback;
  }

  onClosed(callback: (reason: CloseReason) => void): void {
    this.#closedCallback = callback;
  }

  /** Replies per second that the requester is asked for; 0 in burst mode. */
  get replyRate(): number {
    return this.#milliPerSecond / 1000;
  }

  stats(): SessionStats {
    return this.#end.stats();
  }

  surbStats() {
    return this.#blocks.stats(this.#end.nowMs);
  }

  get #milliPerSecond(): number {
    return this.options.downlink === 'steady' ? Math.round(this.#replyRatePerSecond * 1000) : 0;
  }

  #enter(nowMs: MonotonicMs): void {
    this.#end.advance(nowMs);
    if (this.#state === 'closed') return;
    this.#end.loss.detect(nowMs);
    this.#blocks.supply.aim(this.#end.roundMs, nowMs);
    if (this.#closing.over(nowMs)) this.abandon('done', nowMs);
  }

  #isWorthPacket(nowMs: MonotonicMs): boolean {
    return this.#hello.owed || this.#end.canSendData || this.#end.owesControl(nowMs) || this.#blocks.worthPacket(nowMs);
  }

  #writeFrames(builder: PacketBuilder, nowMs: MonotonicMs): void {
    if (!this.#isWorthPacket(nowMs)) this.#end.retransmitEarly(nowMs);
    this.#hello.write(builder);
    this.#end.writeAck(builder, nowMs);
    this.#end.streams.writeControl(builder);
    const { beforeData, afterData } = this.#blocks.portion(nowMs);
    this.#blocks.write(builder, beforeData, nowMs);
    if (this.#end.canSendData) this.#end.streams.writeData(builder);
    this.#blocks.write(builder, afterData, nowMs);
  }

  #writeClose(builder: PacketBuilder, nowMs: MonotonicMs): void {
    this.#closing.onSent(this.#end.roundMs, nowMs);
    this.#hello.write(builder); // until it is closed, its clock must not run beside that of the next session
    builder.close(NOBODY, closeNumber('done'));
    this.#blocks.write(builder, 1, nowMs);
  }

  #wake(nowMs: MonotonicMs): void {
    const isIdle = this.#end.streams.size === 0;
    if (isIdle && this.#hadStreams) this.#idleCallback();
    this.#hadStreams = !isIdle;
    if (isIdle && this.#state === 'draining') this.close(nowMs);
    if (this.hasContent(nowMs)) this.#contentCallback();
  }
}
