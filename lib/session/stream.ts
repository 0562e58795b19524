/**
 * One stream at one end: a sending and a receiving half, each with an end of its own (RFC 9000 section 3), the answer to
 * the opening, and the control frames it owes the peer.
 *
 * A stream is gone when both halves are settled with the peer, the answer was heard, and the application has given
 * all credit back: nothing about it is remembered then but its number.
 * @module
 */
import type { ErrorCode } from '../errors.ts';
import { type DatagramHost, DatagramQueue, maxDatagramBytes } from './datagrams.ts';
import { FRAME } from './frames.ts';
import { type FrameOwner, hostBytes, type PacketBuilder, type SentFrame } from './packet-builder.ts';
import { errorNumber, kindNumber } from './reasons.ts';
import { type InboxHost, type InboxReader, StreamInbox } from './stream-inbox.ts';
import { type DataWritten, type OutboxHost, StreamOutbox } from './stream-outbox.ts';
import type { AcceptedHandlers, AcceptedStream, BoundAddress, StreamHandlers, StreamTarget } from './types.ts';

/** What a stream needs of its session. */
export interface StreamHost extends InboxHost, OutboxHost, DatagramHost {
  /** It has control frames to send. */
  wantControl(stream: Stream): void;
  /** It may have bytes to send. */
  wantData(stream: Stream): void;
  /** It has datagrams to send. */
  wantDatagrams(stream: Stream): void;
  /** Wants `onDrain` to be called soon, but not from inside the making of a packet. */
  deferDrain(stream: Stream): void;
  ended(stream: Stream): void;
  /** Something may have become content. */
  wake(nowMs: number): void;
}

export interface StreamOptions {
  readonly id: number;
  /** The proxy's end has a target; the requester's is accepted when OPEN comes. */
  readonly target?: StreamTarget;
  readonly windowBytes: number;
  readonly maxWindowBytes: number;
  readonly peerWindowBytes: number;
  readonly unsentHighWaterBytes: number;
  readonly payloadBytes: number;
  readonly datagramQueueBytes: number;
}

/** Control frames that a stream can owe: a bit each. */
const OWES = { OPEN: 1, ANSWER: 2, RESET: 4, STOP: 8, MAX: 16 } as const;

export class Stream implements AcceptedStream, FrameOwner, InboxReader {
  readonly id: number;
  readonly #host: StreamHost;
  readonly #options: StreamOptions;
  readonly #outbox: StreamOutbox;
  readonly #inbox: StreamInbox;
  readonly #datagrams: DatagramQueue;
  #handlers: AcceptedHandlers | undefined;
  /** The same at the proxy's end, which hears of the opening too. */
  readonly #opener: StreamHandlers | undefined;
  /** `none`: OPEN or the decision is outstanding. */
  #answer: 'none' | 'opened' | 'refused' = 'none';
  /** The peer is known to have OPEN (proxy), OPENED or REFUSED (requester). */
  #openSettled: boolean;
  #answerSettled: boolean;
  #bound: BoundAddress = { host: '', port: 0 };
  #refusal: ErrorCode = 'INTERNAL';
  #resetCode: ErrorCode = 'RESET';
  #stopCode: ErrorCode = 'RESET';
  /** The code of a RESET whose bytes the session still has to count. */
  #resetHeard: ErrorCode | undefined;
  #owes = 0;
  /** The packet that carries OPEN or OPENED already. */
  #openingIn: PacketBuilder | undefined;
  /** The application has been told the end, or said it. */
  #silenced = false;
  #drainWanted = false;
  #gone = false;
  /** Where the scheduler has it. */
  place: 'none' | 'prompt' | 'bulk' | 'parked' = 'none';
  controlQueued = false;
  datagramsQueued = false;

  constructor(host: StreamHost, options: StreamOptions, nowMs: number, handlers?: StreamHandlers) {
    const { id, target, windowBytes, maxWindowBytes, peerWindowBytes } = options;
    this.id = id;
    this.#host = host;
    this.#options = options;
    this.#handlers = handlers;
    this.#opener = handlers;
    this.#outbox = new StreamOutbox(host, peerWindowBytes, maxWindowBytes);
    this.#inbox = new StreamInbox(host, this, windowBytes, maxWindowBytes, nowMs);
    this.#datagrams = new DatagramQueue(host, options.datagramQueueBytes);
    this.#openSettled = target === undefined;
    this.#answerSettled = target !== undefined;
    if (target !== undefined) this.#owe(OWES.OPEN);
  }

  get #isProxy(): boolean {
    return this.#options.target !== undefined;
  }

  // ---- the application's side

  write(bytes: Uint8Array, nowMs: number): boolean {
    if (!this.#outbox.writable || bytes.byteLength === 0) return true;
    this.#outbox.write(bytes);
    this.#host.wantData(this);
    this.#host.wake(nowMs);
    this.#drainWanted = this.#outbox.unsentBytes >= this.#options.unsentHighWaterBytes;
    return !this.#drainWanted;
  }

  sendDatagram(host: string, port: number, bytes: Uint8Array, nowMs: number): boolean {
    if (!this.#outbox.writable || this.#answer !== 'opened') return true; // lost, as datagrams are
    const hostText = hostBytes(host);
    if (bytes.byteLength > maxDatagramBytes(this.#options.payloadBytes, hostText.byteLength)) return false;
    this.#datagrams.push(hostText, port, bytes);
    this.#host.wantDatagrams(this);
    this.#host.wake(nowMs);
    return true;
  }

  end(nowMs: number): void {
    if (!this.#outbox.writable) return;
    this.#outbox.finish();
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
    this.#host.wake(nowMs);
    this.#endIfDone();
  }

  stop(code: ErrorCode, nowMs: number): void {
    if (this.#gone) return;
    if (this.#inbox.open) this.#stopReceiving(code, nowMs);
    this.#host.wake(nowMs);
    this.#endIfDone();
  }

  consume(bytes: number, nowMs: number): void {
    if (this.#gone) return;
    if (this.#inbox.consume(bytes, nowMs)) this.#oweCredit();
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
    if (!this.#outbox.resetting) this.#outbox.end();
    this.#owe(OWES.ANSWER);
    this.#inbox.discard(nowMs);
    this.#host.wake(nowMs);
    this.#endIfDone();
  }

  // ---- the peer's side

  /** Whether OPEN would be welcome: not a second time, nor after a RESET that came first. */
  get acceptable(): boolean {
    return this.#handlers === undefined && this.#answer === 'none' && !this.#inbox.ended;
  }

  /** Requester: gives the stream its handlers; held bytes are delivered. */
  attach(handlers: AcceptedHandlers, nowMs: number): void {
    this.#handlers = handlers;
    this.#inbox.deliver(nowMs);
  }

  /** Takes a DATA frame. Returns by how much the stream's highest byte grew, or a breach of the rules. */
  onData(offset: number, bytes: Uint8Array, fin: boolean): number | 'violation' {
    return this.#inbox.receive(offset, bytes, fin);
  }

  /** After `onData`, once the session has counted the bytes. */
  afterData(nowMs: number): void {
    if (this.#inbox.settle(nowMs)) this.#oweCredit();
    this.#endIfDone();
  }

  /** Takes a DATAGRAM frame. */
  onDatagram(host: string, port: number, bytes: Uint8Array): void {
    if (this.ready && this.#inbox.open && !this.#silenced) this.#handlers?.onDatagram?.(host, port, bytes);
  }

  /** Takes a RESET frame. Returns by how much the session's count of received bytes grows, or a breach of the rules. */
  onReset(code: ErrorCode, finalSize: number): number | 'violation' {
    // With FIN and all bytes here, though perhaps not yet taken, a RESET comes too late to matter.
    const late = this.#inbox.allArrived;
    const grown = this.#inbox.finish(finalSize);
    if (grown !== 'violation' && !late) this.#resetHeard = code;
    return grown;
  }

  afterReset(nowMs: number): void {
    const code = this.#resetHeard;
    if (this.#inbox.ended || code === undefined) return;
    const wasOpen = this.#inbox.open;
    this.#inbox.end(nowMs);
    if (wasOpen) this.#breakOff(code);
    if (!this.#isProxy && this.#answer === 'none') {
      this.#answer = 'refused';
      this.#answerSettled = true;
    }
    this.#endIfDone();
  }

  /** Takes a STOP frame: the peer reads no more. */
  onStop(code: ErrorCode, nowMs: number): void {
    if (this.#outbox.settled) return;
    if (this.#inbox.finTold || (this.#inbox.open && this.#inbox.allArrived)) {
      // It had finished sending and now reads no more: nothing is left of the connection.
      this.#inbox.discard(nowMs);
      this.#breakOff(code);
    } else {
      this.#abortSending(code);
    }
    this.#endIfDone();
  }

  onMaxStreamData(limit: number): void {
    if (this.#outbox.raise(limit)) this.#host.wantData(this);
  }

  /** Proxy: the requester has connected. */
  onOpened(bound: BoundAddress, nowMs: number): void {
    this.#settleOpen();
    if (this.#answer !== 'none') return;
    this.#answer = 'opened';
    if (this.#silenced) return;
    this.#opener?.onOpened(bound);
    this.#inbox.deliver(nowMs);
    this.#endIfDone();
  }

  /** Proxy: the requester has not connected. Our half ends with a RESET, which tells it how much we had sent. */
  onRefused(code: ErrorCode, nowMs: number): void {
    this.#settleOpen();
    if (this.#answer !== 'none') return;
    this.#answer = 'refused';
    this.#inbox.end(nowMs);
    this.#abortSending(code);
    this.#tell(() => this.#opener?.onRefused(code));
    this.#endIfDone();
  }

  /** The session is over: tells the application, sends nothing. */
  sessionClosed(code: ErrorCode): void {
    if (this.#gone) return;
    this.#gone = true;
    const allSaid = this.#inbox.finTold && this.#outbox.settled;
    this.#outbox.end();
    this.#datagrams.clear();
    if (!allSaid) this.#tellBroken(code);
  }

  // ---- reading: what the inbox reports

  /** Whether the application may be told about bytes. */
  get ready(): boolean {
    return this.#handlers !== undefined && (!this.#isProxy || this.#answer === 'opened');
  }

  onBytes(bytes: Uint8Array): void {
    if (!this.#silenced) this.#handlers?.onData(bytes);
  }

  onFin(): void {
    this.#owes &= ~OWES.MAX;
    if (!this.#silenced) this.#handlers?.onFin();
  }

  // ---- sending

  get sendable(): boolean {
    return this.#outbox.sendable && (this.#isProxy || this.#answer === 'opened');
  }

  get needsCredit(): boolean {
    return this.#outbox.needsCredit;
  }

  get prompt(): boolean {
    return this.#outbox.prompt;
  }

  get heldBytes(): number {
    return this.#inbox.heldBytes;
  }

  /**
   * Writes one DATA frame, or nothing when there is no room. OPEN and OPENED ride with the first bytes until they are
   * known to have come, since packets overtake each other.
   */
  writeData(builder: PacketBuilder, sessionCredit: number): DataWritten | undefined {
    if (builder !== this.#openingIn) {
      if (!this.#openSettled) this.#writeOpen(builder);
      else if (!this.#answerSettled) this.#writeAnswer(builder);
    }
    const written = this.#outbox.writeData(builder, this, this.id, sessionCredit);
    if (this.#drainWanted && this.#outbox.unsentBytes <= this.#options.unsentHighWaterBytes / 2) {
      this.#drainWanted = false;
      this.#host.deferDrain(this);
    }
    return written;
  }

  get hasDatagrams(): boolean {
    return !this.#datagrams.empty;
  }

  /** Writes what datagrams fit. Returns their bytes, or undefined when none fits. */
  writeDatagrams(builder: PacketBuilder): number | undefined {
    return this.#datagrams.writeTo(builder, this, this.id);
  }

  drained(): void {
    if (!this.#silenced && !this.#outbox.finished) this.#handlers?.onDrain();
  }

  /** Writes what control frames it owes. False when they did not all fit. */
  writeControl(builder: PacketBuilder): boolean {
    return (
      this.#pay(OWES.OPEN, () => this.#writeOpen(builder)) &&
      this.#pay(OWES.ANSWER, () => this.#writeAnswer(builder)) &&
      this.#pay(OWES.RESET, () => builder.reset(this, this.id, errorNumber(this.#resetCode), this.#outbox.sentBytes)) &&
      this.#pay(OWES.STOP, () => builder.stop(this, this.id, errorNumber(this.#stopCode))) &&
      this.#pay(OWES.MAX, () => builder.maxStreamData(this, this.id, this.#inbox.limit))
    );
  }

  #pay(what: number, write: () => boolean): boolean {
    if ((this.#owes & what) === 0) return true;
    if (!write()) return false;
    this.#owes &= ~what;
    return true;
  }

  #writeOpen(builder: PacketBuilder): boolean {
    const { target } = this.#options;
    if (target === undefined) return true;
    if (!builder.open(this, this.id, kindNumber(target.kind), hostBytes(target.host), target.port)) return false;
    this.#openingIn = builder;
    this.#owes &= ~OWES.OPEN;
    return true;
  }

  #writeAnswer(builder: PacketBuilder): boolean {
    const written =
      this.#answer === 'opened'
        ? builder.opened(this, this.id, hostBytes(this.#bound.host), this.#bound.port)
        : builder.refused(this, this.id, errorNumber(this.#refusal));
    if (!written) return false;
    this.#openingIn = builder;
    this.#owes &= ~OWES.ANSWER;
    return true;
  }

  frameAcked(frame: SentFrame): void {
    switch (frame.type) {
      case FRAME.DATA:
        this.#outbox.onAcked(frame);
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
        this.#outbox.end();
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
        this.#outbox.onLost(frame);
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
        if (this.#outbox.resetting) this.#owe(OWES.RESET);
        break;
      case FRAME.STOP:
        if (!this.#inbox.ended) this.#owe(OWES.STOP);
        break;
      case FRAME.MAX_STREAM_DATA:
        this.#oweCredit();
        break;
    }
  }

  // ---- inside

  #owe(what: number): void {
    this.#owes |= what;
    this.#host.wantControl(this);
  }

  #oweCredit(): void {
    if (this.#inbox.wantsBytes) this.#owe(OWES.MAX);
  }

  #settleOpen(): void {
    this.#openSettled = true;
    this.#owes &= ~OWES.OPEN;
  }

  #abortSending(code: ErrorCode): void {
    this.#datagrams.clear();
    if (!this.#outbox.abort()) return;
    this.#resetCode = code;
    this.#settleOpen(); // RESET opens and ends it at the requester
    this.#owe(OWES.RESET);
    if (!this.#drainWanted) return;
    this.#drainWanted = false;
    this.#host.deferDrain(this); // whoever waits to write goes on: what it writes now is discarded
  }

  #stopReceiving(code: ErrorCode, nowMs: number): void {
    const wasOpen = this.#inbox.open;
    this.#inbox.discard(nowMs);
    this.#owes &= ~OWES.MAX;
    if (!wasOpen || this.#inbox.ended) return;
    this.#stopCode = code;
    this.#owe(OWES.STOP);
  }

  /** The peer broke off: our half ends too, as TCP's would. */
  #breakOff(code: ErrorCode): void {
    this.#abortSending(code);
    this.#tellBroken(code);
  }

  #tellBroken(code: ErrorCode): void {
    const opener = this.#answer === 'none' ? this.#opener : undefined;
    if (opener !== undefined) this.#answer = 'refused';
    this.#tell(() => (opener === undefined ? this.#handlers?.onReset(code) : opener.onRefused(code)));
  }

  /** Tells the application the end, unless it knows. */
  #tell(say: () => void): void {
    if (this.#silenced) return;
    this.#silenced = true;
    say();
  }

  #endIfDone(): void {
    if (this.#gone || !this.#outbox.settled || !this.#inbox.ended || !this.#inbox.consumed) return;
    if (!this.#answerSettled || !this.#openSettled) return;
    this.#gone = true;
    this.#datagrams.clear();
    this.#host.ended(this);
  }
}
