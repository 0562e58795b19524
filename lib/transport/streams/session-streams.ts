/**
 * All streams of one end of a session: which there are, who may send, the credit of the session as a whole, and the frames
 * that concern streams.
 * @module
 */

import { type ErrorCode, MixError } from '../../core/errors.ts';
import type { MonotonicMs } from '../../core/units.ts';
import { ACCEPT_TABLE_FACTOR, INITIAL_STREAM_WINDOW_BYTES, MAX_HOST_BYTES, MAX_NUMBER_RANGES } from '../limits.ts';
import type { LossClock } from '../recovery/loss-clock.ts';
import { RangeSet } from '../recovery/ranges.ts';
import type { SessionMemory } from '../session-memory.ts';
import type { AcceptHandler, SessionLimits, StreamHandlers, StreamTarget } from '../types.ts';
import { FRAME, type Frame, type OpenFrame, type StreamFrame } from '../wire/frames.ts';
import { type FrameOwner, hostBytes, type PacketBuilder } from '../wire/packet-builder.ts';
import { errorCode, streamKind } from '../wire/reasons.ts';
import { ProxyStream } from './proxy-stream.ts';
import { RequesterStream } from './requester-stream.ts';
import { SessionFlow } from './session-flow.ts';
import type { Stream } from './stream.ts';
import type { StreamHost, StreamOptions } from './stream-host.ts';
import { StreamTable } from './stream-table.ts';

export interface SessionStreamsOptions {
  readonly limits: SessionLimits;
  readonly payloadBytes: number;
  readonly clock: LossClock;
  readonly memory: SessionMemory | undefined;
  /** The requester's end takes the streams that the proxy opens; the proxy's takes none. */
  readonly accept: ((stream: RequesterStream, ...open: OpenArguments) => ReturnType<AcceptHandler>) | undefined;
  /** An application did something: there may be content now. */
  readonly wake: (nowMs: MonotonicMs) => void;
}

type OpenArguments = [kind: Parameters<AcceptHandler>[1], host: string, port: number];

export class SessionStreams implements StreamHost<Stream>, FrameOwner {
  readonly flow: SessionFlow;
  readonly #table = new StreamTable();
  /** The proxy's next stream id. */
  #nextId = 0;
  /** Ids of all streams that the requester has seen: an id is never used again. */
  readonly #seenIds = new RangeSet();
  #peerStreamWindow = INITIAL_STREAM_WINDOW_BYTES;
  #peerWindowsKnown = false;
  /** Whether datagrams go before stream bytes in the next packet: they take turns. */
  #datagramsFirst = true;
  #deferredDrains: Stream[] = [];
  /** Proxy: streams that wait until the requester asked for a proof of receipt. Only the first may be used before. */
  #waiting: Set<Stream> | undefined;
  readonly #counts = { bytesSent: 0, streamsOpened: 0, datagramsDropped: 0 };

  constructor(private readonly options: SessionStreamsOptions) {
    this.flow = new SessionFlow(options.limits, options.clock, options.memory);
    if (options.accept === undefined) this.#waiting = new Set();
  }

  /** Proxy: streams beside the first may send from now on. */
  letAllSend(): void {
    const streams = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const stream of streams) {
      if (this.#table.get(stream.id) !== stream) continue;
      this.#table.wantControl(stream);
      this.#table.wantData(stream);
      this.#table.wantDatagrams(stream);
    }
  }

  get size(): number {
    return this.#table.size;
  }

  get counts() {
    return { ...this.#counts, bytesDelivered: this.flow.consumedBytes };
  }

  /** Proxy: opens a stream. Throws MixError LIMIT when the table is full, ADDRESS_TYPE when the host is too long. */
  open(target: StreamTarget, handlers: StreamHandlers, nowMs: MonotonicMs): ProxyStream {
    const { maxStreams } = this.options.limits;
    if (this.size >= maxStreams) throw new MixError('LIMIT', `a session has at most ${maxStreams} streams`);
    if (this.flow.memory?.admitsStream === false) throw new MixError('LIMIT', 'the memory for streams is in use');
    const length = hostBytes(target.host).byteLength;
    if (length === 0 || length > MAX_HOST_BYTES) throw new MixError('ADDRESS_TYPE', 'a host has 1 to 255 bytes');
    return this.#add(new ProxyStream(this, this.#streamOptions(this.#nextId++), target, handlers, nowMs));
  }

  /** Refuses what the peer has neither opened nor refused. */
  refuseUnanswered(code: ErrorCode): void {
    for (const stream of [...this.#table.values()]) {
      if (stream instanceof ProxyStream) stream.onRefused(code);
    }
  }

  /** Ends all at once, without a frame to the peer. */
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
    this.flow.begin(sessionWindow);
  }

  // ---- frames of the peer

  /** Takes a frame. `undefined`: it concerns no stream; false: it breaks the rules. */
  onFrame(frame: Frame, nowMs: MonotonicMs): boolean | undefined {
    switch (frame.type) {
      case FRAME.MAX_DATA:
        this.flow.raise(frame.limit);
        return true;
      case FRAME.OPEN:
      case FRAME.OPENED:
      case FRAME.REFUSED:
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

  #onStreamFrame(frame: StreamFrame, nowMs: MonotonicMs): boolean {
    const stream = this.#find(frame.stream, nowMs);
    if (stream === 'violation') return false;
    if (stream === 'gone') return this.#mayCome(frame);
    switch (frame.type) {
      case FRAME.OPEN:
        return stream instanceof RequesterStream && this.#onOpen(stream, frame, nowMs);
      case FRAME.OPENED:
        if (!(stream instanceof ProxyStream)) return false;
        stream.onOpened({ host: frame.host, port: frame.port });
        return true;
      case FRAME.REFUSED:
        if (!(stream instanceof ProxyStream)) return false;
        stream.onRefused(errorCode(frame.reason));
        return true;
      case FRAME.DATA:
        if (!this.#count(stream.onData(frame.offset, frame.bytes, frame.fin))) return false;
        stream.afterData();
        return true;
      case FRAME.RESET:
        if (!this.#count(stream.onReset(errorCode(frame.reason), frame.finalSize))) return false;
        stream.afterReset();
        return true;
      case FRAME.STOP:
        stream.onStop(errorCode(frame.reason));
        return true;
      case FRAME.MAX_STREAM_DATA:
        stream.onMaxStreamData(frame.limit);
        return true;
    }
  }

  #count(bytes: number | 'violation'): boolean {
    return bytes !== 'violation' && this.flow.onReceived(bytes);
  }

  /** Whether the peer's end may send such a frame at all. */
  #mayCome(frame: StreamFrame): boolean {
    const accepts = this.options.accept !== undefined;
    if (frame.type === FRAME.OPEN) return accepts;
    return frame.type === FRAME.OPENED || frame.type === FRAME.REFUSED ? !accepts : true;
  }

  /** The stream that a frame names; 'gone' when it is over. */
  #find(id: number, nowMs: MonotonicMs): Stream | 'gone' | 'violation' {
    const stream = this.#table.get(id);
    if (stream !== undefined) return stream;
    if (this.options.accept === undefined) return id < this.#nextId ? 'gone' : 'violation';
    if (this.#seenIds.has(id)) return 'gone';
    // Its bytes may have overtaken its OPEN. Refusing needs an entry too; a peer that fills twice the table breaks the rules.
    if (this.#table.size >= 2 * this.#maxAccepted) return 'violation';
    this.#seenIds.add(id, id + 1);
    if (this.#seenIds.count > MAX_NUMBER_RANGES) return 'violation';
    return this.#add(new RequesterStream(this, this.#streamOptions(id), nowMs));
  }

  #onOpen(stream: RequesterStream, frame: OpenFrame, nowMs: MonotonicMs): boolean {
    const { accept } = this.options;
    if (!stream.acceptable || accept === undefined) return true;
    const kind = streamKind(frame.kind);
    if (kind === undefined) stream.refuse('COMMAND', nowMs);
    else if (this.#table.size > this.#maxAccepted || !this.flow.hasSpace) stream.refuse('LIMIT', nowMs);
    // The stream, or all of the session, may have been what gave way to it.
    else if (stream.acceptable) stream.attach(accept(stream, kind, frame.host, frame.port));
    return true;
  }

  get #maxAccepted(): number {
    return this.options.limits.maxStreams * ACCEPT_TABLE_FACTOR;
  }

  #add<S extends Stream>(stream: S): S {
    this.#table.add(stream);
    this.#counts.streamsOpened++;
    return stream;
  }

  #streamOptions(id: number): StreamOptions {
    const { limits, payloadBytes } = this.options;
    return { id, limits, payloadBytes, peerWindowBytes: this.#peerStreamWindow };
  }

  // ---- what is written

  /** Whether control frames wait that must not wait for data. */
  get owesControl(): boolean {
    return this.flow.creditOwed || this.#table.owesControl;
  }

  /** Whether stream bytes or datagrams can be sent. */
  get canSend(): boolean {
    return this.#table.hasDatagrams || this.#table.canSend(this.flow.credit);
  }

  /** Bytes that came before others that are missing. */
  get heldBytes(): number {
    let bytes = 0;
    for (const stream of this.#table.values()) bytes += stream.receive.heldBytes;
    return bytes;
  }

  writeControl(builder: PacketBuilder): void {
    if (this.flow.creditOwed && builder.maxData(this, this.flow.limit)) this.flow.creditOwed = false;
    if (this.#table.owesControl) this.#table.writeControl(builder);
  }

  writeData(builder: PacketBuilder): void {
    if (this.#datagramsFirst) this.#counts.bytesSent += this.#table.writeDatagrams(builder);
    const written = this.#table.writeData(builder, this.flow.credit);
    this.flow.onSent(written.newBytes);
    this.#counts.bytesSent += written.bytes;
    if (!this.#datagramsFirst) this.#counts.bytesSent += this.#table.writeDatagrams(builder);
    this.#datagramsFirst = !this.#datagramsFirst;
  }

  /** Lets applications write again. Not from inside the making of a packet: they write at once. */
  flushDrains(): void {
    if (this.#deferredDrains.length === 0) return;
    const streams = this.#deferredDrains;
    this.#deferredDrains = [];
    for (const stream of streams) stream.drained();
  }

  /** MAX_DATA is the only frame of its own. */
  frameAcked(): void {}

  frameLost(): void {
    this.flow.creditOwed = true;
  }

  // ---- what a stream asks of its session

  /** Whether a stream has to wait before it sends anything. */
  #waits(stream: Stream): boolean {
    if (this.#waiting === undefined || stream.id === 0) return false;
    this.#waiting.add(stream);
    return true;
  }

  wantControl(stream: Stream): void {
    if (!this.#waits(stream)) this.#table.wantControl(stream);
  }

  wantData(stream: Stream): void {
    if (!this.#waits(stream)) this.#table.wantData(stream);
  }

  wantDatagrams(stream: Stream, dropped: number): void {
    this.#counts.datagramsDropped += dropped;
    if (!this.#waits(stream)) this.#table.wantDatagrams(stream);
  }

  deferDrain(stream: Stream): void {
    this.#deferredDrains.push(stream);
  }

  ended(stream: Stream): void {
    this.#table.remove(stream);
  }

  wake(nowMs: MonotonicMs): void {
    this.options.wake(nowMs);
  }
}
