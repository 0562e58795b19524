/**
 * One look-up through the mixnet: the addresses of a name, or the names of an address, from the requester's name servers.
 * Nothing is resolved on this machine, and nothing private is believed: a rebinding attack would use it.
 * @module
 */
import { concatBytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { asMixError, type ErrorCode } from '../core/errors.ts';
import { checkDestination, isPrivateName } from '../net/destination.ts';
import { decodeAnswer, MAX_ANSWER_BYTES, type ResolveAnswer } from '../net/resolve-answer.ts';
import type { SessionStream, StreamHandlers } from '../session/index.ts';
import type { StreamOpener } from './opener.ts';

export interface LookupContext {
  readonly opener: StreamOpener;
  readonly clock: Clock;
  readonly allowPrivate: boolean;
}

export interface Question {
  /** A name, or an address in any textual form. */
  readonly host: string;
  /** Names of an address are wanted, not addresses of a name. */
  readonly reverse: boolean;
  readonly isolation?: string;
  /** The port that will be asked for with the answer, if that is known: a requester that lets it through is asked. */
  readonly forPort?: number;
}

/** One of them is called, once; neither after `stop`. */
export interface LookupEvents {
  /** At least one address or name, in the requester's order. */
  found(answers: readonly string[]): void;
  failed(code: ErrorCode): void;
}

export class Lookup implements StreamHandlers {
  #stream: SessionStream | undefined;
  #message: Uint8Array = new Uint8Array(0);
  #over = false;

  constructor(
    private readonly question: Question,
    private readonly context: LookupContext,
    private readonly events: LookupEvents,
  ) {}

  /** What was asked over, as far as it was. */
  get stream(): SessionStream | undefined {
    return this.#stream;
  }

  /** An address needs no question to be resolved: it is its own answer. */
  start(): void {
    const { host, reverse } = this.question;
    const verdict = checkDestination(host, this.context.allowPrivate);
    if (!verdict.ok) this.#fail(verdict.code);
    else if (verdict.destination.kind === 'name' && reverse) this.#fail('ADDRESS_TYPE');
    else if (verdict.destination.kind === 'name' || reverse) this.#ask(verdict.destination.host);
    else this.#find([verdict.destination.host]);
  }

  /** The answer is not wanted any more. */
  stop(code: ErrorCode): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream?.reset(code, this.context.clock.nowMs());
  }

  /** Only now: until then the stream may still change its session. */
  onOpened(): void {
    this.#stream?.end(this.context.clock.nowMs());
  }

  onDrain(): void {}

  onRefused(code: ErrorCode): void {
    this.#fail(code);
  }

  onReset(code: ErrorCode): void {
    this.#fail(code);
  }

  onData(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#message = concatBytes(this.#message, bytes);
    this.#stream?.consume(bytes.byteLength, this.context.clock.nowMs());
    if (this.#message.byteLength > MAX_ANSWER_BYTES) this.#giveUp();
  }

  onFin(): void {
    if (this.#over) return;
    const answer = decodeAnswer(this.#message);
    if (answer === undefined) this.#giveUp();
    else this.#onAnswer(answer);
  }

  #ask(host: string): void {
    const { isolation, forPort } = this.question;
    const kept = { ...(isolation === undefined ? {} : { isolation }), ...(forPort === undefined ? {} : { forPort }) };
    try {
      this.#stream = this.context.opener.open({ kind: 'resolve', host, port: 0, ...kept }, this);
    } catch (error) {
      this.#fail(asMixError(error).code);
    }
  }

  #onAnswer({ addresses, names }: ResolveAnswer): void {
    const { allowPrivate } = this.context;
    const answers = this.question.reverse ? names : addresses;
    const allowed = this.question.reverse
      ? names.filter((name) => allowPrivate || !isPrivateName(name))
      : addresses.filter((address) => checkDestination(address, allowPrivate).ok);
    if (allowed.length > 0) this.#find(allowed);
    else this.#fail(answers.length > 0 && !this.question.reverse ? 'POLICY' : 'NOT_FOUND');
  }

  #giveUp(): void {
    this.#stream?.reset('INTERNAL', this.context.clock.nowMs());
    this.#fail('MALFORMED');
  }

  #find(answers: readonly string[]): void {
    this.#over = true;
    this.events.found(answers);
  }

  #fail(code: ErrorCode): void {
    if (this.#over) return;
    this.#over = true;
    this.events.failed(code);
  }
}
