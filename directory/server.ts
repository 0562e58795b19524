/**
 * The HTTP server around the API: bounded headers, bodies, times and connections. Anyone may reach it.
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { asMixError } from '../lib/core/errors.ts';
import type { MemoryBudget } from '../lib/core/memory-budget.ts';
import { parseListen } from '../lib/net/address.ts';
import { ConnectionBounds } from '../lib/net/connection-bounds.ts';
import { SAME_ORIGIN_ONLY } from '../lib/net/cross-origin.ts';
import { listenOn } from '../lib/net/listening.ts';
import type { Log } from '../lib/telemetry/log.ts';
import type { Api, ApiAnswer } from './api.ts';

export const SERVER_LIMITS = {
  headerBytes: 8192,
  headers: 50,
  /** An envelope of the longest descriptor fits (lib/directory/envelope.ts). */
  bodyBytes: 96 * 1024,
  connections: 1024,
  /** Of one IPv4 address or IPv6 /64; 0: no bound. */
  connectionsPerSource: 128,
  /** Kept for the nodes of the network. */
  reservedConnections: 128,
  requestsPerConnection: 1000,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  keepAliveMs: 15_000,
  /** A reader that takes nothing for so long is cut off. */
  idleTimeoutMs: 30_000,
} as const;

type ServerLimits = { readonly [K in keyof typeof SERVER_LIMITS]: number };

export interface RunningServer {
  readonly port: number;
  close(): Promise<void>;
}

/** The API, once it can answer. */
type ApiSource = () => Api | undefined;

/** Starts the server on `host:port`; rejects with LISTEN. `onAnswer` is called for each answer. `isMember`: whether a source (`sourceOf`) is that of a node. */
export async function serveApi(
  api: ApiSource,
  listen: string,
  log: Log,
  onAnswer: (status: number) => void,
  limits: ServerLimits = SERVER_LIMITS,
  isMember?: (source: string) => boolean,
  memory?: MemoryBudget,
): Promise<RunningServer> {
  const { host, port } = parseListen(listen);
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => void respond(api, request, response, log, onAnswer, memory),
  );
  server.maxHeadersCount = limits.headers;
  const bounds = new ConnectionBounds({
    limits: {
      total: limits.connections,
      pending: limits.connections,
      perSource: limits.connectionsPerSource,
      reserved: limits.reservedConnections,
    },
    ...(isMember === undefined ? {} : { isNeighbour: isMember }),
  });
  bounds.guardHttp(server);
  server.maxRequestsPerSocket = limits.requestsPerConnection;
  server.setTimeout(limits.idleTimeoutMs);
  const onError = (error: Error) => log.error({ problem: error.message }, 'the API server failed');
  return {
    port: await listenOn(server, { host, port, onError }),
    close: () => closed(server, bounds),
  };
}

function closed(server: Server, bounds: ConnectionBounds): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
    bounds.close();
  });
}

async function respond(
  api: ApiSource,
  request: IncomingMessage,
  response: ServerResponse,
  log: Log,
  onAnswer: (status: number) => void,
  memory: MemoryBudget | undefined,
): Promise<void> {
  let answer: ApiAnswer;
  try {
    answer = await ask(api, request, memory);
  } catch (error) {
    if (request.destroyed && !request.complete) return; // gone in the middle of its request
    log.error({ problem: asMixError(error).message }, 'a request failed');
    answer = { status: 500, body: 'internal error\n', type: 'text/plain; charset=utf-8' };
  }
  onAnswer(answer.status);
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body, 'utf8') : answer.body;
  response.writeHead(answer.status, {
    ...SAME_ORIGIN_ONLY,
    'Content-Type': answer.type,
    ...(answer.status === 304 ? {} : { 'Content-Length': body.byteLength }),
    'X-Content-Type-Options': 'nosniff',
    // After a refused body the rest of it is still on its way: do not take it for the next request.
    ...(request.complete ? {} : { Connection: 'close' }),
    ...answer.headers,
  });
  response.end(request.method === 'HEAD' || answer.status === 304 ? undefined : body);
}

async function ask(source: ApiSource, request: IncomingMessage, memory: MemoryBudget | undefined): Promise<ApiAnswer> {
  const api = source();
  if (api === undefined) return { status: 503, body: 'starting\n', type: 'text/plain; charset=utf-8' };
  if (request.method === 'POST' && memory?.admits('bodies') === false) {
    return { status: 503, body: 'no memory for it now\n', type: 'text/plain; charset=utf-8' };
  }
  const body = await bodyOf(request, memory);
  if (body === undefined) {
    return { status: 413, body: `over ${SERVER_LIMITS.bodyBytes} bytes\n`, type: 'text/plain; charset=utf-8' };
  }
  const [path = '/', query = ''] = (request.url ?? '/').split('?', 2);
  return api.handle({
    method: request.method ?? '',
    path,
    query: new URLSearchParams(query),
    header: (name) => {
      const value = request.headers[name];
      return typeof value === 'string' ? value : undefined;
    },
    body,
    address: request.socket.remoteAddress ?? '',
  });
}

/** The body as text; undefined when it is too long. What is too much is read off and dropped, so that the answer arrives. */
function bodyOf(request: IncomingMessage, memory: MemoryBudget | undefined): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const held = memory?.account('bodies', () => request.destroy());
    request.once('close', () => held?.set(0));
    const parts: Buffer[] = [];
    let bytes = 0;
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      held?.set(Math.min(bytes, SERVER_LIMITS.bodyBytes));
      if (bytes <= SERVER_LIMITS.bodyBytes) parts.push(part);
      else resolve(undefined);
    });
    request.once('end', () => resolve(Buffer.concat(parts).toString('utf8')));
    request.once('error', reject);
  });
}
