/**
 * The web server on loopback that benchmarks ask through the network.
 * @module
 */
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Scope } from './scope.ts';

const CHUNK_BYTES = 65_536;

/** Answers a request, or says by false that the path is not its own. */
export type Route = (path: string, response: ServerResponse) => boolean;

/** `length` bytes that do not compress and are the same for the same seed. */
export function* contentChunks(length: number, seed: string): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', createHash('md5').update(seed).digest(), Buffer.alloc(16));
  const zeros = Buffer.alloc(CHUNK_BYTES);
  for (let left = length; left > 0; left -= CHUNK_BYTES) {
    yield cipher.update(left < CHUNK_BYTES ? zeros.subarray(0, left) : zeros);
  }
}

export function contentHash(length: number, seed: string): string {
  const hash = createHash('sha256');
  for (const chunk of contentChunks(length, seed)) hash.update(chunk);
  return hash.digest('hex');
}

/** `GET /bytes/N?SEED` sends N bytes of content, `POST /sha256` answers with the hash of what came; `route` has the rest. */
export async function startSite(scope: Scope, route: Route = () => false): Promise<{ readonly port: number }> {
  // No time limits: slow is what some benchmarks are about.
  const server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 }, (request, response) => {
    serve(request, response, route).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port };
}

async function serve(request: IncomingMessage, response: ServerResponse, route: Route): Promise<void> {
  const [path = '/', seed = ''] = (request.url ?? '/').split('?');
  const length = /^\/bytes\/(\d+)$/.exec(path)?.[1];
  if (length !== undefined) await sendContent(response, Number(length), seed);
  else if (path === '/sha256') {
    const hash = createHash('sha256');
    for await (const part of request) hash.update(part as Buffer);
    response.end(hash.digest('hex'));
  } else if (!route(path, response)) response.writeHead(404).end();
}

async function sendContent(response: ServerResponse, length: number, seed: string): Promise<void> {
  response.writeHead(200, { 'Content-Length': length });
  const gone = once(response, 'close');
  for (const chunk of contentChunks(length, seed)) {
    if (response.destroyed) return;
    if (!response.write(chunk)) await Promise.race([once(response, 'drain'), gone]);
  }
  response.end();
}
