/**
 * A small HTTP server for local eyes: metrics and status. It answers GET and HEAD on
 * fixed paths and nothing else. It checks the Host header: without that check any web page could read these ports
 * through DNS rebinding. Requests that a page of another origin causes get no answer (cross-origin.ts).
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../core/clock.ts';
import { asMixError } from '../core/errors.ts';
import type { Log } from '../telemetry/log.ts';
import { joinHostPort, parseListen } from './address.ts';
import { ConnectionBounds } from './connection-bounds.ts';
import { isCrossOrigin, isFromBrowser, mayAnswerMalformed, SAME_ORIGIN_ONLY } from './cross-origin.ts';
import { isAcceptedHost } from './host-header.ts';
import { listenOn } from './listening.ts';

export interface HttpAnswer {
  readonly status?: number;
  /** Media type; `text/plain` when absent. */
  readonly type?: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Path → what answers it. A handler gets the query of the request target. */
export type Routes = Readonly<Record<string, (query: URLSearchParams) => HttpAnswer | Promise<HttpAnswer>>>;

export interface HostOption {
  readonly listed: readonly string[];
  /** As on the command line, for the refusal. */
  readonly flag: '--status-hosts' | '--metrics-hosts';
}

export interface LocalHttpOptions {
  /** `host:port`; port 0 takes any free one. */
  readonly listen: string;
  /** What else than loopback names and the address itself may stand in `Host`, and the option that lists it. */
  readonly hosts: HostOption;
  readonly routes: Routes;
  readonly log: Log;
  readonly limits?: Partial<LocalHttpLimits>;
  /** For connections that wait for a place. */
  readonly clock?: Clock;
}

export interface LocalHttp {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Requests carry no body and few headers, and a reader of metrics needs one connection. */
export const LOCAL_HTTP_LIMITS: LocalHttpLimits = {
  headerBytes: 8192,
  connections: 32,
  connectionsPerSource: 16,
  headersTimeoutMs: 5000,
  requestTimeoutMs: 10_000,
  idleTimeoutMs: 5000,
  checkPeriodMs: 1000,
};

export interface LocalHttpLimits {
  readonly headerBytes: number;
  readonly connections: number;
  readonly connectionsPerSource: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Between two requests on a connection. */
  readonly idleTimeoutMs: number;
  /** How often connections are held against the two times. */
  readonly checkPeriodMs: number;
}

/** Starts the server; rejects with LISTEN when the address cannot be had. */
export async function serveLocalHttp(options: LocalHttpOptions): Promise<LocalHttp> {
  const { host, port } = parseListen(options.listen);
  const limits = { ...LOCAL_HTTP_LIMITS, ...options.limits };
  const onUnlisted = firstTime(() => {
    options.log.warn({}, `a browser asked by a name that ${options.hosts.flag} does not list, and got no answer`);
  });
  const onRequest = (request: IncomingMessage, response: ServerResponse) =>
    void handle(request, response, { ...options, onUnlisted });
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: limits.checkPeriodMs,
      requireHostHeader: false, // Node's own answer would lack the fields of ours
    },
    onRequest,
  );
  // Without these two Node answers by itself before a handler is asked.
  server.on('checkContinue', onRequest);
  server.on('checkExpectation', onRequest);
  server.on('clientError', onMalformed);
  server.maxHeadersCount = 0; // bounded by their bytes: no line may be overlooked
  const { connections, connectionsPerSource: perSource } = limits;
  const bounds = new ConnectionBounds({
    limits: { total: connections, pending: connections, perSource, reserved: 0 },
    ...(options.clock && { clock: options.clock }),
  });
  bounds.guardHttp(server);
  const bound = await listenOn(server, { host, port });
  return {
    url: `http://${joinHostPort(host, bound)}`,
    port: bound,
    close: () => closed(server, bounds),
  };
}

/** `act`, and nothing when it is called again. */
function firstTime(act: () => void): () => void {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}

function closed(server: Server, bounds: ConnectionBounds): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
    bounds.close();
  });
}

const COMMON_FIELDS: Readonly<Record<string, string>> = {
  ...SAME_ORIGIN_ONLY,
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
};

/** `onUnlisted`: a browser asked by a name that is not listed. */
type Serving = LocalHttpOptions & { readonly onUnlisted: () => void };

async function handle(request: IncomingMessage, response: ServerResponse, options: Serving) {
  const head = request.method === 'HEAD';
  try {
    const answer = await answerTo(request, options);
    if (answer === undefined) request.socket.destroy();
    else send(response, answer, head);
  } catch (error) {
    options.log.error({ error: asMixError(error).message }, 'a local page failed');
    send(response, { status: 500, body: 'internal error\n' }, head);
  }
}

/** Undefined: the connection is closed without an answer. */
function answerTo(request: IncomingMessage, options: Serving): HttpAnswer | Promise<HttpAnswer> | undefined {
  const { routes, hosts, onUnlisted } = options;
  const { rawHeaders, headersDistinct, httpVersion } = request;
  if (isCrossOrigin(rawHeaders)) return undefined;
  const named = headersDistinct.host?.length ?? 0;
  if (named > 1 || (named === 0 && httpVersion === '1.1')) return { status: 400, body: 'one Host field is needed\n' };
  if (!isAcceptedHost(request.headers.host, request.socket.localAddress, hosts.listed)) {
    const body = `ask for this page by its address, as localhost, or by a name that ${hosts.flag} lists\n`;
    if (!isFromBrowser(rawHeaders)) return { status: 403, body };
    onUnlisted();
    return undefined; // a page whose name was made to resolve to this machine could read the line
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, body: 'only GET and HEAD\n', headers: { Allow: 'GET, HEAD' } };
  }
  const [path = '/', query = ''] = (request.url ?? '/').split('?', 2);
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  return route === undefined ? { status: 404, body: 'not found\n' } : route(new URLSearchParams(query));
}

function send(response: ServerResponse, answer: HttpAnswer, head: boolean): void {
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body, 'utf8') : answer.body;
  response.writeHead(answer.status ?? 200, {
    ...COMMON_FIELDS,
    'Content-Type': answer.type ?? 'text/plain; charset=utf-8',
    'Content-Length': body.byteLength,
    ...answer.headers,
  });
  response.end(head ? undefined : body);
}

const MALFORMED_STATUS: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };

/** What is no request, or takes too long. Browsers open connections ahead, for pages too: those get no word. */
function onMalformed(error: NodeJS.ErrnoException & { readonly rawPacket?: Buffer }, stream: Duplex): void {
  const socket = stream as Socket;
  const { rawPacket } = error; // a time-out has none
  const fresh = socket.writable && socket.bytesWritten === 0 && socket.bytesRead > 0;
  if (fresh && (rawPacket === undefined || mayAnswerMalformed(rawPacket))) {
    const status = MALFORMED_STATUS[error.code ?? ''] ?? 400;
    const fields = Object.entries({ ...COMMON_FIELDS, 'Content-Length': '0', Connection: 'close' });
    const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n`);
  }
  socket.destroy(error);
}
