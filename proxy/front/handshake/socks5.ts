/**
 * The SOCKS5 handshake (RFC 1928, RFC 1929) as a pure reader on top of the wire parser. Any user name and password is
 * accepted: they only keep streams apart, and are preferred over "no authentication" since a client that sends them
 * wants that. Some programs offer a login and have none, and fail when asked for it: `preferNoAuth` is for them.
 * @module
 */
import type { ErrorCode } from '../../../lib/core/errors.ts';
import { PasswordReader } from './password-reader.ts';
import { type Bound, methodReply, passwordReply, socks5Failure, socks5Reply } from './replies.ts';
import { COMMAND, Socks5Wire, type WireEvent, type WireFault, type WireRequest } from './socks5-wire.ts';
import type { ClientRequest, Handshake, HandshakeOptions, HandshakeStep } from './steps.ts';

const NO_AUTH = 0x00;
const PASSWORD = 0x02;
const NONE_ACCEPTABLE = 0xff;

const CODE_OF_FAULT = {
  version: 'MALFORMED',
  command: 'COMMAND',
  'address-type': 'ADDRESS_TYPE',
} as const satisfies Record<Exclude<WireFault, 'greeting'>, ErrorCode>;

/** BIND is none of them: no address of an exit is anybody's to listen on. */
const KIND_OF_COMMAND: ReadonlyMap<number, ClientRequest['kind']> = new Map([
  [COMMAND.connect, 'tcp'],
  [COMMAND.udp, 'udp'],
  [COMMAND.resolve, 'resolve'],
  [COMMAND.resolvePtr, 'resolve-ptr'],
]);

export class Socks5Handshake implements Handshake {
  readonly #wire = new Socks5Wire();
  #phase: 'greeting' | 'password' | 'request-start' | 'request' | 'done' = 'greeting';
  #password = new PasswordReader();
  #isolation: string | undefined;
  readonly #extendedErrors: boolean;
  readonly #preferNoAuth: boolean;

  constructor(options: HandshakeOptions = {}) {
    this.#extendedErrors = options.extendedErrors ?? false;
    this.#preferNoAuth = options.preferNoAuth ?? false;
  }

  push(bytes: Uint8Array): HandshakeStep[] {
    const steps: HandshakeStep[] = [];
    let rest = bytes;
    while (rest.byteLength > 0 && this.#phase !== 'done') {
      rest = this.#phase === 'password' ? this.#readPassword(rest, steps) : this.#readWire(rest, steps);
    }
    return steps;
  }

  openedReply(bound: Bound): Uint8Array {
    return socks5Reply(0, bound);
  }

  failureReply(code: ErrorCode): Uint8Array {
    return socks5Failure(code, this.#extendedErrors);
  }

  #readWire(bytes: Uint8Array, steps: HandshakeStep[]): Uint8Array {
    if (this.#phase === 'request-start') {
      // Some clients send their credentials although none were asked for; Tor takes them too.
      this.#phase = bytes[0] === 0x01 && this.#isolation === undefined ? 'password' : 'request';
      if (this.#phase === 'password') return bytes;
    }
    const event = this.#wire.push(bytes);
    return event === undefined ? bytes.subarray(bytes.byteLength) : this.#onWireEvent(event, steps);
  }

  #onWireEvent(event: WireEvent, steps: HandshakeStep[]): Uint8Array {
    if (event.kind === 'fault') {
      steps.push(this.#refuseFault(event.fault));
      return new Uint8Array(0);
    }
    if (event.kind === 'methods') steps.push(this.#chooseMethod(event.methods));
    else steps.push(this.#onRequest(event.request, event.rest));
    return event.rest;
  }

  get awaitsLogin(): boolean {
    return this.#phase === 'password';
  }

  #chooseMethod(methods: Uint8Array): HandshakeStep {
    const noAuth = methods.includes(NO_AUTH);
    if (methods.includes(PASSWORD) && !(noAuth && this.#preferNoAuth)) {
      this.#phase = 'password';
      return { kind: 'send', bytes: methodReply(PASSWORD) };
    }
    if (!noAuth) return this.#refuseMethods();
    this.#expectRequest();
    return { kind: 'send', bytes: methodReply(NO_AUTH) };
  }

  #readPassword(bytes: Uint8Array, steps: HandshakeStep[]): Uint8Array {
    const result = this.#password.push(bytes);
    if (result.kind === 'more') return new Uint8Array(0);
    if (result.kind === 'malformed') {
      this.#phase = 'done';
      steps.push({ kind: 'refuse', bytes: passwordReply(false), reason: 'MALFORMED' });
      return new Uint8Array(0);
    }
    this.#isolation = result.credentials;
    steps.push({ kind: 'send', bytes: passwordReply(true) });
    this.#expectRequest();
    return result.rest;
  }

  #expectRequest(): void {
    this.#phase = 'request-start';
    this.#wire.expectRequest();
  }

  #onRequest(wire: WireRequest, early: Uint8Array): HandshakeStep {
    this.#phase = 'done';
    const kind = KIND_OF_COMMAND.get(wire.command);
    if (kind === undefined) return this.#refuse('COMMAND');
    return { kind: 'request', request: clientRequest(kind, wire, this.#isolation), early };
  }

  #refuseFault(fault: WireFault): HandshakeStep {
    return fault === 'greeting' ? this.#refuseMethods() : this.#refuse(CODE_OF_FAULT[fault]);
  }

  #refuse(code: ErrorCode): HandshakeStep {
    this.#phase = 'done';
    return { kind: 'refuse', bytes: this.failureReply(code), reason: code };
  }

  #refuseMethods(): HandshakeStep {
    this.#phase = 'done';
    return { kind: 'refuse', bytes: methodReply(NONE_ACCEPTABLE), reason: 'METHODS' };
  }
}

function clientRequest(
  kind: ClientRequest['kind'],
  { host, port }: WireRequest,
  isolation: string | undefined,
): ClientRequest {
  return { protocol: 'socks5', kind, host, port, ...(isolation === undefined ? {} : { isolation }) };
}
