/**
 * A connection of an application that speaks HTTP: requests one after another, pipelined or not, each to any site
 * (RFC 9112 section 9.3); CONNECT makes it a tunnel.
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { afterSilence, type Timer } from '../../../lib/core/clock.ts';
import { breakOff, breakOffBehindBytes } from '../../../lib/relay/break-off.ts';
import type { ConnectionContext } from '../context.ts';
import { answerAndClose } from '../last-answer.ts';
import { type Replies, Tunnel } from '../tunnel.ts';
import { answerBytes, ESTABLISHED, failureAnswer, HEADER_TOO_LARGE } from './answers.ts';
import { HttpExchange } from './exchange.ts';
import { parseConnectTarget } from './plan.ts';

/** Requests of one connection that are answered or wait; with one more, the connection ends. */
export const MAX_PIPELINED = 64;
/** Requests of one connection that are under way at a time: safe ones only, others go alone. */
export const MAX_PARALLEL = 8;

/** Enough of a request to see the form of its target. */
const HEAD_CHARS = 64;
const ASKS_FOR_PATH = /^\s*[a-z]+ +[/*]/i;

const TUNNEL_REPLIES: Replies = {
  openedReply: () => ESTABLISHED,
  failureReply: (code) => answerBytes(failureAnswer(code)),
};

export class HttpConnection {
  /** In the order of the requests; the first is current. */
  readonly #exchanges: HttpExchange[] = [];
  #asked = false;
  /** No request is taken any more. */
  #closing = false;
  /** To be done when all requests before it are answered. */
  #last: (() => void) | undefined;
  #tunnel: Tunnel | undefined;
  #timer: Timer | undefined;
  #timesHeader = false;
  /** The beginning of the request that is being read. */
  #head = '';

  constructor(
    private readonly socket: Socket,
    private readonly context: ConnectionContext,
  ) {
    socket.on('close', () => this.#onClose());
    socket.on('end', () => {
      for (const exchange of this.#exchanges) exchange.clientEnded();
    });
  }

  /** The time for the first request begins. */
  start(): void {
    this.#awaitHeader();
  }

  /** Bytes came: while no request is under way, they begin the next one. */
  onData(bytes: Buffer): void {
    if (this.#exchanges.length > 0 || this.#closing) return;
    if (!this.#timesHeader) {
      this.#head = '';
      this.#awaitHeader();
    }
    if (this.#head.length < HEAD_CHARS) this.#head += bytes.toString('latin1', 0, HEAD_CHARS);
  }

  onRequest(request: IncomingMessage, response: ServerResponse): void {
    if (this.#closing) return;
    this.#headerCame();
    const events = { broken: () => this.#breakOff(), silent: () => this.socket.destroy() };
    const exchange = new HttpExchange(request, response, this.context, events);
    this.#exchanges.push(exchange);
    response.on('close', () => this.#onAnswered(exchange));
    if (this.#exchanges.length > MAX_PIPELINED) {
      this.#stopReading();
      response.shouldKeepAlive = false;
      exchange.fail('LIMIT');
    }
    this.#advance();
  }

  /** CONNECT. The parser has let go of the socket. */
  onConnect(request: IncomingMessage, early: Buffer): void {
    if (this.#closing) return;
    this.#headerCame();
    this.#closing = true;
    this.socket.pause();
    this.#lastly(() => this.#openTunnel(request, early));
  }

  /** The client's bytes are no HTTP. */
  onMalformed(code: string | undefined): void {
    if (this.#closing) return;
    this.#headerCame();
    if (this.#exchanges.length === 0 && ASKS_FOR_PATH.test(this.#head)) {
      this.socket.destroy(); // a page can make a header too long, and shall not learn what listens
      return;
    }
    this.#stopReading();
    this.#exchanges.find(({ request }) => !request.complete)?.fail('MALFORMED');
    const { counters, clock, limits } = this.context;
    this.#lastly(() => {
      counters.handshakeRefused('MALFORMED');
      const answer = code === 'HPE_HEADER_OVERFLOW' ? HEADER_TOO_LARGE : failureAnswer('MALFORMED');
      this.#timer = answerAndClose(this.socket, answerBytes(answer), clock, limits.failureLingerMs);
    });
  }

  /** Breaks it off. */
  stop(): void {
    this.#closing = true;
    for (const exchange of this.#exchanges) exchange.stop();
    this.#tunnel?.stop();
    this.socket.destroy();
  }

  /** Starts what may be under way now. */
  #advance(): void {
    this.#exchanges[0]?.makeCurrent();
    for (const [index, exchange] of this.#exchanges.entries()) {
      if (exchange.started) continue;
      const before = this.#exchanges.slice(0, index);
      const alone = index > 0 && !(exchange.safe && before.every(({ safe }) => safe));
      if (alone || index >= MAX_PARALLEL) return;
      exchange.start();
    }
  }

  #onAnswered(exchange: HttpExchange): void {
    const index = this.#exchanges.indexOf(exchange);
    if (index !== -1) this.#exchanges.splice(index, 1);
    if (!exchange.response.writableFinished) {
      exchange.stop();
      return;
    }
    if (this.#exchanges.length > 0) this.#advance();
    else if (this.#last !== undefined) this.#takeLast();
    else if (!this.#closing) this.#awaitRequest();
  }

  #lastly(act: () => void): void {
    this.#last = act;
    if (this.#exchanges.length === 0) this.#takeLast();
  }

  #takeLast(): void {
    const last = this.#last;
    this.#last = undefined;
    if (!this.socket.destroyed) last?.();
  }

  #openTunnel(request: IncomingMessage, early: Buffer): void {
    const destination = parseConnectTarget(request.url ?? '');
    const { counters, clock, limits } = this.context;
    if (destination === undefined) {
      counters.handshakeRefused('ADDRESS_TYPE');
      const answer = answerBytes(failureAnswer('ADDRESS_TYPE'));
      this.#timer = answerAndClose(this.socket, answer, clock, limits.failureLingerMs);
      return;
    }
    const isolation = request.headersDistinct['proxy-authorization']?.join(', ');
    this.#tunnel = new Tunnel(this.socket, this.context, TUNNEL_REPLIES);
    const asked = { protocol: 'http', kind: 'tcp', ...destination } as const;
    this.#tunnel.open({ ...asked, ...(isolation === undefined ? {} : { isolation }) }, early);
  }

  /** Nothing more is taken from the client; what it still sends is discarded. */
  #stopReading(): void {
    this.#closing = true;
    this.socket.removeAllListeners('data');
    this.socket.removeAllListeners('end');
    this.socket.on('data', () => {});
    this.socket.resume();
  }

  /** With a reset, behind the bytes of the response that came before it. */
  #breakOff(): void {
    this.#closing = true;
    this.socket.write('', () => breakOffBehindBytes(this.socket, this.context.clock));
    this.#arm(this.context.limits.failureLingerMs, () => breakOff(this.socket));
  }

  #awaitHeader(): void {
    this.#timesHeader = true;
    this.#arm(this.context.limits.handshakeMs, () => {
      if (!this.#asked) this.context.counters.handshakesFailed.inc({ reason: 'TIMEOUT' });
      this.socket.destroy();
    });
  }

  #headerCame(): void {
    this.#asked = true;
    this.context.bounds?.settle(this.socket);
    this.#timesHeader = false;
    this.#timer?.cancel();
  }

  #awaitRequest(): void {
    this.context.bounds?.unsettle(this.socket);
    this.#arm(this.context.limits.httpIdleMs, () => this.socket.destroy());
  }

  #onClose(): void {
    this.#timer?.cancel();
    this.#closing = true;
    this.#last = undefined;
    for (const exchange of this.#exchanges) exchange.stop();
  }

  #arm(delayMs: number, fire: () => void): void {
    this.#timer?.cancel();
    this.#timer = afterSilence(this.context.clock, delayMs, fire);
  }
}
