/**
 * A web server on loopback for system tests, and curl to ask it.
 * @module
 */
import { execFile } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { noteDestination } from './destinations.ts';
import type { Scope } from './localnet.ts';

const CHUNK_BYTES = 65_536;

/** `length` bytes that look random and are the same for the same seed. */
export function* patternChunks(length: number, seed = 'x'): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', createHash('md5').update(seed).digest(), Buffer.alloc(16));
  const zeros = Buffer.alloc(CHUNK_BYTES);
  for (let left = length; left > 0; left -= CHUNK_BYTES) {
    yield cipher.update(left < CHUNK_BYTES ? zeros.subarray(0, left) : zeros);
  }
}

export function pattern(length: number, seed = 'x'): Buffer {
  return Buffer.concat([...patternChunks(length, seed)]);
}

export function patternSha256(length: number, seed = 'x'): string {
  const hash = createHash('sha256');
  for (const chunk of patternChunks(length, seed)) hash.update(chunk);
  return hash.digest('hex');
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export interface TestWeb {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly port: number;
  /** Requests served. */
  readonly requests: () => number;
}

/**
 * `GET /` says hello, `GET /bytes/N?SEED` sends N bytes of the pattern, `POST /sha256` answers with the hash of what it
 * got. Ends with `t`.
 */
export async function startWeb(t: Pick<Scope, 'teardown'>): Promise<TestWeb> {
  let requests = 0;
  // No time limits: slow is what some tests are about.
  const server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 }, (request, response) => {
    requests += 1;
    serve(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  noteDestination(port);
  return { url: `http://127.0.0.1:${port}`, port, requests: () => requests };
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = '/', seed] = (request.url ?? '/').split('?');
  const bytes = /^\/bytes\/(\d+)$/.exec(path)?.[1];
  if (bytes !== undefined) {
    response.writeHead(200, { 'Content-Length': Number(bytes) });
    for (const chunk of patternChunks(Number(bytes), seed)) {
      if (!response.write(chunk)) await new Promise((resolve) => response.once('drain', resolve));
    }
    response.end();
    return;
  }
  if (path === '/sha256') {
    const hash = createHash('sha256');
    for await (const part of request) hash.update(part as Buffer);
    response.end(hash.digest('hex'));
    return;
  }
  response.end('hello through the mixnet\n');
}

export interface CurlResult {
  /** Exit code of curl: 0, or what went wrong; 97 is a failed SOCKS handshake. */
  readonly code: number;
  readonly body: Buffer;
  readonly stderr: string;
  readonly seconds: number;
}

/** curl through the SOCKS front at `socks`, names resolved by the proxy. Proxy variables of the environment don't count. */
export function curl(socks: string, args: readonly string[], timeoutSeconds = 60): Promise<CurlResult> {
  // Its own limit for connecting, the front's answer included, is 300 s.
  const limits = ['--max-time', String(timeoutSeconds), '--connect-timeout', String(timeoutSeconds)];
  const all = ['-sS', ...limits, '--noproxy', '', '-x', `socks5h://${socks}`, ...args];
  const startMs = performance.now();
  return new Promise((resolve) => {
    const options = { encoding: 'buffer' as const, maxBuffer: 2 ** 30 };
    execFile('curl', all, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, body: stdout, stderr: stderr.toString(), seconds: (performance.now() - startMs) / 1000 });
    });
  });
}
