/**
 * One stream at one end: a sending and a receiving half, each with an end of its own (RFC 9000 section 3), what it says
 * besides bytes, and what its application is told.
 *
 * A stream is gone when both halves are settled with the peer, the answer was heard, and the application has given
 * all credit back: nothing about it is remembered then but its number.
 * @module
 */
import type { ErrorCode } from '../errors.ts';
import { type DatagramHost, DatagramQueue, maxDatagramBytes } from './datagrams.ts';
import { FRAME } from './frames.ts';
import { type FrameOwner, hostBytes, type PacketBuilder, type SentFrame } from './packet-builder.ts';
import { type ControlHost, StreamControl } from './stream-control.ts';
import { type InboxHost, type InboxReader, StreamInbox } from './stream-inbox.ts';
import { StreamListener } from './stream-listener.ts';
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

export class Stream implements AcceptedStream, FrameOwner, InboxReader, ControlHost {
  readonly id: number;
  readonly #host: StreamHost;
  readonly #options: StreamOptions;
  readonly #outbox: StreamOutbox;
  readonly #inbox: StreamInbox;
  readonly #control: StreamControl;
  readonly #datagrams: DatagramQueue;
  readonly #listener: StreamListener;
  /** `none`: OPEN or the decision is outstanding. */
  #answer: 'none' | 'opened' | 'refused' = 'none';
  /** The code of a RESET whose bytes the session still has to count. */
  #resetHeard: ErrorCode | undefined;
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
    this.#listener = new StreamListener(handlers);
    this.#outbox = new StreamOutbox(host, peerWindowBytes, maxWindowBytes);
    this.#inbox = new StreamInbox(host, this, windowBytes, maxWindowBytes, nowMs);
    this.#datagrams = new DatagramQueue(host, options.datagramQueueBytes);
    this.#control = new StreamControl(this, id, target, this.#outbox, this.#inbox);
    if (this.#isProxy) this.onControlOwed();
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
    this.#listener.silence();
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
    if (this.#inbox.consume(bytes, nowMs)) this.#control.credit();
    this.#host.wake(nowMs);
    this.#endIfDone();
  }

  opened(bound: BoundAddress, nowMs: number): void {
    if (this.#answer !== 'none' || this.#gone || this.#isProxy) return;
    this.#answer = 'opened';
    this.#control.answer(bound);
    this.#host.wantData(this);
    this.#host.wake(nowMs);
  }

  refuse(code: ErrorCode, nowMs: number): void {
    if (this.#answer !== 'none' || this.#gone || this.#isProxy) return;
    this.#listener.silence();
    this.#answer = 'refused';
    if (!this.#outbox.resetting) this.#outbox.end();
    this.#control.answer(code);
    this.#inbox.discard(nowMs);
    this.#host.wake(nowMs);
    this.#endIfDone();
  }

  // ---- the peer's side

  /** Whether OPEN would be welcome: not a second time, nor after a RESET that came first. */
  get acceptable(): boolean {
    return !this.#listener.attached && this.#answer === 'none' && !this.#inbox.ended;
  }

  /** Requester: gives the stream its handlers; held bytes are delivered. */
  attach(handlers: AcceptedHandlers, nowMs: number): void {
    this.#listener.attach(handlers);
    this.#inbox.deliver(nowMs);
  }

  /** Takes a DATA frame. Returns by how much the stream's highest byte grew, or a breach of the rules. */
  onData(offset: number, bytes: Uint8Array, fin: boolean): number | 'violation' {
    return this.#inbox.receive(offset, bytes, fin);
  }

  /** After `onData`, once the session has counted the bytes. */
  afterData(nowMs: number): void {
    if (this.#inbox.settle(nowMs)) this.#control.credit();
    this.#endIfDone();
  }

  /** Takes a DATAGRAM frame. */
  onDatagram(host: string, port: number, bytes: Uint8Array): void {
    if (this.ready && this.#inbox.open) this.#listener.onDatagram(host, port, bytes);
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
      this.#control.answerNeedless();
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
    this.#control.openHeard();
    if (this.#answer !== 'none') return;
    this.#answer = 'opened';
    if (this.#listener.silenced) return;
    this.#listener.onOpened(bound);
    this.#inbox.deliver(nowMs);
    this.#endIfDone();
  }

  /** Proxy: the requester has not connected. Our half ends with a RESET, which tells it how much we had sent. */
  onRefused(code: ErrorCode, nowMs: number): void {
    this.#control.openHeard();
    if (this.#answer !== 'none') return;
    this.#answer = 'refused';
    this.#inbox.end(nowMs);
    this.#abortSending(code);
    this.#listener.onRefused(code);
    this.#endIfDone();
  }

  /** The session is over: tells the application, sends nothing. */
  sessionClosed(code: ErrorCode): void {
    if (this.#gone) return;
    this.#leave();
    const allSaid = this.#inbox.finTold && this.#outbox.settled;
    this.#outbox.end();
    if (!allSaid) this.#tellBroken(code);
  }

  // ---- reading: what the inbox reports

  /** Whether the application may be told about bytes. */
  get ready(): boolean {
    return this.#listener.attached && (!this.#isProxy || this.#answer === 'opened');
  }

  onBytes(bytes: Uint8Array): void {
    this.#listener.onData(bytes);
  }

  onFin(): void {
    this.#control.creditNeedless();
    this.#listener.onFin();
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

  /** Writes one DATA frame, or nothing when there is no room. */
  writeData(builder: PacketBuilder, sessionCredit: number): DataWritten | undefined {
    this.#control.writeOpening(builder);
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
    if (!this.#outbox.finished) this.#listener.onDrain();
  }

  /** Writes what control frames it owes. False when they did not all fit. */
  writeControl(builder: PacketBuilder): boolean {
    return this.#control.write(builder);
  }

  /** DATA and DATAGRAM frames are its own. A datagram is sent once, whatever becomes of it. */
  frameAcked(frame: SentFrame): void {
    if (frame.type !== FRAME.DATA) return;
    this.#outbox.onAcked(frame);
    this.#host.wantData(this);
    this.#endIfDone();
  }

  frameLost(frame: SentFrame): void {
    if (this.#gone || frame.type !== FRAME.DATA) return;
    this.#outbox.onLost(frame);
    this.#host.wantData(this);
  }

  onControlOwed(): void {
    this.#host.wantControl(this);
  }

  onControlSettled(): void {
    this.#endIfDone();
  }

  // ---- inside

  #abortSending(code: ErrorCode): void {
    this.#datagrams.clear();
    if (!this.#outbox.abort()) return;
    this.#control.reset(code);
    if (!this.#drainWanted) return;
    this.#drainWanted = false;
    this.#host.deferDrain(this); // whoever waits to write goes on: what it writes now is discarded
  }

  #stopReceiving(code: ErrorCode, nowMs: number): void {
    const wasOpen = this.#inbox.open;
    this.#inbox.discard(nowMs);
    this.#control.creditNeedless();
    if (!wasOpen || this.#inbox.ended) return;
    this.#control.stop(code);
  }

  /** The peer broke off: our half ends too, as TCP's would. */
  #breakOff(code: ErrorCode): void {
    this.#abortSending(code);
    this.#tellBroken(code);
  }

  #tellBroken(code: ErrorCode): void {
    if (this.#answer === 'none' && this.#listener.isOpener) {
      this.#answer = 'refused';
      this.#listener.onRefused(code);
    } else {
      this.#listener.onReset(code);
    }
  }

  #endIfDone(): void {
    if (this.#gone || !this.#outbox.settled || !this.#inbox.ended || !this.#inbox.consumed) return;
    if (!this.#control.settled) return;
    this.#leave();
    this.#host.ended(this);
  }

  #leave(): void {
    this.#gone = true;
    this.#control.close();
    this.#datagrams.clear();
  }
}
