/**
 * RESOLVE and RESOLVE_PTR, Tor's additions to SOCKS (commands f0 and f1): the requester asks its name servers, and the
 * client gets one address or one name in the place of the bound address. Nothing is resolved on this machine.
 * @module
 */
import { parseAddress } from '../lib/address-policy.ts';
import { concatBytes } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import { checkDestination, isPrivateName } from '../lib/destination.ts';
import { asMixError, type ErrorCode } from '../lib/errors.ts';
import { decodeAnswer, MAX_ANSWER_BYTES, type ResolveAnswer } from '../lib/resolve-answer.ts';
import type { SessionStream, StreamHandlers } from '../lib/session/index.ts';
import type { ClientRequest } from './handshake.ts';
import type { StreamOpener } from './opener.ts';
import type { Bound } from './replies.ts';
import type { SideEvents, SideRequest } from './side-request.ts';

export interface ResolveContext {
  readonly opener: StreamOpener;
  readonly clock: Clock;
  readonly allowPrivate: boolean;
}

export class ResolveRequest implements SideRequest, StreamHandlers {
  readonly #request: ClientRequest;
  readonly #context: ResolveContext;
  readonly #events: SideEvents;
  #stream: SessionStream | undefined;
  #message: Uint8Array = new Uint8Array(0);
  #over = false;

  constructor(request: ClientRequest, context: ResolveContext, events: SideEvents) {
    this.#request = request;
    this.#context = context;
    this.#events = events;
  }

  start(): void {
    const { kind, host } = this.#request;
    const verdict = checkDestination(host, this.#context.allowPrivate);
    const isReverse = kind === 'resolve-ptr';
    if (!verdict.ok) this.#fail(verdict.code);
    else if (verdict.destination.kind === 'name' && isReverse) this.#fail('ADDRESS_TYPE');
    else if (verdict.destination.kind === 'name' || isReverse) this.#ask(verdict.destination.host);
    else this.#finish({ host: verdict.destination.host, port: 0 });
  }

  /** The answer is still wanted. */
  clientEnded(): void {}

  stop(code: ErrorCode): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream?.reset(code, this.#context.clock.nowMs());
  }

  /** Only now: until then the stream may still change its session. */
  onOpened(): void {
    this.#stream?.end(this.#context.clock.nowMs());
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
    this.#stream?.consume(bytes.byteLength, this.#context.clock.nowMs());
    if (this.#message.byteLength > MAX_ANSWER_BYTES) this.#giveUp();
  }

  onFin(): void {
    if (this.#over) return;
    const answer = decodeAnswer(this.#message);
    if (answer === undefined) this.#giveUp();
    else this.#told(answer);
  }

  #ask(host: string): void {
    const { isolation } = this.#request;
    const target = { kind: 'resolve', host, port: 0, ...(isolation === undefined ? {} : { isolation }) } as const;
    try {
      this.#stream = this.#context.opener.open(target, this);
    } catch (error) {
      this.#fail(asMixError(error).code);
    }
  }

  /** The requester's word is not taken for what may come to this machine: a rebinding attack would use it. */
  #told({ addresses, names }: ResolveAnswer): void {
    const { allowPrivate } = this.#context;
    if (this.#request.kind === 'resolve-ptr') {
      const name = names.find((one) => allowPrivate || !isPrivateName(one));
      if (name === undefined) this.#fail('NOT_FOUND');
      else this.#finish({ host: name, port: 0 });
      return;
    }
    const allowed = addresses.filter((address) => checkDestination(address, allowPrivate).ok);
    // Clients that do not say which family they can use can use IPv4.
    const isIpv4 = (address: string) => parseAddress(address)?.family === 4;
    const address = allowed.find(isIpv4) ?? (this.#request.protocol === 'socks5' ? allowed[0] : undefined);
    if (address === undefined) this.#fail(allowed.length < addresses.length ? 'POLICY' : 'NOT_FOUND');
    else this.#finish({ host: address, port: 0 });
  }

  #giveUp(): void {
    this.#stream?.reset('INTERNAL', this.#context.clock.nowMs());
    this.#fail('MALFORMED');
  }

  #finish(bound: Bound): void {
    this.#over = true;
    this.#events.finish(bound);
  }

  #fail(code: ErrorCode): void {
    if (this.#over) return;
    this.#over = true;
    this.#events.fail(code);
  }
}
