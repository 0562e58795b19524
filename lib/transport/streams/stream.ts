/**
 * One end of a stream: a sending and a receiving part, each with an end of its own (RFC 9000 section 3), control frames,
 * datagrams, and the application's handlers. What differs between the ends is in proxy-stream.ts and requester-stream.ts.
 * It is gone when the peer knows the end of both parts, the opening is answered, and the application gave all credit back.
 * @module
 */
import type { ErrorCode } from '../../core/errors.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { AcceptedHandlers, SessionStream, StreamTarget } from '../types.ts';
import { FRAME } from '../wire/frames.ts';
import { type FrameOwner, hostBytes, type PacketBuilder, type SentFrame } from '../wire/packet-builder.ts';
import { DatagramQueue, maxDatagramBytes } from './datagrams.ts';
import { ReceiveStream } from './receive-stream.ts';
import { type DataWritten, SendStream } from './send-stream.ts';
import { StreamControl } from './stream-control.ts';
import type { StreamHost, StreamOptions } from './stream-host.ts';

export abstract class Stream implements SessionStream, FrameOwner {
  readonly id: number;
  readonly send: SendStream;
  readonly receive: ReceiveStream;
  readonly control: StreamControl;
  readonly datagrams: DatagramQueue;
  protected handlers: AcceptedHandlers | undefined;
  /** The application knows the end, or has said it: it learns nothing more. */
  protected silenced = false;
  /** `none`: OPEN or the decision is outstanding. */
  protected answer: 'none' | 'opened' | 'refused' = 'none';
  /** STOP of the peer. */
  #stopReceived: ErrorCode | undefined;
  #drainWanted = false;
  protected gone = false;
  /** The scheduler's queue that it is in. */
  queuedIn: 'none' | 'prompt' | 'bulk' = 'none';
  controlQueued = false;
  datagramsQueued = false;

  constructor(
    protected readonly host: StreamHost<Stream>,
    protected readonly options: StreamOptions,
    nowMs: MonotonicMs,
    target?: StreamTarget,
  ) {
    this.id = options.id;
    const shed = () => this.shed();
    this.send = new SendStream(host.flow, options.peerWindowBytes, options.limits.maxStreamWindowBytes, shed);
    this.receive = new ReceiveStream(host.flow, options.limits, nowMs, shed);
    this.datagrams = new DatagramQueue(host.flow, options.limits.datagramQueueBytes);
    this.control = new StreamControl(this, this.id, target, this.send, this.receive);
  }

  /** Whether the application may be given bytes. */
  protected abstract get ready(): boolean;
  /** Whether bytes may be sent to the peer. */
  protected abstract get maySend(): boolean;

  // ---- the application's side
  write(bytes: Uint8Array, nowMs: MonotonicMs): boolean {
    if (!this.send.writable || bytes.byteLength === 0) return true;
    this.send.write(bytes);
    this.host.wantData(this);
    this.host.wake(nowMs);
    this.#drainWanted = this.send.unsentBytes >= this.options.limits.unsentHighWaterBytes;
    return !this.#drainWanted;
  }

  sendDatagram(host: string, port: number, bytes: Uint8Array, nowMs: MonotonicMs): boolean {
    if (!this.send.writable || this.answer !== 'opened') return true; // lost, as datagrams are
    const hostText = hostBytes(host);
    if (bytes.byteLength > maxDatagramBytes(this.options.payloadBytes, hostText.byteLength)) return false;
    this.host.wantDatagrams(this, this.datagrams.push(hostText, port, bytes));
    this.host.wake(nowMs);
    return true;
  }

  end(nowMs: MonotonicMs): void {
    if (!this.send.writable) return;
    this.send.finish();
    this.host.wantData(this);
    this.host.wake(nowMs);
  }

  reset(code: ErrorCode, nowMs: MonotonicMs): void {
    this.breakUp(code, 'sent', nowMs);
  }

  endWithReset(code: ErrorCode, nowMs: MonotonicMs): void {
    if (this.send.finished) this.stop(code, nowMs);
    else this.breakUp(code, 'queued', nowMs);
  }

  /** Ends both parts, ours behind the bytes that are `queued` or that were `sent`. */
  protected breakUp(code: ErrorCode, behind: 'queued' | 'sent', nowMs: MonotonicMs): void {
    if (this.gone) return;
    this.silenced = true;
    this.resetSending(code, behind);
    this.#stopReceiving(code);
    this.host.wake(nowMs);
    this.endIfDone();
  }

  stop(code: ErrorCode, nowMs: MonotonicMs): void {
    if (this.gone) return;
    if (this.receive.open) this.#stopReceiving(code);
    this.host.wake(nowMs);
    this.endIfDone();
  }

  consume(bytes: number, nowMs: MonotonicMs): void {
    if (this.gone) return;
    const newCredit = this.receive.consume(bytes, nowMs);
    this.deliver();
    if (newCredit) this.sendCredit();
    this.host.wake(nowMs);
    this.endIfDone();
  }

  // ---- the peer's side
  /** Takes a DATA frame. Returns by how much the stream's highest byte grew, or a breach of the rules. */
  onData(offset: number, bytes: Uint8Array, fin: boolean): number | 'violation' {
    return this.receive.receive(offset, bytes, fin, this.ready);
  }

  /** After `onData`, once the session has counted the bytes. */
  afterData(): void {
    this.deliver();
    if (this.receive.settle()) this.sendCredit();
    this.endIfDone();
  }

  /** Takes a DATAGRAM frame. */
  onDatagram(host: string, port: number, bytes: Uint8Array): void {
    if (this.ready && this.receive.open && !this.silenced) this.handlers?.onDatagram?.(host, port, bytes);
  }

  /** Takes a RESET frame. Returns by how much the session's count of received bytes grows, or a breach of the rules. */
  onReset(code: ErrorCode, finalSize: number): number | 'violation' {
    return this.receive.reset(code, finalSize);
  }

  /** After `onReset`, once the session has counted the bytes. Our part ends at once, as TCP's would. */
  afterReset(): void {
    const { resetCode, ended, open } = this.receive;
    if (ended || resetCode === undefined) return;
    if (open && this.handlers !== undefined) this.deliver();
    else if (!this.awaitsOpening) this.endByReset(resetCode);
    if (open) this.resetSending(resetCode, 'nothing'); // else it answers our STOP, and says nothing about our part
    this.endIfDone();
  }

  /** Whether the bytes before a RESET wait for whoever will take them. */
  protected get awaitsOpening(): boolean {
    return false;
  }

  protected endByReset(code: ErrorCode): void {
    if (this.receive.open) this.breakOff(code);
    this.receive.end();
  }

  /** Takes a STOP frame: the peer reads no more. If it has finished sending too, nothing is left of the connection. */
  onStop(code: ErrorCode): void {
    if (this.send.settled) return;
    this.#stopReceived = code;
    if (this.receive.finDelivered) this.breakOff(code);
    else this.resetSending(code, 'nothing');
    this.endIfDone();
  }

  onMaxStreamData(limit: number): void {
    if (this.send.raise(limit)) this.host.wantData(this);
  }

  /** The session is over: notifies the application, sends nothing. */
  sessionClosed(code: ErrorCode): void {
    if (this.gone) return;
    this.gone = true;
    this.datagrams.clear();
    const complete = this.receive.finDelivered && this.send.settled;
    this.send.end();
    if (!complete) this.breakOff(code);
  }

  /** What it holds is wanted for others: both ends learn that it is over. */
  shed(): void {
    this.breakOff('LIMIT');
    this.endByReset('LIMIT');
    this.endIfDone();
  }

  // ---- sending
  get sendable(): boolean {
    return this.send.sendable && this.maySend;
  }

  /** Writes one DATA frame, or nothing when there is no space. */
  writeData(builder: PacketBuilder, sessionCredit: number): DataWritten | undefined {
    this.control.writeOpening(builder);
    const written = this.send.writeData(builder, this, this.id, sessionCredit);
    this.#sendReset();
    if (this.#drainWanted && this.send.unsentBytes <= this.options.limits.unsentHighWaterBytes / 2) {
      this.#drainWanted = false;
      this.host.deferDrain(this);
    }
    return written;
  }

  drained(): void {
    if (!this.send.finished && !this.silenced) this.handlers?.onDrain();
  }

  frameAcked(frame: SentFrame): void {
    if (frame.type === FRAME.DATA) this.send.onAcked(frame);
    else if (frame.type !== FRAME.DATAGRAM) this.control.onAcked(frame);
    this.host.wantData(this);
    this.endIfDone();
  }

  /** A datagram is sent once, whatever becomes of it. */
  frameLost(frame: SentFrame): void {
    if (this.gone || frame.type === FRAME.DATAGRAM) return;
    if (frame.type === FRAME.DATA) this.send.onLost(frame);
    else this.control.onLost(frame);
    this.host.wantData(this);
    this.queueControl();
  }

  // ---- inside
  /** Hands on what is in order, as far as the application keeps up, and the end after the last byte. */
  protected deliver(): void {
    if (!this.ready) return;
    for (let bytes = this.receive.next(); bytes !== undefined; bytes = this.receive.next()) {
      if (!this.silenced) this.handlers?.onData(bytes);
    }
    if (!this.receive.open || !this.receive.allDelivered) return;
    this.control.creditNeedless();
    if (this.receive.resetCode !== undefined) this.endByReset(this.receive.resetCode);
    else this.#deliverFin();
  }

  #deliverFin(): void {
    this.receive.takeFin();
    if (!this.silenced) this.handlers?.onFin();
    if (this.#stopReceived !== undefined) this.breakOff(this.#stopReceived);
  }

  protected queueControl(): void {
    if (this.control.owing) this.host.wantControl(this);
  }

  protected sendCredit(): void {
    this.control.credit();
    this.queueControl();
  }

  protected resetSending(code: ErrorCode, behind: 'queued' | 'sent' | 'nothing'): void {
    this.datagrams.clear();
    this.send.reset(code, behind);
    this.host.wantData(this);
    this.#sendReset();
    if (!this.#drainWanted || behind === 'queued') return;
    this.#drainWanted = false;
    this.host.deferDrain(this); // whoever waits to write goes on: what it writes now is discarded
  }

  #sendReset(): void {
    if (!this.send.takeResetDue()) return;
    this.control.reset();
    this.queueControl();
  }

  #stopReceiving(code: ErrorCode): void {
    const wasOpen = this.receive.open;
    this.receive.discard();
    this.control.creditNeedless();
    if (!wasOpen || this.receive.ended) return;
    this.control.stop(code);
    this.queueControl();
  }

  /** The peer broke off: our part ends too, as TCP's would. The application learns it once. */
  protected breakOff(code: ErrorCode): void {
    this.resetSending(code, 'nothing');
    this.receive.end();
    if (this.silenced) return;
    this.silenced = true;
    this.handlers?.onReset(code);
  }

  protected endIfDone(): void {
    if (this.gone || !this.send.settled || !this.receive.ended || !this.receive.consumed) return;
    if (!this.control.settled) return;
    this.gone = true;
    this.datagrams.clear();
    this.send.end(); // and what it keeps for further bytes
    this.host.ended(this);
  }
}
