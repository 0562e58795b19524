/**
 * All streams of one end of a session: who may send, the credit of the session as a whole, and the frames that
 * concern streams. What number a packet has and whether it arrived is the transport's business.
 * @module
 */
import type { ErrorCode } from '../errors.ts';
import { FRAME, type Frame } from './frames.ts';
import { INITIAL_STREAM_WINDOW_BYTES } from './limits.ts';
import type { FrameOwner, PacketBuilder, SentFrame } from './packet-builder.ts';
import { errorCode } from './reasons.ts';
import { SessionFlow } from './session-flow.ts';
import { Stream, type StreamHost } from './stream.ts';
import { StreamTable } from './stream-table.ts';
import type { SessionLimits, StreamHandlers, StreamTarget } from './types.ts';

/** What the streams need of the end that they belong to. */
export interface StreamsOwner {
  /** A time in which an answer to something sent now should have come. */
  readonly roundMs: number;
  readonly nowMs: number;
  /** The peer named a stream that the table does not have. A new stream, 'gone' when it is over, or a breach. */
  onUnknownStream(id: number, nowMs: number): Stream | 'gone' | 'violation';
  onStreamEnded(nowMs: number): void;
  /** Something may have become content. */
  onWake(nowMs: number): void;
}

/** A frame that concerns one stream. */
type StreamFrame = Extract<Frame, { type: 8 | 10 | 11 | 13 }>;

export class SessionStreams implements StreamHost, FrameOwner {
  readonly #table = new StreamTable();
  readonly #flow: SessionFlow;
  #peerStreamWindow = INITIAL_STREAM_WINDOW_BYTES;
  #peerWindowsKnown = false;
  /** Whether datagrams go before stream bytes in the next packet: they take turns. */
  #datagramsFirst = true;
  #deferredDrains: Stream[] = [];
  readonly counts = { bytesSent: 0, bytesDelivered: 0, streamsOpened: 0, datagramsDropped: 0 };

  constructor(
    private readonly owner: StreamsOwner,
    private readonly limits: SessionLimits,
    private readonly payloadBytes: number,
    nowMs: number,
  ) {
    this.#flow = new SessionFlow(limits, nowMs);
  }

  get size(): number {
    return this.#table.size;
  }

  get(id: number): Stream | undefined {
    return this.#table.get(id);
  }

  open(id: number, nowMs: number, target?: StreamTarget, handlers?: StreamHandlers): Stream {
    const { streamWindowBytes, maxStreamWindowBytes, unsentHighWaterBytes, datagramQueueBytes } = this.limits;
    const common = {
      id,
      windowBytes: streamWindowBytes,
      maxWindowBytes: maxStreamWindowBytes,
      peerWindowBytes: this.#peerStreamWindow,
      unsentHighWaterBytes,
      payloadBytes: this.payloadBytes,
      datagramQueueBytes,
    };
    const stream = new Stream(this, target === undefined ? common : { ...common, target }, nowMs, handlers);
    this.#table.add(stream);
    this.counts.streamsOpened++;
    return stream;
  }

  /** Refuses what the peer has neither opened nor refused. */
  refuseUnanswered(code: ErrorCode, nowMs: number): void {
    for (const stream of [...this.#table.values()]) stream.onRefused(code, nowMs);
  }

  /** Ends all at once, without a word to the peer. */
  close(code: ErrorCode): void {
    const streams = [...this.#table.values()];
    this.#table.clear();
    for (const stream of streams) stream.sessionClosed(code);
  }

  /** The requester learned the proxy's windows. Later HELLOs say the same, and may be overtaken by MAX_DATA. */
  setPeerWindows(sessionWindow: number, streamWindow: number): void {
    if (this.#peerWindowsKnown) return;
    this.#peerWindowsKnown = true;
    this.#peerStreamWindow = streamWindow;
    this.#flow.begin(sessionWindow);
  }

  // ---- what the peer says

  /** Takes a frame. `undefined`: it concerns no stream; false: it breaks the rules. */
  onFrame(frame: Frame, nowMs: number): boolean | undefined {
    switch (frame.type) {
      case FRAME.MAX_DATA:
        if (this.#flow.raise(frame.limit)) this.#table.unpark();
        return true;
      case FRAME.DATA:
      case FRAME.RESET:
      case FRAME.STOP:
      case FRAME.MAX_STREAM_DATA:
        return this.#onStreamFrame(frame, nowMs);
      case FRAME.DATAGRAM:
        // For a stream that is over, or that its OPEN has not opened yet: lost, as datagrams are.
        this.#table.get(frame.stream)?.onDatagram(frame.host, frame.port, frame.bytes);
        return true;
      default:
        return undefined;
    }
  }

  #onStreamFrame(frame: StreamFrame, nowMs: number): boolean {
    const stream = this.#table.get(frame.stream) ?? this.owner.onUnknownStream(frame.stream, nowMs);
    if (stream === 'gone') return true;
    if (stream === 'violation') return false;
    switch (frame.type) {
      case FRAME.DATA:
        if (!this.#grow(stream.onData(frame.offset, frame.bytes, frame.fin))) return false;
        stream.afterData(nowMs);
        return true;
      case FRAME.RESET:
        if (!this.#grow(stream.onReset(errorCode(frame.reason), frame.finalSize))) return false;
        stream.afterReset(nowMs);
        return true;
      case FRAME.STOP:
        stream.onStop(errorCode(frame.reason), nowMs);
        return true;
      case FRAME.MAX_STREAM_DATA:
        stream.onMaxStreamData(frame.limit);
        return true;
    }
  }

  #grow(bytes: number | 'violation'): boolean {
    return bytes !== 'violation' && this.#flow.onReceived(bytes);
  }

  // ---- what is written

  /** Whether control frames wait that must not wait for data. */
  get owesControl(): boolean {
    return this.#flow.creditOwed || this.#table.owesControl;
  }

  /** Whether stream bytes or datagrams can be sent. */
  get canSend(): boolean {
    return this.#table.hasDatagrams || this.#table.canSend(this.#flow.credit);
  }

  /** Bytes that wait to be sent, for the first time or again. */
  get queuedBytes(): number {
    return this.#flow.queuedBytes;
  }

  /** Bytes of the peer that its streams keep in memory here, at most. */
  get unreadBytes(): number {
    return this.#flow.unreadBytes;
  }

  /** Bytes that came before others that are missing. */
  get heldBytes(): number {
    let bytes = 0;
    for (const stream of this.#table.values()) bytes += stream.heldBytes;
    return bytes;
  }

  writeControl(builder: PacketBuilder): void {
    if (this.#flow.creditOwed && builder.maxData(this, this.#flow.limit)) this.#flow.creditOwed = false;
    if (this.#table.owesControl) this.#table.writeControl(builder);
  }

  writeData(builder: PacketBuilder): void {
    if (this.#datagramsFirst) this.counts.bytesSent += this.#table.writeDatagrams(builder);
    const written = this.#table.writeData(builder, this.#flow.credit);
    this.#flow.onSent(written.newBytes);
    this.counts.bytesSent += written.bytes;
    if (!this.#datagramsFirst) this.counts.bytesSent += this.#table.writeDatagrams(builder);
    this.#datagramsFirst = !this.#datagramsFirst;
  }

  /** Tells applications that they may write again. Not from inside the making of a packet: they write at once. */
  flushDrains(): void {
    if (this.#deferredDrains.length === 0) return;
    const streams = this.#deferredDrains;
    this.#deferredDrains = [];
    for (const stream of streams) stream.drained();
  }

  frameAcked(): void {}

  /** MAX_DATA. */
  frameLost(_frame: SentFrame): void {
    this.#flow.creditOwed = true;
  }

  // ---- what a stream asks of its session

  get roundMs(): number {
    return this.owner.roundMs;
  }

  wantControl(stream: Stream): void {
    this.#table.wantControl(stream);
  }

  wantData(stream: Stream): void {
    this.#table.wantData(stream);
  }

  wantDatagrams(stream: Stream): void {
    this.#table.wantDatagrams(stream);
  }

  datagramsDropped(count: number): void {
    this.counts.datagramsDropped += count;
  }

  queuedChanged(deltaQueued: number, deltaRetained: number): void {
    if (this.#flow.queuedChanged(deltaQueued, deltaRetained)) this.#table.unpark();
  }

  creditSession(bytes: number, nowMs: number): void {
    this.counts.bytesDelivered += bytes;
    this.#flow.consume(bytes, this.roundMs, nowMs);
  }

  deferDrain(stream: Stream): void {
    this.#deferredDrains.push(stream);
  }

  windowGrew(windowBytes: number): void {
    this.#flow.onStreamWindow(windowBytes);
  }

  ended(stream: Stream): void {
    this.#table.remove(stream);
    this.owner.onStreamEnded(this.owner.nowMs);
  }

  wake(nowMs: number): void {
    this.owner.onWake(nowMs);
  }
}
