/**
 * What a stream says to its peer besides bytes: the opening and the answer to it, RESET, STOP, and credit. Each is owed
 * until it is in a packet, owed again when that packet is lost, and settled when it arrived (RFC 9000 section 13.3).
 * @module
 */
import type { ErrorCode } from '../errors.ts';
import { FRAME } from './frames.ts';
import { type FrameOwner, hostBytes, type PacketBuilder, type SentFrame } from './packet-builder.ts';
import { errorNumber, kindNumber } from './reasons.ts';
import type { StreamInbox } from './stream-inbox.ts';
import type { StreamOutbox } from './stream-outbox.ts';
import type { BoundAddress, StreamTarget } from './types.ts';

export interface ControlHost {
  /** There are control frames to send. */
  onControlOwed(): void;
  /** The peer has one of them: the stream may be over. */
  onControlSettled(): void;
}

/** Control frames that a stream can owe: a bit each. */
const OWES = { OPEN: 1, ANSWER: 2, RESET: 4, STOP: 8, MAX: 16 } as const;

export class StreamControl implements FrameOwner {
  #owes = 0;
  /** The peer is known to have OPEN (proxy), OPENED or REFUSED (requester). */
  #openSettled: boolean;
  #answerSettled: boolean;
  #answer: BoundAddress | ErrorCode = 'INTERNAL';
  #resetCode: ErrorCode = 'RESET';
  #stopCode: ErrorCode = 'RESET';
  /** The packet that carries OPEN or the answer already. */
  #openingIn: PacketBuilder | undefined;
  #closed = false;

  /** The proxy's end has a target, and begins by owing OPEN. */
  constructor(
    private readonly host: ControlHost,
    private readonly id: number,
    private readonly target: StreamTarget | undefined,
    private readonly outbox: StreamOutbox,
    private readonly inbox: StreamInbox,
  ) {
    this.#openSettled = target === undefined;
    this.#answerSettled = target !== undefined;
    if (target !== undefined) this.#owes = OWES.OPEN;
  }

  /** Opening and answer are known at both ends. */
  get settled(): boolean {
    return this.#openSettled && this.#answerSettled;
  }

  // ---- what is owed

  /** Requester: OPENED with the address bound, or REFUSED with the reason. */
  answer(answer: BoundAddress | ErrorCode): void {
    this.#answer = answer;
    this.#owe(OWES.ANSWER);
  }

  /** The peer said the end before it was answered: it needs no answer. */
  answerNeedless(): void {
    this.#answerSettled = true;
  }

  /** The peer has answered: OPEN has come. */
  openHeard(): void {
    this.#openSettled = true;
    this.#owes &= ~OWES.OPEN;
  }

  reset(code: ErrorCode): void {
    this.#resetCode = code;
    this.openHeard(); // RESET opens and ends it at the requester
    this.#owe(OWES.RESET);
  }

  stop(code: ErrorCode): void {
    this.#stopCode = code;
    this.#owe(OWES.STOP);
  }

  /** The peer should hear of new credit, if it means anything to it still. */
  credit(): void {
    if (this.inbox.wantsBytes) this.#owe(OWES.MAX);
  }

  creditNeedless(): void {
    this.#owes &= ~OWES.MAX;
  }

  /** Nothing is said any more. */
  close(): void {
    this.#closed = true;
  }

  #owe(what: number): void {
    this.#owes |= what;
    this.host.onControlOwed();
  }

  // ---- what is written

  /** OPEN and its answer ride with the first bytes until they are known to have come: packets overtake each other. */
  writeOpening(builder: PacketBuilder): void {
    if (builder === this.#openingIn) return;
    if (!this.#openSettled) this.#writeOpen(builder);
    else if (!this.#answerSettled) this.#writeAnswer(builder);
  }

  /** Writes what is owed. False when it did not all fit. */
  write(builder: PacketBuilder): boolean {
    const { id, inbox, outbox } = this;
    return (
      this.#pay(OWES.OPEN, () => this.#writeOpen(builder)) &&
      this.#pay(OWES.ANSWER, () => this.#writeAnswer(builder)) &&
      this.#pay(OWES.RESET, () => builder.reset(this, id, errorNumber(this.#resetCode), outbox.sentBytes)) &&
      this.#pay(OWES.STOP, () => builder.stop(this, id, errorNumber(this.#stopCode))) &&
      this.#pay(OWES.MAX, () => builder.maxStreamData(this, id, inbox.limit))
    );
  }

  #pay(what: number, write: () => boolean): boolean {
    if ((this.#owes & what) === 0) return true;
    if (!write()) return false;
    this.#owes &= ~what;
    return true;
  }

  #writeOpen(builder: PacketBuilder): boolean {
    const { target } = this;
    if (target === undefined) return true;
    if (!builder.open(this, this.id, kindNumber(target.kind), hostBytes(target.host), target.port)) return false;
    this.#openingIn = builder;
    this.#owes &= ~OWES.OPEN;
    return true;
  }

  #writeAnswer(builder: PacketBuilder): boolean {
    const answer = this.#answer;
    const written =
      typeof answer === 'string'
        ? builder.refused(this, this.id, errorNumber(answer))
        : builder.opened(this, this.id, hostBytes(answer.host), answer.port);
    if (!written) return false;
    this.#openingIn = builder;
    this.#owes &= ~OWES.ANSWER;
    return true;
  }

  // ---- what became of it

  frameAcked(frame: SentFrame): void {
    switch (frame.type) {
      case FRAME.OPEN:
        this.openHeard();
        break;
      case FRAME.OPENED:
      case FRAME.REFUSED:
        this.#answerSettled = true;
        this.#owes &= ~OWES.ANSWER;
        break;
      case FRAME.RESET:
        this.outbox.end();
        this.#owes &= ~OWES.RESET;
        break;
      case FRAME.STOP:
        this.#owes &= ~OWES.STOP;
        break;
    }
    this.host.onControlSettled();
  }

  frameLost(frame: SentFrame): void {
    if (this.#closed) return;
    switch (frame.type) {
      case FRAME.OPEN:
        if (!this.#openSettled) this.#owe(OWES.OPEN);
        break;
      case FRAME.OPENED:
      case FRAME.REFUSED:
        if (!this.#answerSettled) this.#owe(OWES.ANSWER);
        break;
      case FRAME.RESET:
        if (this.outbox.resetting) this.#owe(OWES.RESET);
        break;
      case FRAME.STOP:
        if (!this.inbox.ended) this.#owe(OWES.STOP);
        break;
      case FRAME.MAX_STREAM_DATA:
        this.credit();
        break;
    }
  }
}
