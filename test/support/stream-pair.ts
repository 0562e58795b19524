import type { OpenTarget, StreamOpener, StreamTimes } from '../../lib/access/opener.ts';
import type { ErrorCode } from '../../lib/core/errors.ts';
import { DEFAULT_SESSION_PARAMS } from '../../lib/core/session-params.ts';
import type {
  AcceptedHandlers,
  AcceptedStream,
  AcceptHandler,
  BoundAddress,
  StreamHandlers,
} from '../../lib/session/index.ts';

export interface StreamPairOptions {
  /** Credit of each direction: what may be delivered and not consumed. */
  windowBytes?: number;
  /** Queued bytes from which `write` answers false. */
  highWaterBytes?: number;
  /** Largest piece delivered at once, like the payload of a packet. */
  pieceBytes?: number;
  /** Larger datagrams do not fit. */
  maxDatagramBytes?: number;
}

/**
 * Streams without a mixnet: an opener whose streams come out at `accept` in the same process. Everything is delivered
 * later and in order, one event per turn of the event loop, under flow control like the transport's.
 */
export class StreamPairs implements StreamOpener {
  times: StreamTimes = DEFAULT_SESSION_PARAMS;
  readonly opened: { near: PairEnd; far: PairEnd; target: OpenTarget }[] = [];
  /** What the streams' requesters let through. */
  suits: StreamOpener['suits'] = () => true;
  #nextId = 0;

  constructor(
    readonly accept: AcceptHandler,
    readonly options: StreamPairOptions = {},
  ) {}

  open(target: OpenTarget, handlers: StreamHandlers): PairEnd {
    const id = this.#nextId++;
    const near = new PairEnd(id, this.options);
    const far = new PairEnd(id, this.options);
    near.peer = far;
    far.peer = near;
    near.handlers = handlers;
    this.opened.push({ near, far, target });
    near.post(() => {
      far.handlers = this.accept(far, target.kind, target.host, target.port, 'pair');
    });
    return near;
  }
}

export class PairEnd implements AcceptedStream {
  peer!: PairEnd;
  handlers: StreamHandlers | AcceptedHandlers | undefined;
  /** Largest number of bytes ever delivered to this end and not consumed. */
  maxUnconsumed = 0;
  unconsumed = 0;
  /** Bytes written in the same turn as the open: what would ride with OPEN. */
  readonly writes: Buffer[] = [];
  resetCode: ErrorCode | undefined;
  ended = false;
  #events: (() => void)[] = [];
  #unsent: Buffer[] = [];
  #unsentBytes = 0;
  #credit: number;
  #blocked = false;
  #finSent = false;
  #finHeard = false;
  #ignoresPackets = false;
  #dead = false;
  #stopCode: ErrorCode | undefined;
  #resetBehind: ErrorCode | undefined;
  readonly #options: Required<StreamPairOptions>;

  constructor(
    readonly id: number,
    options: StreamPairOptions,
  ) {
    this.#options = {
      windowBytes: 65_536,
      highWaterBytes: 65_536,
      pieceBytes: 1900,
      maxDatagramBytes: 1400,
      ...options,
    };
    this.#credit = this.#options.windowBytes;
  }

  /** Runs `event` at the other end, later and in order. */
  post(event: () => void): void {
    this.#events.push(event);
    if (this.#events.length === 1) setImmediate(() => this.#runEvents());
  }

  #runEvents(): void {
    const event = this.#events[0];
    event?.();
    this.#events.shift();
    if (this.#events.length > 0) setImmediate(() => this.#runEvents());
  }

  write(bytes: Uint8Array): boolean {
    if (this.ended || this.#dead || bytes.byteLength === 0) return true;
    const copy = Buffer.from(bytes);
    this.writes.push(copy);
    this.#unsent.push(copy);
    this.#unsentBytes += copy.byteLength;
    this.#flush();
    this.#blocked = this.#unsentBytes >= this.#options.highWaterBytes;
    return !this.#blocked;
  }

  sendDatagram(host: string, port: number, bytes: Uint8Array): boolean {
    if (bytes.byteLength > this.#options.maxDatagramBytes) return false;
    const copy = Buffer.from(bytes);
    this.post(() => {
      if (!this.peer.#dead) this.peer.handlers?.onDatagram?.(host, port, copy);
    });
    return true;
  }

  end(): void {
    this.ended = true;
    this.#flush();
  }

  reset(code: ErrorCode): void {
    if (this.#dead) return;
    this.#kill(code);
    this.post(() => {
      if (this.peer.#dead) return;
      this.peer.#kill(code);
      this.peer.handlers?.onReset(code);
    });
  }

  /** A reset behind what is queued. */
  endWithReset(code: ErrorCode): void {
    if (this.#dead) return;
    this.#ignoresPackets = true;
    this.#resetBehind = code;
    this.ended = true;
    this.#flush();
  }

  /** What comes is dropped from now on; the peer is told, as broken off if we had finished and it has heard that. */
  stop(code: ErrorCode): void {
    this.#ignoresPackets = true;
    this.post(() => {
      const { peer } = this;
      if (peer.#finHeard) {
        peer.#kill(code);
        peer.handlers?.onReset(code);
      } else {
        peer.#stopCode = code;
        peer.ended = true;
        peer.#finSent = true;
        peer.#unsent = [];
        peer.#unsentBytes = 0;
        if (peer.#blocked) peer.handlers?.onDrain();
      }
    });
  }

  consume(bytes: number): void {
    this.unconsumed -= bytes;
    if (this.unconsumed < 0) throw new Error('consumed more than was delivered');
    this.peer.#credit += bytes;
    this.peer.#flush();
  }

  opened(bound: BoundAddress): void {
    this.post(() => (this.peer.handlers as StreamHandlers).onOpened(bound));
  }

  refuse(code: ErrorCode): void {
    this.#kill(code);
    this.post(() => {
      this.peer.#kill(code);
      (this.peer.handlers as StreamHandlers).onRefused(code);
    });
  }

  #kill(code: ErrorCode): void {
    this.#dead = true;
    this.resetCode = code;
    this.#unsent = [];
    this.#unsentBytes = 0;
  }

  #flush(): void {
    for (let piece = this.#nextPiece(); piece !== undefined; piece = this.#nextPiece()) {
      const bytes = piece;
      this.post(() => this.peer.#deliver(bytes));
    }
    if (this.#blocked && this.#unsentBytes < this.#options.highWaterBytes / 2) {
      this.#blocked = false;
      setImmediate(() => this.handlers?.onDrain());
    }
    if (this.#resetBehind !== undefined && this.#unsentBytes === 0) this.reset(this.#resetBehind);
    if (this.ended && this.#unsentBytes === 0 && !this.#finSent && !this.#dead) {
      this.#finSent = true;
      this.post(() => {
        this.peer.#finHeard = true;
        this.peer.handlers?.onFin();
        this.peer.#endIfStopped();
      });
    }
  }

  /** Finished by the other end, which reads no more either. */
  #endIfStopped(): void {
    if (this.#stopCode === undefined || this.#dead) return;
    const code = this.#stopCode;
    this.#kill(code);
    this.handlers?.onReset(code);
  }

  #nextPiece(): Buffer | undefined {
    const first = this.#unsent[0];
    const length = Math.min(first?.byteLength ?? 0, this.#credit, this.#options.pieceBytes);
    if (first === undefined || length === 0) return undefined;
    if (length === first.byteLength) this.#unsent.shift();
    else this.#unsent[0] = first.subarray(length);
    this.#unsentBytes -= length;
    this.#credit -= length;
    return first.subarray(0, length);
  }

  #deliver(bytes: Buffer): void {
    if (this.#dead || this.#ignoresPackets) return;
    this.unconsumed += bytes.byteLength;
    this.maxUnconsumed = Math.max(this.maxUnconsumed, this.unconsumed);
    this.handlers?.onData(bytes);
  }
}
