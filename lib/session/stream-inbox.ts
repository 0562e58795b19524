/**
 * The receiving half of a stream: order, credit, and delivery at the application's pace.
 *
 * `open` until everything was delivered; `discarding` when the application wants no more, but the peer has not said yet
 * how much there is; `ended` when nothing can come that matters.
 * @module
 */
import { ReceiveWindow } from './flow.ts';
import { MAX_DELIVERED_BYTES, MAX_DELIVERED_PIECES } from './limits.ts';
import { ReceiveBuffer } from './receive-buffer.ts';

export interface InboxHost {
  /** The session's credit for `bytes` received bytes goes back to the peer. */
  creditSession(bytes: number, nowMs: number): void;
  windowGrew(windowBytes: number): void;
  readonly roundMs: number;
}

export interface InboxReader {
  /** Whether bytes may be handed on at all yet. */
  readonly ready: boolean;
  onBytes(bytes: Uint8Array): void;
  onFin(): void;
}

export class StreamInbox {
  readonly #buffer = new ReceiveBuffer();
  readonly #window: ReceiveWindow;
  #state: 'open' | 'discarding' | 'ended' = 'open';
  /** Bytes that the session's window has back. */
  #creditedBytes = 0;
  #consumedBytes = 0;
  #piecesOut = 0;
  #finTold = false;

  constructor(
    private readonly host: InboxHost,
    private readonly reader: InboxReader,
    initialBytes: number,
    maxBytes: number,
    nowMs: number,
  ) {
    this.#window = new ReceiveWindow(initialBytes, maxBytes, nowMs);
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  get ended(): boolean {
    return this.#state === 'ended';
  }

  get finTold(): boolean {
    return this.#finTold;
  }

  /** FIN is known and every byte before it has come, delivered or not. */
  get allArrived(): boolean {
    return this.#buffer.finalSize === this.#buffer.deliveredBytes + this.#buffer.heldBytes;
  }

  /** Everything that can be consumed was. */
  get consumed(): boolean {
    return this.#consumedBytes >= this.#buffer.deliveredBytes;
  }

  get heldBytes(): number {
    return this.#buffer.heldBytes;
  }

  /** What to tell the peer in MAX_STREAM_DATA. */
  get limit(): number {
    return this.#window.limit;
  }

  /** Whether new credit still means anything to the peer. */
  get wantsBytes(): boolean {
    return this.#state === 'open' && this.#buffer.finalSize === undefined;
  }

  /**
   * Takes a DATA frame. Returns by how much the highest byte grew, for the session's count, or a breach of the rules.
   * `settle` comes after the session has counted.
   */
  receive(offset: number, bytes: Uint8Array, fin: boolean): number | 'violation' {
    if (offset + bytes.byteLength > this.#window.limit) return 'violation';
    if (this.#state === 'ended') return 0; // a repetition
    const before = this.#buffer.highestBytes;
    const deliverNow = this.#state === 'open' && this.reader.ready && this.#mayDeliver;
    const piece = this.#buffer.receive(offset, bytes, fin, deliverNow);
    if (typeof piece === 'string') return 'violation';
    const grown = this.#buffer.highestBytes - before;
    if (piece !== undefined) this.#hand(piece);
    return grown;
  }

  /** Delivers what became deliverable. True when the peer should hear of new credit. */
  settle(nowMs: number): boolean {
    if (this.#state === 'open') {
      this.deliver(nowMs);
      return this.#widenForHoles();
    }
    if (this.#state === 'discarding') {
      this.#forgiveRest(nowMs);
      if (this.#buffer.complete) this.#state = 'ended';
    }
    return false;
  }

  /** Takes the final size of a RESET. Returns by how much the highest byte grew, or a breach of the rules. */
  finish(finalSize: number): number | 'violation' {
    if (finalSize > this.#window.limit) return 'violation';
    const before = this.#buffer.highestBytes;
    return this.#buffer.finish(finalSize) ? finalSize - before : 'violation';
  }

  /** The application gives credit back. True when the peer should hear of it. */
  consume(bytes: number, nowMs: number): boolean {
    const counted = Math.min(bytes, this.#buffer.deliveredBytes - this.#consumedBytes);
    if (counted <= 0) return false;
    this.#consumedBytes += counted;
    if (this.consumed) this.#piecesOut = 0;
    if (this.#state === 'discarding') return false; // all of it was given back already
    this.#credit(this.#consumedBytes, nowMs);
    if (this.#state === 'ended') return false;
    const credit = this.#window.consume(counted, this.host.roundMs, nowMs);
    this.host.windowGrew(this.#window.windowBytes);
    this.deliver(nowMs);
    return credit;
  }

  /** From now on bytes of the peer are only counted. */
  discard(nowMs: number): void {
    if (this.#state === 'open') {
      this.#buffer.discard();
      this.#state = this.#buffer.complete ? 'ended' : 'discarding';
    }
    this.#forgiveRest(nowMs);
  }

  /** Nothing more will come, or matter. */
  end(nowMs: number): void {
    this.#buffer.discard();
    this.#state = 'ended';
    this.#forgiveRest(nowMs);
  }

  /** Hands on what is in order, as far as the application keeps up, and the FIN after the last byte. */
  deliver(nowMs: number): void {
    if (!this.reader.ready) return;
    while (this.#state === 'open' && this.#mayDeliver) {
      const bytes = this.#buffer.drain();
      if (bytes === undefined) break;
      this.#hand(bytes);
    }
    if (this.#state !== 'open' || !this.#buffer.complete) return;
    this.#finTold = true;
    this.#state = 'ended';
    this.#credit(this.#consumedBytes, nowMs);
    this.reader.onFin();
  }

  get #mayDeliver(): boolean {
    const out = this.#buffer.deliveredBytes - this.#consumedBytes;
    return out < MAX_DELIVERED_BYTES && this.#piecesOut < MAX_DELIVERED_PIECES;
  }

  #hand(bytes: Uint8Array): void {
    this.#piecesOut++;
    this.reader.onBytes(bytes);
  }

  /** Bytes wait for lost ones, not for the application: the sender needs room to go on meanwhile. */
  #widenForHoles(): boolean {
    const { highestBytes, deliveredBytes } = this.#buffer;
    if (!this.wantsBytes || highestBytes === deliveredBytes || !this.#mayDeliver) return false;
    if (!this.#window.onReached(highestBytes)) return false;
    this.host.windowGrew(this.#window.windowBytes);
    return true;
  }

  /** The application will consume no more: gives back all credit it still owed. */
  #forgiveRest(nowMs: number): void {
    this.#credit(this.#buffer.highestBytes, nowMs);
    this.#consumedBytes = this.#buffer.deliveredBytes;
  }

  /** Brings what the session has back up to `total`. */
  #credit(total: number, nowMs: number): void {
    const bytes = total - this.#creditedBytes;
    if (bytes <= 0) return;
    this.#creditedBytes = total;
    this.host.creditSession(bytes, nowMs);
  }
}
