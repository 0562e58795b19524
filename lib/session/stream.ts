/**
 * One stream at one end: a sending and a receiving half, each with an end of its own (RFC 9000 section 3), plus the
 * answer to the opening.
 *
 * A stream is gone when both halves are settled with the peer, the answer was heard, and the application has given
 * all credit back: nothing about it is remembered then but its number.
 * @module
 */
import type { ErrorCode } from '../errors.ts';
import { ReceiveWindow } from './flow.ts';
import { FRAME } from './frames.ts';
import { MAX_DELIVERED_BYTES, MAX_DELIVERED_PIECES } from './limits.ts';
import { type FrameOwner, hostBytes, type PacketBuilder, type SentFrame } from './packet-builder.ts';
import { errorNumber, kindNumber } from './reasons.ts';
import { ReceiveBuffer } from './receive-buffer.ts';
import { SendBuffer } from './send-buffer.ts';
import type { AcceptedHandlers, AcceptedStream, BoundAddress, StreamHandlers, StreamTarget } from './types.ts';

/** What a stream needs of its session. */
export interface StreamHost {
  /** It has control frames to send. */
  wantControl(stream: Stream): void;
  /** It may have bytes to send. */
  wantData(stream: Stream): void;
  /** Bytes waiting to be sent, or kept until acknowledged, changed. */
  queuedChanged(deltaQueued: number, deltaRetained: number): void;
  /** The session's credit for `bytes` received bytes goes back to the peer. */
  creditSession(bytes: number, nowMs: number): void;
  /** Wants `onDrain` to be called soon, but not from inside the making of a packet. */
  deferDrain(stream: Stream): void;
  windowGrew(windowBytes: number): void;
  ended(stream: Stream): void;
  /** Something may have become content. */
  wake(nowMs: number): void;
  readonly roundMs: number;
}

export interface StreamOptions {
  readonly id: number;
  /** The proxy's end has a target; the requester's is accepted when OPEN comes. */
  readonly target?: StreamTarget;
  readonly windowBytes: number;
  readonly maxWindowBytes: number;
  readonly peerWindowBytes: number;
  readonly unsentHighWaterBytes: number;
}

/** Control frames that a stream can owe: a bit each. */
const OWES = { OPEN: 1, ANSWER: 2, RESET: 4, STOP: 8, MAX: 16 } as const;

type ReceiveState = 'open' | 'discarding' | 'ended';
type SendState = 'open' | 'reset' | 'ended';
/** `none`: OPEN or the decision is outstanding. */
type Answer = 'none' | 'opened' | 'refused';

/** Bytes that a stream sends with priority after it was quiet: requests and small answers pass bulk transfers. */
const PROMPT_BYTES = 16 * 1024;

export class Stream implements AcceptedStream, FrameOwner {
  readonly id: number;
  readonly #host: StreamHost;
  readonly #options: StreamOptions;
  readonly #send = new SendBuffer();
  readonly #receive = new ReceiveBuffer();
  readonly #window: ReceiveWindow;
  readonly #hostBytes: Uint8Array | undefined;
  #handlers: StreamHandlers | AcceptedHandlers | undefined;
  #sendState: SendState = 'open';
  #receiveState: ReceiveState = 'open';
  #answer: Answer = 'none';
  #answerSettled: boolean;
  #openSettled: boolean;
  #bound: BoundAddress = { host: '', port: 0 };
  #refusal: ErrorCode = 'INTERNAL';
  #resetCode: ErrorCode = 'RESET';
  #stopCode: ErrorCode = 'RESET';
  #owes = 0;
  /** The packet that carries OPEN or OPENED already. */
  #openingIn: PacketBuilder | undefined;
  #peerLimit: number;
  #queuedBytes = 0;
  #retainedBytes = 0;
  /** Bytes of this stream that the session's window has back. */
  #creditedBytes = 0;
  #consumedBytes = 0;
  #piecesOut = 0;
  #finTold = false;
  #silenced = false;
  #drainWanted = false;
  #promptLeft = PROMPT_BYTES;
  #gone = false;
  /** Where the scheduler has it. */
  place: 'none' | 'prompt' | 'bulk' | 'parked' = 'none';
  controlQueued = false;

  constructor(host: StreamHost, options: StreamOptions, nowMs: number, handlers?: StreamHandlers) {
    this.id = options.id;
    this.#host = host;
    this.#options = options;
    this.#handlers = handlers;
    this.#peerLimit = options.peerWindowBytes;
    this.#window = new ReceiveWindow(options.windowBytes, options.maxWindowBytes, nowMs);
    const isProxy = options.target !== undefined;
    this.#hostBytes = isProxy ? hostBytes(options.target.host) : undefined;
    this.#openSettled = !isProxy;
    this.#answerSettled = isProxy;
    if (isProxy) this.#owe(OWES.OPEN);
  }

  // ---- the application's side

  write(bytes: Uint8Array, nowMs: number): boolean {
    if (this.#sendState !== 'open' || this.#send.finished || bytes.byteLength === 0) return true;
    this.#send.write(bytes);
    this.#queueChanged();
    this.#host.wantData(this);
    this.#host.wake(nowMs);
    this.#drainWanted = this.#send.unsentBytes >= this.#options.unsentHighWaterBytes;
    return !this.#drainWanted;
  }

  end(nowMs: number): void {
    if (this.#sendState !== 'open' || this.#send.finished) return;
    this.#send.finish();
    this.#host.wantData(this);
    this.#host.wake(nowMs);
  }

  reset(code: ErrorCode, nowMs: number): void {
    if (this.#gone) return;
    if (!this.#isProxy && this.#answer === 'none') {
      this.refuse(code, nowMs);
      return;
    }
    this.#silenced = true;
    this.#abortSending(code);
    this.#stopReceiving(code, nowMs);
    this.#forgiveRest(nowMs);
    this.#host.wake(nowMs);
    this.#endIfDone();
  }

  stop(code: ErrorCode, nowMs: number): void {
    if (this.#gone) return;
    this.#stopReceiving(code, nowMs);
    this.#host.wake(nowMs);
    this.#endIfDone();
  }

  consume(bytes: number, nowMs: number): void {
    const counted = Math.min(bytes, this.#receive.deliveredBytes - this.#consumedBytes);
    if (counted <= 0 || this.#gone) return;
    this.#consumedBytes += counted;
    if (this.#consumedBytes === this.#receive.deliveredBytes) this.#piecesOut = 0;
    if (this.#receiveState === 'open') {
      this.#credit(this.#consumedBytes, nowMs);
      if (this.#window.consume(counted, this.#host.roundMs, nowMs)) this.#owe(OWES.MAX);
      this.#host.windowGrew(this.#window.windowBytes);
      this.#deliver(nowMs);
    } else if (this.#receiveState === 'ended') {
      this.#credit(this.#consumedBytes, nowMs);
    }
    this.#host.wake(nowMs);
    this.#endIfDone();
  }

  opened(bound: BoundAddress, nowMs: number): void {
    if (this.#answer !== 'none' || this.#gone || this.#isProxy) return;
    this.#answer = 'opened';
    this.#bound = bound;
    this.#owe(OWES.ANSWER);
    this.#host.wantData(this);
    this.#host.wake(nowMs);
  }

  refuse(code: ErrorCode, nowMs: number): void {
    if (this.#answer !== 'none' || this.#gone || this.#isProxy) return;
    this.#silenced = true;
    this.#answer = 'refused';
    this.#refusal = code;
    this.#dropUnsent();
    if (this.#sendState === 'open') this.#sendState = 'ended';
    this.#owe(OWES.ANSWER);
    this.#discard(nowMs);
    this.#forgiveRest(nowMs);
    this.#host.wake(nowMs);
    this.#endIfDone();
  }

  // ---- the peer's side

  get #isProxy(): boolean {
    return this.#options.target !== undefined;
  }

  /** Whether the application may be told about bytes. */
  get #deliverable(): boolean {
    return this.#handlers !== undefined && (!this.#isProxy || this.#answer === 'opened');
  }

  /** Whether OPEN has come (requester) or was sent by us (proxy). */
  get accepted(): boolean {
    return this.#handlers !== undefined;
  }

  /** Whether OPEN would still be welcome: not after a RESET that came first. */
  get acceptable(): boolean {
    return this.#handlers === undefined && this.#answer === 'none' && this.#receiveState !== 'ended';
  }

  /** Requester: gives the stream its handlers; held bytes are delivered. */
  attach(handlers: AcceptedHandlers, nowMs: number): void {
    this.#handlers = handlers;
    this.#deliver(nowMs);
  }

  /** Takes a DATA frame. Returns by how much the stream's highest byte grew, or a fault. */
  onData(offset: number, bytes: Uint8Array, fin: boolean): number | 'violation' {
    if (offset + bytes.byteLength > this.#window.limit) return 'violation';
    if (this.#receiveState === 'ended') return 0; // a repetition
    const before = this.#receive.highestBytes;
    const deliverNow = this.#deliverable && this.#receiveState === 'open' && this.#mayDeliver();
    const piece = this.#receive.receive(offset, bytes, fin, deliverNow);
    if (typeof piece === 'string') return 'violation';
    const grown = this.#receive.highestBytes - before;
    if (piece !== undefined) this.#hand(piece);
    return grown;
  }

  /** After `onData`, once the session has counted the bytes. */
  afterData(nowMs: number): void {
    if (this.#receiveState === 'open') {
      this.#deliver(nowMs);
      this.#widenForHoles();
    } else if (this.#receiveState === 'discarding') {
      this.#forgiveRest(nowMs);
      if (this.#receive.complete) this.#receiveState = 'ended';
    }
    this.#endIfDone();
  }

  /** Bytes wait for lost ones, not for the application: the sender needs room to go on meanwhile. */
  #widenForHoles(): void {
    const { highestBytes, deliveredBytes, finalSize } = this.#receive;
    if (this.#receiveState !== 'open' || highestBytes === deliveredBytes || finalSize !== undefined) return;
    if (!this.#mayDeliver() || !this.#window.onReached(highestBytes)) return;
    this.#owe(OWES.MAX);
    this.#host.windowGrew(this.#window.windowBytes);
  }

  /** Takes a RESET frame. Returns by how much the session's count of received bytes grows, or a fault. */
  onReset(code: ErrorCode, finalSize: number): number | 'violation' {
    if (finalSize > this.#window.limit) return 'violation';
    const before = this.#receive.highestBytes;
    // With FIN and all bytes here, though perhaps not yet taken, a RESET comes too late to matter.
    const late = this.#allArrived;
    if (!this.#receive.finish(finalSize)) return 'violation';
    if (!late) this.#resetHeard = code;
    return finalSize - before;
  }

  /** The code of a RESET whose bytes the session still has to count. */
  #resetHeard: ErrorCode | undefined;

  /** FIN is known and every byte before it has come. */
  get #allArrived(): boolean {
    return this.#receive.finalSize === this.#receive.deliveredBytes + this.#receive.heldBytes;
  }

  afterReset(nowMs: number): void {
    const code = this.#resetHeard;
    if (this.#receiveState === 'ended' || code === undefined) return;
    const told = this.#receiveState === 'open' && !this.#silenced;
    this.#receiveState = 'ended';
    this.#receive.discard();
    this.#forgiveRest(nowMs);
    if (told) this.#breakOff(code);
    if (!this.#isProxy && this.#answer === 'none') {
      this.#answer = 'refused';
      this.#answerSettled = true;
    }
    this.#endIfDone();
  }

  /** Takes a STOP frame: the peer reads no more. */
  onStop(code: ErrorCode, nowMs: number): void {
    if (this.#sendSettled) return;
    if (this.#allArrived && this.#receiveState !== 'discarding') {
      // It had finished sending and now reads no more: nothing is left of the connection.
      this.#discard(nowMs);
      this.#breakOff(code);
      this.#forgiveRest(nowMs);
    } else {
      this.#abortSending(code);
    }
    this.#endIfDone();
  }

  onMaxStreamData(limit: number): void {
    if (limit <= this.#peerLimit) return;
    this.#peerLimit = limit;
    this.#host.wantData(this);
  }

  /** Proxy: the requester has connected. */
  onOpened(bound: BoundAddress, nowMs: number): void {
    this.#settleOpen();
    if (this.#answer !== 'none') return;
    this.#answer = 'opened';
    if (this.#silenced) return;
    this.#opener?.onOpened(bound);
    this.#deliver(nowMs);
    this.#endIfDone();
  }

  /** Proxy: the requester has not connected. Our half ends with a RESET, which tells it how much we had sent. */
  onRefused(code: ErrorCode, nowMs: number): void {
    this.#settleOpen();
    if (this.#answer !== 'none') return;
    this.#answer = 'refused';
    this.#receiveState = 'ended';
    this.#receive.discard();
    this.#forgiveRest(nowMs);
    const silenced = this.#silenced;
    this.#silenced = true;
    this.#abortSending(code);
    if (!silenced) this.#opener?.onRefused(code);
    this.#endIfDone();
  }

  /** The session is over: tells the application, sends nothing. */
  sessionClosed(code: ErrorCode): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#dropUnsent();
    this.#receive.discard();
    if (this.#silenced || this.#allSaid) return;
    this.#silenced = true;
    if (this.#answer === 'none' && this.#opener !== undefined) this.#opener.onRefused(code);
    else this.#handlers?.onReset(code);
  }

  /** Both directions are finished for the application: the end of the session means nothing to it. */
  get #allSaid(): boolean {
    return this.#finTold && this.#sendSettled;
  }

  get #opener(): StreamHandlers | undefined {
    return this.#handlers !== undefined && 'onOpened' in this.#handlers ? this.#handlers : undefined;
  }

  // ---- sending

  /** Whether there are bytes (or a FIN) to send now, the session's credit aside. */
  get sendable(): boolean {
    if (this.#sendState !== 'open') return false;
    if (!this.#isProxy && this.#answer !== 'opened') return false;
    return this.#send.sendable(this.#creditEnd);
  }

  /** Whether what it has to send needs credit of the session. */
  get needsCredit(): boolean {
    return this.#send.lostBytes === 0 && this.#send.unsentBytes > 0;
  }

  /** Whether it should pass bulk transfers: little was sent since it was quiet, or something was lost. */
  get prompt(): boolean {
    return this.#promptLeft > 0 || this.#send.lostBytes > 0;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get heldBytes(): number {
    return this.#receive.heldBytes;
  }

  get windowBytes(): number {
    return this.#window.windowBytes;
  }

  /** Writes one DATA frame. Returns the bytes of new credit it took, or undefined when nothing was written. */
  writeData(builder: PacketBuilder, sessionCredit: number): { newBytes: number; bytes: number } | undefined {
    if (builder !== this.#openingIn) this.#writeOpening(builder);
    const creditEnd = Math.min(this.#creditEnd, this.#send.sentBytes + Math.max(0, sessionCredit));
    const piece = builder.data(this, this.id, this.#send, creditEnd);
    if (piece === undefined) return undefined;
    this.#promptLeft -= piece.length;
    this.#queueChanged();
    if (this.#send.queuedBytes === 0) this.#promptLeft = PROMPT_BYTES;
    if (this.#drainWanted && this.#send.unsentBytes <= this.#options.unsentHighWaterBytes / 2) {
      this.#drainWanted = false;
      this.#host.deferDrain(this);
    }
    return { newBytes: piece.newBytes, bytes: piece.length };
  }

  drained(): void {
    if (!this.#silenced && (this.#sendState === 'reset' || !this.#send.finished)) this.#handlers?.onDrain();
  }

  /** OPEN and OPENED ride with the first bytes until they are known to have come, since packets overtake each other. */
  #writeOpening(builder: PacketBuilder): void {
    if (!this.#openSettled) this.#writeOpen(builder);
    else if (!this.#answerSettled) this.#writeAnswer(builder);
  }

  #writeOpen(builder: PacketBuilder): boolean {
    this.#openingIn = builder;
    const target = this.#options.target;
    if (target === undefined || this.#hostBytes === undefined) return true;
    if (!builder.open(this, this.id, kindNumber(target.kind), this.#hostBytes, target.port)) return false;
    this.#owes &= ~OWES.OPEN;
    return true;
  }

  #writeAnswer(builder: PacketBuilder): boolean {
    this.#openingIn = builder;
    const written =
      this.#answer === 'opened'
        ? builder.opened(this, this.id, hostBytes(this.#bound.host), this.#bound.port)
        : builder.refused(this, this.id, errorNumber(this.#refusal));
    if (written) this.#owes &= ~OWES.ANSWER;
    return written;
  }

  /** Writes what control frames it owes. False when they did not all fit. */
  writeControl(builder: PacketBuilder): boolean {
    if (this.#owes & OWES.OPEN && !this.#writeOpen(builder)) return false;
    if (this.#owes & OWES.ANSWER && !this.#writeAnswer(builder)) return false;
    if (this.#owes & OWES.RESET) {
      if (!builder.reset(this, this.id, errorNumber(this.#resetCode), this.#send.sentBytes)) return false;
      this.#owes &= ~OWES.RESET;
    }
    if (this.#owes & OWES.STOP) {
      if (!builder.stop(this, this.id, errorNumber(this.#stopCode))) return false;
      this.#owes &= ~OWES.STOP;
    }
    if (this.#owes & OWES.MAX) {
      if (!builder.maxStreamData(this, this.id, this.#window.limit)) return false;
      this.#owes &= ~OWES.MAX;
    }
    return true;
  }

  frameAcked(frame: SentFrame): void {
    switch (frame.type) {
      case FRAME.DATA:
        this.#send.onAcked(frame.offset, frame.length, frame.fin);
        this.#queueChanged();
        this.#host.wantData(this);
        break;
      case FRAME.OPEN:
        this.#settleOpen();
        break;
      case FRAME.OPENED:
      case FRAME.REFUSED:
        this.#answerSettled = true;
        this.#owes &= ~OWES.ANSWER;
        break;
      case FRAME.RESET:
        this.#sendState = 'ended';
        this.#owes &= ~OWES.RESET;
        break;
      case FRAME.STOP:
        this.#owes &= ~OWES.STOP;
        break;
    }
    this.#endIfDone();
  }

  frameLost(frame: SentFrame): void {
    if (this.#gone) return;
    switch (frame.type) {
      case FRAME.DATA:
        this.#send.onLost(frame.offset, frame.length, frame.fin);
        this.#queueChanged();
        this.#host.wantData(this);
        break;
      case FRAME.OPEN:
        if (!this.#openSettled) this.#owe(OWES.OPEN);
        break;
      case FRAME.OPENED:
      case FRAME.REFUSED:
        if (!this.#answerSettled) this.#owe(OWES.ANSWER);
        break;
      case FRAME.RESET:
        if (this.#sendState === 'reset') this.#owe(OWES.RESET);
        break;
      case FRAME.STOP:
        if (this.#receiveState !== 'ended') this.#owe(OWES.STOP);
        break;
      case FRAME.MAX_STREAM_DATA:
        if (this.#receiveState === 'open' && this.#receive.finalSize === undefined) this.#owe(OWES.MAX);
        break;
    }
  }

  // ---- inside

  #owe(what: number): void {
    this.#owes |= what;
    this.#host.wantControl(this);
  }

  #settleOpen(): void {
    this.#openSettled = true;
    this.#owes &= ~OWES.OPEN;
  }

  get #sendSettled(): boolean {
    return this.#sendState === 'ended' || (this.#sendState === 'open' && this.#send.done);
  }

  #abortSending(code: ErrorCode): void {
    if (this.#sendState !== 'open' || this.#send.done) return;
    const awaited = this.#drainWanted && !this.#send.finished;
    this.#dropUnsent();
    this.#sendState = 'reset';
    this.#resetCode = code;
    this.#settleOpen();
    this.#owe(OWES.RESET);
    this.#drainWanted = false;
    // Whoever waits to write goes on: what it writes now is discarded.
    if (awaited) this.#host.deferDrain(this);
  }

  /** Gives up what the send buffer holds. */
  #dropUnsent(): void {
    this.#send.abort();
    this.#queueChanged();
  }

  #queueChanged(): void {
    const { queuedBytes, retainedBytes } = this.#send;
    this.#host.queuedChanged(queuedBytes - this.#queuedBytes, retainedBytes - this.#retainedBytes);
    this.#queuedBytes = queuedBytes;
    this.#retainedBytes = retainedBytes;
  }

  /**
   * Up to which offset new bytes may go: the peer's credit, but never further ahead of what it acknowledged than our
   * own bound, since all of that is kept here.
   */
  get #creditEnd(): number {
    const { sentBytes, retainedBytes } = this.#send;
    return Math.min(this.#peerLimit, sentBytes - retainedBytes + this.#options.maxWindowBytes);
  }

  #stopReceiving(code: ErrorCode, nowMs: number): void {
    if (this.#receiveState !== 'open') return;
    this.#discard(nowMs);
    if (this.#receive.complete) return;
    this.#stopCode = code;
    this.#owe(OWES.STOP);
  }

  /** From now on bytes of the peer are only counted. */
  #discard(nowMs: number): void {
    if (this.#receiveState !== 'open') return;
    this.#receive.discard();
    this.#owes &= ~OWES.MAX;
    this.#receiveState = this.#receive.complete ? 'ended' : 'discarding';
    this.#credit(this.#receive.highestBytes, nowMs);
  }

  /** The application will consume no more: gives back all credit it still owed. */
  #forgiveRest(nowMs: number): void {
    this.#credit(this.#receive.highestBytes, nowMs);
    this.#consumedBytes = this.#receive.deliveredBytes;
  }

  /** Brings what the session has back of this stream up to `total`. */
  #credit(total: number, nowMs: number): void {
    const bytes = total - this.#creditedBytes;
    if (bytes <= 0) return;
    this.#creditedBytes = total;
    this.#host.creditSession(bytes, nowMs);
  }

  /** The peer broke off: our half ends too, as TCP's would. */
  #breakOff(code: ErrorCode): void {
    const opening = this.#isProxy && this.#answer === 'none';
    if (opening) this.#answer = 'refused';
    this.#abortSending(code);
    const silenced = this.#silenced;
    this.#silenced = true;
    if (silenced) return;
    if (opening) this.#opener?.onRefused(code);
    else this.#handlers?.onReset(code);
  }

  #mayDeliver(): boolean {
    const out = this.#receive.deliveredBytes - this.#consumedBytes;
    return out < MAX_DELIVERED_BYTES && this.#piecesOut < MAX_DELIVERED_PIECES;
  }

  #hand(bytes: Uint8Array): void {
    this.#piecesOut++;
    if (!this.#silenced) this.#handlers?.onData(bytes);
  }

  /** Hands on what is in order, as far as the application keeps up, and the FIN after the last byte. */
  #deliver(nowMs: number): void {
    if (!this.#deliverable) return;
    while (this.#receiveState === 'open' && this.#mayDeliver()) {
      const bytes = this.#receive.drain();
      if (bytes === undefined) break;
      this.#hand(bytes);
    }
    if (this.#receiveState !== 'open' || !this.#receive.complete || this.#finTold) return;
    this.#finTold = true;
    this.#receiveState = 'ended';
    this.#owes &= ~OWES.MAX;
    this.#credit(this.#consumedBytes, nowMs);
    if (!this.#silenced) this.#handlers?.onFin();
  }

  #endIfDone(): void {
    if (this.#gone || !this.#sendSettled || this.#receiveState !== 'ended') return;
    if (!this.#answerSettled || !this.#openSettled) return;
    if (this.#consumedBytes < this.#receive.deliveredBytes) return;
    this.#gone = true;
    this.#host.ended(this);
  }
}
