/**
 * The control frames of a stream: OPEN and the answer to it, RESET, STOP, and credit. Each is owed until it is in a packet,
 * owed again when that packet is lost, and settled when it was acknowledged (RFC 9000 section 13.3).
 * @module
 */
import type { ErrorCode } from '../../core/errors.ts';
import type { BoundAddress, StreamTarget } from '../types.ts';
import { FRAME } from '../wire/frames.ts';
import { type FrameOwner, hostBytes, type PacketBuilder, type SentFrame } from '../wire/packet-builder.ts';
import { errorNumber, kindNumber } from '../wire/reasons.ts';
import type { ReceiveStream } from './receive-stream.ts';
import type { SendStream } from './send-stream.ts';

/** Control frames that a stream can owe: a bit each. */
const OWES = { OPEN: 1, ANSWER: 2, RESET: 4, STOP: 8, MAX: 16 } as const;

export class StreamControl {
  #owes = 0;
  /** The peer is known to have OPEN (proxy), OPENED or REFUSED (requester). */
  #openSettled: boolean;
  #answerSettled: boolean;
  #answer: BoundAddress | ErrorCode = 'INTERNAL';
  #stopCode: ErrorCode = 'RESET';
  /** The packet that carries OPEN or the answer already. */
  #openingIn: PacketBuilder | undefined;

  /** The proxy's end has a target, and begins by owing OPEN. */
  constructor(
    private readonly owner: FrameOwner,
    private readonly id: number,
    private readonly target: StreamTarget | undefined,
    private readonly sender: SendStream,
    private readonly receiver: ReceiveStream,
  ) {
    this.#openSettled = target === undefined;
    this.#answerSettled = target !== undefined;
    if (target !== undefined) this.#owes = OWES.OPEN;
  }

  /** There are control frames to send. */
  get owing(): boolean {
    return this.#owes !== 0;
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
  openReceived(): void {
    this.#openSettled = true;
    this.#owes &= ~OWES.OPEN;
  }

  /** RESET, with what `sender` has sent as final size. */
  reset(): void {
    // With nothing before it, RESET opens and ends it at the requester; bytes need to know where they go.
    if (this.sender.sentBytes === 0) this.openReceived();
    this.#owe(OWES.RESET);
  }

  stop(code: ErrorCode): void {
    this.#stopCode = code;
    this.#owe(OWES.STOP);
  }

  /** The peer should hear of new credit, if it means anything to it still. */
  credit(): void {
    if (this.receiver.wantsBytes) this.#owe(OWES.MAX);
  }

  creditNeedless(): void {
    this.#owes &= ~OWES.MAX;
  }

  #owe(what: number): void {
    this.#owes |= what;
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
    const { id, owner, sender, receiver } = this;
    return (
      this.#pay(OWES.OPEN, () => this.#writeOpen(builder)) &&
      this.#pay(OWES.ANSWER, () => this.#writeAnswer(builder)) &&
      this.#pay(OWES.RESET, () => builder.reset(owner, id, errorNumber(sender.resetCode), sender.sentBytes)) &&
      this.#pay(OWES.STOP, () => builder.stop(owner, id, errorNumber(this.#stopCode))) &&
      this.#pay(OWES.MAX, () => builder.maxStreamData(owner, id, receiver.limit))
    );
  }

  #pay(what: number, write: () => boolean): boolean {
    if ((this.#owes & what) === 0) return true;
    if (!write()) return false;
    this.#owes &= ~what;
    return true;
  }

  #writeOpen(builder: PacketBuilder): boolean {
    const { owner, target } = this;
    if (target === undefined) return true;
    if (!builder.open(owner, this.id, kindNumber(target.kind), hostBytes(target.host), target.port)) return false;
    this.#openingIn = builder;
    this.#owes &= ~OWES.OPEN;
    return true;
  }

  #writeAnswer(builder: PacketBuilder): boolean {
    const answer = this.#answer;
    const written =
      typeof answer === 'string'
        ? builder.refused(this.owner, this.id, errorNumber(answer))
        : builder.opened(this.owner, this.id, hostBytes(answer.host), answer.port);
    if (!written) return false;
    this.#openingIn = builder;
    this.#owes &= ~OWES.ANSWER;
    return true;
  }

  // ---- what became of it

  onAcked(frame: SentFrame): void {
    switch (frame.type) {
      case FRAME.OPEN:
        this.openReceived();
        break;
      case FRAME.OPENED:
      case FRAME.REFUSED:
        this.#answerSettled = true;
        this.#owes &= ~OWES.ANSWER;
        break;
      case FRAME.RESET:
        this.sender.onResetAcked();
        this.#owes &= ~OWES.RESET;
        break;
      case FRAME.STOP:
        this.#owes &= ~OWES.STOP;
        break;
    }
  }

  onLost(frame: SentFrame): void {
    switch (frame.type) {
      case FRAME.OPEN:
        if (!this.#openSettled) this.#owe(OWES.OPEN);
        break;
      case FRAME.OPENED:
      case FRAME.REFUSED:
        if (!this.#answerSettled) this.#owe(OWES.ANSWER);
        break;
      case FRAME.RESET:
        if (this.sender.resetting) this.#owe(OWES.RESET);
        break;
      case FRAME.STOP:
        if (!this.receiver.ended) this.#owe(OWES.STOP);
        break;
      case FRAME.MAX_STREAM_DATA:
        this.credit();
        break;
    }
  }
}
