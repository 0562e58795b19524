/**
 * A small HTTP server for local eyes: metrics and status. It answers GET and HEAD on
 * fixed paths and nothing else, and it checks the Host header: without that check any web page could read these
 * ports through DNS rebinding.
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIPv6 } from 'node:net';
import { parseListen } from './address.ts';
import { parseAddress } from './address-policy.ts';
import { asMixError, MixError, systemCode } from './errors.ts';
import type { Log } from './log.ts';

export interface HttpAnswer {
  readonly status?: number;
  /** Media type; `text/plain` when absent. */
  readonly type?: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Path → what answers it. A handler gets the query of the request target. */
export type Routes = Readonly<Record<string, (query: URLSearchParams) => HttpAnswer | Promise<HttpAnswer>>>;

export interface LocalHttpOptions {
  /** `host:port`; port 0 takes any free one. */
  readonly listen: string;
  readonly routes: Routes;
  readonly log: Log;
  readonly limits?: Partial<LocalHttpLimits>;
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
  headers: 50,
  connections: 32,
  headersTimeoutMs: 5000,
  requestTimeoutMs: 10_000,
  idleTimeoutMs: 5000,
  checkPeriodMs: 1000,
};

export interface LocalHttpLimits {
  readonly headerBytes: number;
  /** Lines of a header; further ones are ignored. */
  readonly headers: number;
  readonly connections: number;
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
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: limits.checkPeriodMs,
    },
    (request, response) => void handle(request, response, options),
  );
  server.maxHeadersCount = limits.headers;
  server.maxConnections = limits.connections;
  await listening(server, host, port);
  const address = server.address();
  const bound = address !== null && typeof address === 'object' ? address.port : port;
  return {
    url: `http://${isIPv6(host) ? `[${host}]` : host}:${bound}`,
    port: bound,
    close: () => closed(server),
  };
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port)));
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      server.on('error', () => {}); // a failed accept (EMFILE) concerns that connection only
      resolve();
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** The LISTEN error for a failed `listen`: one line that names the address and the reason. */
export function listenError(error: unknown, host: string, port: number): MixError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'the port is in use by another program',
    EACCES: 'this user may not use that port',
    EADDRNOTAVAIL: 'this machine does not have that address',
  };
  const code = systemCode(error) ?? '';
  return new MixError(
    'LISTEN',
    `cannot listen on ${host}:${port}: ${reasons[code] ?? asMixError(error).message}`,
    error,
  );
}

async function handle(request: IncomingMessage, response: ServerResponse, { routes, log }: LocalHttpOptions) {
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Cache-Control', 'no-store');
  const head = request.method === 'HEAD';
  try {
    send(response, await answer(request, routes), head);
  } catch (error) {
    log.error({ error: asMixError(error).message }, 'a local page failed');
    send(response, { status: 500, body: 'internal error\n' }, head);
  }
}

function answer(request: IncomingMessage, routes: Routes): HttpAnswer | Promise<HttpAnswer> {
  if (!isOwnName(request)) return { status: 403, body: 'ask for this page by its address or loopback name\n' };
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, body: 'only GET and HEAD\n', headers: { Allow: 'GET, HEAD' } };
  }
  const [path = '/', query = ''] = (request.url ?? '/').split('?', 2);
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  return route === undefined ? { status: 404, body: 'not found\n' } : route(new URLSearchParams(query));
}

/**
 * Whether the Host header names what was connected to: a loopback name, or the very address. A page that has its own name
 * point here (DNS rebinding) can send neither.
 */
function isOwnName({ headers, socket }: IncomingMessage): boolean {
  if (isLoopbackName(headers.host)) return true;
  const address = parseAddress(socket.localAddress ?? '')?.text;
  const named = /^\[?([0-9a-f.:]+?)\]?(:\d{1,5})?$/i.exec(headers.host ?? '')?.[1];
  return address !== undefined && named !== undefined && parseAddress(named)?.text === address;
}

/** Whether a Host header names this machine: localhost, 127.0.0.1 or [::1], with any port. */
export function isLoopbackName(host: string | undefined): boolean {
  return host !== undefined && /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i.test(host);
}

function send(response: ServerResponse, answer: HttpAnswer, head: boolean): void {
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body, 'utf8') : answer.body;
  response.writeHead(answer.status ?? 200, {
    'Content-Type': answer.type ?? 'text/plain; charset=utf-8',
    'Content-Length': body.byteLength,
    ...answer.headers,
  });
  response.end(head ? undefined : body);
}
