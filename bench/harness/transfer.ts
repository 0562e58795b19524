/**
 * Requests through a SOCKS front, every byte checked. A transfer that failed says why, and has no duration.
 * @module
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { SocksClient } from 'socks';
import { contentChunks, contentHash } from './site.ts';

export type Transfer =
  | { readonly bytes: number; readonly seconds: number }
  | { readonly bytes: number; readonly fault: string };

/** From where to where: the proxy's front and a site behind the network. */
export interface Ends {
  /** `host:port` of the SOCKS front. */
  readonly socks: string;
  /** Of a site on 127.0.0.1. */
  readonly sitePort: number;
  /** Of the SOCKS login: transfers of different users share no session. */
  readonly user?: string;
}

/** Moves `bytes`; after `enoughSeconds` what has been moved is enough, after `timeoutSeconds` it has failed. `seed`: which content. */
type Move = (
  ends: Ends,
  bytes: number,
  timeoutSeconds: number,
  seed: string,
  enoughSeconds?: number,
) => Promise<Transfer>;

/** A connection to the site; the caller closes it. Rejects with the proxy's reason. */
export async function connectThrough({ socks, sitePort, user }: Ends, timeoutSeconds: number): Promise<Socket> {
  const [host = '', port] = socks.split(':');
  const { socket } = await SocksClient.createConnection({
    proxy: { host, port: Number(port), type: 5, ...(user && { userId: user, password: user }) },
    command: 'connect',
    destination: { host: '127.0.0.1', port: sitePort },
    timeout: 1000 * timeoutSeconds,
  });
  return socket;
}

/** Asks for `bytes` of content and reads them; after `enoughSeconds` what has come is enough. */
export const download: Move = (ends, bytes, timeoutSeconds, seed, enoughSeconds = Number.POSITIVE_INFINITY) =>
  timed(ends, bytes, timeoutSeconds, async (socket, startMs) => {
    socket.write(`GET /bytes/${bytes}?${seed} HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n`);
    const hash = createHash('sha256');
    const enoughMs = startMs + 1000 * enoughSeconds;
    const got = await readBody(socket, (part) => hash.update(part), enoughMs);
    if (got === 0 || (got !== bytes && performance.now() < enoughMs)) throw new Error(`${got} of ${bytes} bytes came`);
    return { bytes: got, isRight: () => hash.digest('hex') === contentHash(got, seed) };
  });

/** Sends `bytes` of content, or what goes in `enoughSeconds`; it has arrived when the site has answered with its hash. */
export const upload: Move = (ends, bytes, timeoutSeconds, seed, enoughSeconds = Number.POSITIVE_INFINITY) =>
  timed(ends, bytes, timeoutSeconds, async (socket, startMs) => {
    const head = ['POST /sha256 HTTP/1.1', 'Host: site', 'Connection: close', 'Transfer-Encoding: chunked'];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    const parts: Buffer[] = [];
    const answered = readBody(socket, (part) => parts.push(part));
    answered.catch(() => {}); // waited for below
    let sent = 0;
    for (const chunk of contentChunks(bytes, seed)) {
      socket.write(`${chunk.byteLength.toString(16)}\r\n`);
      socket.write(chunk);
      sent += chunk.byteLength;
      if (!socket.write('\r\n')) await Promise.race([once(socket, 'drain'), answered]);
      if (performance.now() >= startMs + 1000 * enoughSeconds) break;
    }
    socket.write('0\r\n\r\n');
    await answered;
    return { bytes: sent, isRight: () => Buffer.concat(parts).toString().includes(contentHash(sent, seed)) };
  });

/** A download without end; `onBytes` hears how many came. The caller destroys the socket. */
export async function endlessDownload(ends: Ends, seed: string, onBytes: (count: number) => void): Promise<Socket> {
  const socket = await connectThrough(ends, 120);
  socket.on('error', () => {});
  socket.on('data', (part: Buffer) => onBytes(part.byteLength));
  socket.write(`GET /bytes/${1e12}?${seed} HTTP/1.1\r\nHost: site\r\n\r\n`);
  return socket;
}

interface Moved {
  readonly bytes: number;
  /** Whether they arrived as they were sent. Takes a while, in which the clock does not run. */
  readonly isRight: () => boolean;
}

/** A transfer that failed was to move `bytes`. */
async function timed(
  ends: Ends,
  bytes: number,
  timeoutSeconds: number,
  work: (socket: Socket, startMs: number) => Promise<Moved>,
): Promise<Transfer> {
  const startMs = performance.now();
  let socket: Socket | undefined;
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${timeoutSeconds} s`)), 1000 * timeoutSeconds);
  });
  tooLate.catch(() => {}); // while connecting nobody waits for it
  try {
    socket = await connectThrough(ends, timeoutSeconds);
    const moved = await Promise.race([work(socket, startMs), tooLate]);
    const seconds = (performance.now() - startMs) / 1000;
    return moved.isRight() ? { bytes: moved.bytes, seconds } : { bytes, fault: 'other bytes came' };
  } catch (error) {
    return { bytes, fault: (error as Error).message };
  } finally {
    clearTimeout(timer);
    socket?.on('error', () => {}).destroy();
  }
}

/** Hands on what follows the head of the answer; resolves at its end, or at `enoughMs`, with the number of bytes. Rejects on an error. */
async function readBody(
  socket: Socket,
  onPart: (part: Buffer) => void,
  enoughMs = Number.POSITIVE_INFINITY,
): Promise<number> {
  let head = Buffer.alloc(0);
  let inBody = false;
  let bytes = 0;
  for await (const part of socket as AsyncIterable<Buffer>) {
    let body = part;
    if (!inBody) {
      head = Buffer.concat([head, part]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) continue;
      inBody = true;
      body = head.subarray(end + 4);
    }
    bytes += body.byteLength;
    onPart(body);
    if (performance.now() >= enoughMs) break;
  }
  return bytes;
}
