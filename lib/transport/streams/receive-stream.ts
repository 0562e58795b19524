/**
 * The receiving part of a stream (RFC 9000 section 3.2): order, credit, and delivery at the application's pace.
 *
 * `open` until everything was delivered; `discarding` when the application wants no more, but the peer has not said yet
 * how much there is; `ended` when nothing can come that matters.
 * @module
 */

import type { ErrorCode } from '../../core/errors.ts';
import type { MemoryAccount } from '../../core/memory-budget.ts';
import type { MonotonicMs } from '../../core/units.ts';
import { MAX_DELIVERED_BYTES, MAX_DELIVERED_PIECES } from '../limits.ts';
import type { SessionLimits } from '../types.ts';
import { ReceiveBuffer } from './receive-buffer.ts';
import { ReceiveWindow } from './receive-window.ts';
import { NO_CREDIT, type SessionFlow, type StreamCredit } from './session-flow.ts';

export class ReceiveStream {
  readonly #buffer = new ReceiveBuffer();
  readonly #window: ReceiveWindow;
  #state: 'open' | 'discarding' | 'ended' = 'open';
  #accepted = false;
  /** What the session counts for this stream. */
  #credit: StreamCredit = NO_CREDIT;
  /** Bytes that were consumed or discarded. */
  #releasedBytes = 0;
  #consumedBytes = 0;
  #piecesOut = 0;
  /** Bytes of the frame that came last, which need not wait in the buffer. */
  #direct: Uint8Array | undefined;
  #finDelivered = false;
  #resetCode: ErrorCode | undefined;
  readonly #memory: MemoryAccount | undefined;

  constructor(
    private readonly flow: SessionFlow,
    limits: SessionLimits,
    nowMs: MonotonicMs,
    /** Lets go of the stream when its memory is wanted. */
    shed?: () => void,
  ) {
    this.#memory = flow.memory?.account('streams', shed);
    this.#window = new ReceiveWindow(limits.minStreamWindowBytes, limits.maxStreamWindowBytes, nowMs);
  }

  /**
   * The stream has an application: from now on its credit counts for the session, and its window is to be `windowBytes`
   * wide, if the session has memory for it. True when the peer should learn of new credit.
   */
  accept(windowBytes: number): boolean {
    this.#accepted = true;
    this.#account();
    return this.#widen(windowBytes);
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  get ended(): boolean {
    return this.#state === 'ended';
  }

  get finDelivered(): boolean {
    return this.#finDelivered;
  }

  /** The code of a RESET that ends this part behind its last byte. */
  get resetCode(): ErrorCode | undefined {
    return this.#resetCode;
  }

  /** The end is known, and the application was given every byte before it. */
  get allDelivered(): boolean {
    return this.#buffer.complete;
  }

  /** The end is known and every byte before it has come, delivered or not. */
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
   * Takes a DATA frame; `ready` tells whether the application takes bytes yet. Returns by how much the highest byte grew,
   * for the session's count, or a breach of the rules. `next` and `settle` come after the session has counted.
   */
  receive(offset: number, bytes: Uint8Array, fin: boolean, ready: boolean): number | 'violation' {
    if (offset + bytes.byteLength > this.#window.limit) return 'violation';
    if (this.#state === 'ended') return 0; // a repetition
    const before = this.#buffer.highestBytes;
    const deliverNow = this.#state === 'open' && ready && this.#mayDeliver;
    const piece = this.#buffer.receive(offset, bytes, fin, deliverNow);
    this.#countMemory();
    if (typeof piece === 'string') return 'violation';
    this.#direct = piece;
    if (fin) this.#account();
    return this.#buffer.highestBytes - before;
  }

  /** After bytes were counted and delivered. True when the peer should learn of new credit. */
  settle(): boolean {
    if (this.#state === 'open') return this.#widenForHoles();
    if (this.#state === 'discarding') {
      if (this.#buffer.complete) this.#state = 'ended';
      this.#releaseAll();
    }
    return false;
  }

  /**
   * Takes a RESET, which is delivered behind the bytes before it; with FIN and all bytes here it comes too late to matter.
   * Returns by how much the highest byte grew, or a breach of the rules.
   */
  reset(code: ErrorCode, finalSize: number): number | 'violation' {
    if (finalSize > this.#window.limit) return 'violation';
    const { highestBytes } = this.#buffer;
    const late = this.allArrived;
    if (!this.#buffer.finish(finalSize)) return 'violation';
    if (!late) this.#resetCode ??= code;
    this.#account();
    return finalSize - highestBytes;
  }

  /** The application gives credit back. True when the peer should learn of it. */
  consume(bytes: number, nowMs: MonotonicMs): boolean {
    const counted = Math.min(bytes, this.#buffer.deliveredBytes - this.#consumedBytes);
    if (counted <= 0) return false;
    this.#consumedBytes += counted;
    if (this.consumed) this.#piecesOut = 0;
    if (this.#state === 'discarding') return false; // all of it was given back already
    this.#release(this.#consumedBytes);
    if (this.#state === 'ended') return false;
    const newCredit = this.#window.consume(counted, this.flow.roundMs, nowMs, this.#allowedBytes);
    if (newCredit) this.#account();
    return newCredit;
  }

  /** From now on bytes of the peer are only counted. */
  discard(): void {
    if (this.#state === 'open') {
      this.#buffer.discard();
      this.#state = this.#buffer.complete || this.#resetCode !== undefined ? 'ended' : 'discarding';
    }
    this.#releaseAll();
  }

  /** Nothing more will come, or matter. */
  end(): void {
    this.#buffer.end();
    this.#state = 'ended';
    this.#releaseAll();
  }

  /** The next bytes in order, as far as the application keeps up. */
  next(): Uint8Array | undefined {
    const bytes = this.#direct ?? (this.#state === 'open' && this.#mayDeliver ? this.#buffer.drain() : undefined);
    this.#direct = undefined;
    if (bytes === undefined) return undefined;
    this.#piecesOut++;
    this.#countMemory();
    return bytes;
  }

  /** The application gets the FIN now, and this part has ended. */
  takeFin(): void {
    this.#finDelivered = true;
    this.#state = 'ended';
    this.#account();
  }

  get #mayDeliver(): boolean {
    const out = this.#buffer.deliveredBytes - this.#consumedBytes;
    return out < MAX_DELIVERED_BYTES && this.#piecesOut < MAX_DELIVERED_PIECES;
  }

  /** Bytes wait for lost ones, not for the application: the sender needs room to go on meanwhile. */
  #widenForHoles(): boolean {
    const { highestBytes, deliveredBytes } = this.#buffer;
    if (!this.wantsBytes || highestBytes === deliveredBytes || !this.#mayDeliver) return false;
    if (!this.#window.onReached(highestBytes, this.#allowedBytes)) return false;
    this.#account();
    return true;
  }

  #widen(windowBytes: number): boolean {
    if (!this.#window.widen(windowBytes, this.#allowedBytes)) return false;
    this.#account();
    return this.wantsBytes;
  }

  get #allowedBytes(): number {
    return this.#accepted ? this.flow.allowedWindowBytes(this.#credit) : 0;
  }

  /** The application will consume no more: nothing of what came stays in memory. */
  #releaseAll(): void {
    this.#countMemory();
    this.#consumedBytes = this.#buffer.deliveredBytes;
    this.#release(this.#buffer.highestBytes);
  }

  /** Bytes up to `total` are in memory no longer. */
  #release(total: number): void {
    if (total > this.#releasedBytes) {
      this.flow.onConsumed(total - this.#releasedBytes);
      this.#releasedBytes = total;
    }
    this.#account();
  }

  /** What was delivered is counted by whoever has it. */
  #countMemory(): void {
    this.#memory?.set(this.#buffer.memoryBytes, this.#buffer.deliveredBytes);
  }

  /** Keeps the session's account of this stream current. */
  #account(): void {
    const limit = this.#countedLimit;
    const heldBytes = this.#state === 'discarding' ? 0 : limit - this.#releasedBytes;
    const before = this.#credit;
    if (before.limit === limit && before.heldBytes === heldBytes) return;
    this.#credit = { limit, heldBytes };
    this.flow.creditChanged(before, this.#credit);
  }

  /** How far the peer may send. What nobody has accepted counts only for what was discarded of it. */
  get #countedLimit(): number {
    if (!this.#accepted) return this.#releasedBytes;
    const endBytes = this.#state === 'ended' ? this.#buffer.highestBytes : this.#window.limit;
    return this.#buffer.finalSize ?? endBytes;
  }
}
