/**
 * The sending part of a stream (RFC 9000 section 3.1): bytes within the credit of the peer and our own bounds, until they are acknowledged or
 * the stream is reset.
 * @module
 */
import type { ErrorCode } from '../../core/errors.ts';
import type { MemoryAccount } from '../../core/memory-budget.ts';
import type { FrameOwner, PacketBuilder, SentFrame } from '../wire/packet-builder.ts';
import { SendBuffer } from './send-buffer.ts';
import type { SessionFlow } from './session-flow.ts';

/** What a DATA frame took. */
export interface DataWritten {
  /** Credit of the session. */
  readonly newBytes: number;
  readonly bytes: number;
}

/** Bytes that a stream sends with priority after it was quiet: requests and small answers pass bulk transfers. */
const PROMPT_BYTES = 16 * 1024;

export class SendStream {
  readonly #buffer = new SendBuffer();
  #state: 'open' | 'reset' | 'ended' = 'open';
  /** The reason in RESET; whether it was handed on to be sent, and the peer has acknowledged it. */
  #resetCode: ErrorCode = 'RESET';
  #resetOwed = false;
  #resetAcked = false;
  #queuedBytes = 0;
  #retainedBytes = 0;
  #promptLeft = PROMPT_BYTES;
  readonly #memory: MemoryAccount | undefined;

  constructor(
    private readonly flow: SessionFlow,
    private peerLimit: number,
    private readonly maxRetainedBytes: number,
    /** Lets go of the stream when its memory is wanted. */
    shed?: () => void,
  ) {
    this.#memory = flow.memory?.account('streams', shed);
  }

  /** Whether the application can add bytes. */
  get writable(): boolean {
    return this.#state === 'open' && !this.#buffer.finished;
  }

  /** The application has said its end. What was broken off instead takes writes still, and discards them. */
  get finished(): boolean {
    return this.#state === 'open' && this.#buffer.finished;
  }

  /** Part of its end is a RESET that the peer has not acknowledged. */
  get resetting(): boolean {
    return this.#state === 'reset' && !this.#resetAcked;
  }

  /** The peer has everything, or knows that it will not get it. */
  get settled(): boolean {
    if (this.#state === 'reset') return this.#resetAcked && this.#buffer.allAcked;
    return this.#state === 'ended' || this.#buffer.done;
  }

  get unsentBytes(): number {
    return this.#buffer.unsentBytes;
  }

  get resetCode(): ErrorCode {
    return this.#resetCode;
  }

  /** The final size to name in a RESET. */
  get sentBytes(): number {
    return this.#buffer.sentBytes;
  }

  /** Whether there are bytes (or a FIN) to send now, the session's credit aside. */
  get sendable(): boolean {
    return this.#state !== 'ended' && this.#buffer.sendable(this.#creditEnd);
  }

  /** Whether what it has to send needs credit of the session. */
  get needsCredit(): boolean {
    return this.#buffer.lostBytes === 0 && this.#buffer.unsentBytes > 0;
  }

  /** Whether it should pass bulk transfers: little was sent since it was quiet, or something was lost. */
  get prompt(): boolean {
    return this.#promptLeft > 0 || this.#buffer.lostBytes > 0;
  }

  write(bytes: Uint8Array): void {
    this.#buffer.write(bytes);
    this.#account();
  }

  finish(): void {
    this.#buffer.finish();
  }

  /** Raises the peer's limit; false when it knew better already. */
  raise(limit: number): boolean {
    if (limit <= this.peerLimit) return false;
    this.peerLimit = limit;
    return true;
  }

  /**
   * A RESET ends this part behind the last byte that is `queued`, or that was `sent`: up to there bytes are sent until they
   * are acknowledged, as QUIC's RESET_STREAM_AT has it. `nothing`: the peer discards all of them.
   */
  reset(code: ErrorCode, behind: 'queued' | 'sent' | 'nothing'): void {
    if (this.#state === 'ended' || (this.#state === 'open' && this.#buffer.done)) return;
    if (behind === 'nothing') this.#buffer.abort();
    else if (this.#state === 'reset') return;
    else if (behind === 'sent') this.#buffer.truncate();
    else this.#buffer.seal();
    if (this.#state === 'open') this.#resetCode = code;
    this.#state = 'reset';
    this.#account();
  }

  /** True once, when RESET is to be sent: with its final size within the credit, as every byte before it was sent. */
  takeResetDue(): boolean {
    if (this.#state !== 'reset' || this.#resetOwed || this.#buffer.unsentBytes > 0) return false;
    this.#resetOwed = true;
    return true;
  }

  onResetAcked(): void {
    this.#resetAcked = true;
  }

  /** Nothing will be sent any more, and nothing need be said. */
  end(): void {
    this.#buffer.abort();
    this.#account();
    this.#state = 'ended';
  }

  /** Writes one DATA frame, if there is room for it and something to send. */
  writeData(builder: PacketBuilder, owner: FrameOwner, id: number, sessionCredit: number): DataWritten | undefined {
    const creditEnd = Math.min(this.#creditEnd, this.#buffer.sentBytes + Math.max(0, sessionCredit));
    const piece = builder.data(owner, id, this.#buffer, creditEnd);
    if (piece === undefined) return undefined;
    this.#promptLeft -= piece.length;
    this.#account();
    if (this.#buffer.queuedBytes === 0) this.#promptLeft = PROMPT_BYTES;
    return { newBytes: piece.newBytes, bytes: piece.length };
  }

  onAcked(frame: SentFrame): void {
    this.#buffer.onAcked(frame.offset, frame.length, frame.fin);
    this.#account();
  }

  onLost(frame: SentFrame): void {
    this.#buffer.onLost(frame.offset, frame.length, frame.fin);
    this.#account();
  }

  /**
   * Up to which offset new bytes may go: the peer's credit, but never further ahead of what it acknowledged than our
   * own bound, since all of that is kept here.
   */
  get #creditEnd(): number {
    const { sentBytes, retainedBytes } = this.#buffer;
    return Math.min(this.peerLimit, sentBytes - retainedBytes + this.maxRetainedBytes);
  }

  #account(): void {
    const { queuedBytes, retainedBytes } = this.#buffer;
    this.flow.queuedChanged(queuedBytes - this.#queuedBytes, retainedBytes - this.#retainedBytes);
    this.#queuedBytes = queuedBytes;
    this.#retainedBytes = retainedBytes;
    this.#memory?.set(this.#buffer.memoryBytes, this.#buffer.settledBytes);
  }
}
