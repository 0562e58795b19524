/**
 * One plain HTTP request through the mixnet: it goes to the site over a stream of its own, and the site's response comes
 * back. Both are read and written by Node's HTTP. A response that breaks never looks like a complete one: the connection
 * to the application is reset.
 * @module
 */
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { RequestRecord } from '../../../lib/access/request-record.ts';
import type { ErrorCode } from '../../../lib/core/errors.ts';
import { MixError } from '../../../lib/core/errors.ts';
import { requestOver } from '../../../lib/relay/http-request.ts';
import { MixnetStream } from '../../../lib/relay/mixnet-stream.ts';
import { type ConnectionContext, checkConnect, isolationOf } from '../context.ts';
import { BAD_RESPONSE, failureAnswer, type HttpAnswer } from './answers.ts';
import { endToEndFields, endToEndTrailers } from './fields.ts';
import { type ForwardedRequest, planRequest } from './plan.ts';

/** Bytes of a response's header. */
export const MAX_RESPONSE_HEADER_BYTES = 65_536;
/** Of answers that the program has not read, beyond which interim ones are left out: a site may send them without end. */
export const MAX_UNREAD_INTERIM_BYTES = 65_536;

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

export interface ExchangeEvents {
  /** The response cannot be completed: the connection must break. */
  broken(): void;
  /** There is no answer to such a request. */
  silent(): void;
}

export class HttpExchange {
  #started = false;
  /** What was asked before has been answered: the response may be written. */
  #current = false;
  #over = false;
  #continued = false;
  #stream: MixnetStream | undefined;
  #record: RequestRecord | undefined;
  #upstream: ClientRequest | undefined;
  #answer: IncomingMessage | undefined;
  /** What came while an earlier response was still being written. */
  #waiting: (() => void) | undefined;

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    private readonly context: ConnectionContext,
    private readonly events: ExchangeEvents,
  ) {
    response.sendDate = false; // the site's, if any
    if (/^close$/i.test(String(request.headers['proxy-connection'] ?? ''))) response.shouldKeepAlive = false;
  }

  get started(): boolean {
    return this.#started;
  }

  /** Whether it may be under way beside others (RFC 9112 section 9.3.2). */
  get safe(): boolean {
    return SAFE_METHODS.has(this.request.method ?? '') && !this.#hasBody;
  }

  get #hasBody(): boolean {
    const { headers } = this.request;
    return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  }

  start(): void {
    this.#started = true;
    const plan = planRequest(this.request);
    if (plan.kind === 'forward') this.#forward(plan.forwarded);
    else this.#refuse(plan.kind === 'answer' ? plan.answer : undefined);
  }

  /** All responses before this one are written. */
  makeCurrent(): void {
    if (this.#current) return;
    this.#current = true;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  /** The client's bytes are no request any more, or too many wait. */
  fail(code: ErrorCode): void {
    this.#started = true;
    this.#fail(failureAnswer(code), code);
  }

  /** The client has sent its FIN: it may wait for the response, or be gone. */
  clientEnded(): void {
    this.#stream?.setTimeout(this.context.opener.times.halfClosedIdleMs);
  }

  /** The client is gone. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#stream?.connecting === true) this.#stream.destroy();
    else this.#stream?.destroy(new MixError('RESET', 'the application closed its connection'));
    this.#upstream?.destroy();
  }

  /** A request that asks for nothing here. */
  #refuse(answer: HttpAnswer | undefined): void {
    const { counters } = this.context;
    counters.handshakesFailed.inc({ reason: 'HTTP' });
    if (answer === undefined) {
      this.events.silent();
      return;
    }
    counters.troubles.note('bad-request', 'refused', 'request');
    this.#reply(answer, true);
  }

  #forward(forwarded: ForwardedRequest): void {
    const { counters, clock, opener } = this.context;
    const { times } = opener;
    const { host, port } = forwarded;
    const record = counters.begin('request', port);
    this.#record = record;
    const isolation = this.request.headersDistinct['proxy-authorization']?.join(', ');
    const asked = { protocol: 'http', host, port, ...(isolation === undefined ? {} : { isolation }) } as const;
    const verdict = checkConnect(asked, this.context);
    if (!verdict.ok) {
      record.failed(verdict.code);
      this.#reply(failureAnswer(verdict.code));
      return;
    }
    const token = isolationOf(asked, this.request.socket, this.context);
    const stream = new MixnetStream({
      clock,
      open: (handlers) => opener.open({ kind: 'tcp', host: verdict.host, port, isolation: token }, handlers),
      target: 'the site',
      connectTimeoutMs: times.openTimeoutMs,
      observer: record,
    });
    this.#stream = stream;
    stream.on('error', (error) => this.#onError(error));
    stream.on('close', () => this.#deliverRest());
    stream.setTimeout(times.streamIdleMs, () => this.#fail(failureAnswer('TIMEOUT'), 'TIMEOUT'));
    this.#send(stream.start(), forwarded);
  }

  #send(stream: MixnetStream, forwarded: ForwardedRequest): void {
    const upstream = requestOver(stream, { ...forwarded, maxHeaderBytes: MAX_RESPONSE_HEADER_BYTES });
    this.#upstream = upstream;
    upstream.on('response', (answer) => this.#whenCurrent(() => this.#respond(answer)));
    upstream.on('information', ({ statusCode, rawHeaders }) => this.#inform(statusCode, rawHeaders));
    upstream.on('upgrade', (_answer, socket) => {
      socket.destroy();
      this.#fail(BAD_RESPONSE, 'MALFORMED'); // nobody asked for one
    });
    upstream.on('error', (error) => this.#onError(error));
    upstream.on('drain', () => this.request.resume());
    this.request.on('data', (bytes: Buffer) => {
      if (this.#over) return; // the response is complete: the site did not wait for the rest
      this.context.counters.bytes.inc({ direction: 'up' }, bytes.byteLength);
      if (!upstream.write(bytes)) this.request.pause();
    });
    this.request.on('end', () => {
      if (this.#over) return;
      if (upstream.hasHeader('transfer-encoding') || upstream.chunkedEncoding)
        upstream.addTrailers(endToEndTrailers(this.request.rawTrailers));
      upstream.end();
    });
    if (this.#hasBody) upstream.flushHeaders(); // a body may take its time
  }

  /** Interim responses (RFC 9110 section 15.2) go on, but to HTTP/1.0. */
  #inform(status: number, rawHeaders: readonly string[]): void {
    if (!this.#current || this.#over || this.response.headersSent || this.request.httpVersion === '1.0') return;
    if ((this.response.socket?.writableLength ?? 0) > MAX_UNREAD_INTERIM_BYTES) return;
    if (status === 100) {
      this.#continued = true;
      this.response.writeContinue();
      return;
    }
    const fields = endToEndFields(rawHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
    this.response.socket?.write(`HTTP/1.1 ${status} \r\n${fields.join('')}\r\n`, 'latin1');
  }

  #respond(answer: IncomingMessage): void {
    const { statusCode = 502, statusMessage = '', headers, rawHeaders } = answer;
    const coding = headers['transfer-encoding'];
    // No site may ask for credentials in the name of the proxy.
    if (statusCode === 407 || (coding !== undefined && coding.toLowerCase() !== 'chunked')) {
      this.#fail(BAD_RESPONSE, 'MALFORMED');
      return;
    }
    this.#closeIfBodyIsUncertain();
    this.#answer = answer;
    try {
      const fields = endToEndFields(rawHeaders, ['mixsocks-error']);
      this.response.writeHead(statusCode, statusMessage, fields.flat());
      this.response.flushHeaders();
    } catch {
      this.#fail(BAD_RESPONSE, 'MALFORMED'); // a field that Node reads and would not write
      return;
    }
    this.response.on('drain', () => answer.resume());
    answer.on('error', (error) => this.#onError(error));
    answer.on('data', (bytes: Buffer) => {
      this.context.counters.bytes.inc({ direction: 'down' }, bytes.byteLength);
      if (!this.response.write(bytes)) answer.pause();
    });
    answer.on('end', () => this.#complete(answer));
    answer.on('close', () => this.#complete(answer));
  }

  /** Node forgets what it has read and not handed out when the stream below closes: now is the time to take it. */
  #deliverRest(): void {
    let bytes: unknown = null;
    do bytes = this.#over ? null : (this.#answer?.read() ?? null);
    while (bytes !== null); // each comes as `data`
  }

  #complete(answer: IncomingMessage): void {
    if (this.#over) return;
    if (!answer.complete || this.#stream?.errored !== null) {
      this.#onError(new MixError('RESET', 'the response was broken off'));
      return;
    }
    this.#over = true;
    if (this.response.chunkedEncoding) this.response.addTrailers(endToEndTrailers(answer.rawTrailers));
    this.response.end();
    this.#stream?.destroy();
    this.request.resume(); // what the site did not wait for is discarded
  }

  #onError(error: Error & { readonly code?: string }): void {
    const own = error instanceof MixError ? error : this.#stream?.errored;
    const parsed = error.code?.startsWith('HPE_') === true;
    if (own instanceof MixError) this.#fail(failureAnswer(own.code), own.code);
    else if (parsed) this.#fail(BAD_RESPONSE, 'MALFORMED');
    else this.#fail(failureAnswer('RESET'), 'RESET'); // the site closed without a response
  }

  #fail(answer: HttpAnswer, code: ErrorCode): void {
    if (this.#over) return;
    this.#deliverRest();
    this.#over = true;
    this.context.log.debug({ code }, 'a request failed');
    if (this.#stream?.connecting === false && (code === 'RESET' || code === 'MALFORMED'))
      this.#record?.unanswered(code);
    this.#stream?.destroy(new MixError(code, 'the request failed'));
    this.#upstream?.destroy();
    this.#whenCurrent(() => {
      if (this.response.headersSent) this.events.broken();
      else this.#reply(answer);
    });
  }

  #reply({ status, fields, body }: HttpAnswer, close = this.#hasBody && !this.request.complete): void {
    this.#over = true;
    this.#whenCurrent(() => {
      if (close) this.response.shouldKeepAlive = false;
      this.response.writeHead(status, [...fields].flat());
      this.response.end(body);
      this.request.resume();
    });
  }

  /** A client that waits for 100 and gets a final response may send its body or not (RFC 9110 section 10.1.1). */
  #closeIfBodyIsUncertain(): void {
    if (this.request.headers.expect !== undefined && !this.#continued && !this.request.complete)
      this.response.shouldKeepAlive = false;
  }

  #whenCurrent(act: () => void): void {
    if (this.#current) act();
    else this.#waiting = act;
  }
}
