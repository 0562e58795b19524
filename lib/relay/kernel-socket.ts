/**
 * What the kernel knows about a connection and Node does not say: bytes that were received and not read, whether they end
 * by FIN or by a reset, and how many of ours the peer has not acknowledged.
 *
 * A kernel keeps what it has acknowledged when a reset comes: `read` gives those bytes first, and the error behind them
 * (Linux: tcp_reset leaves the receive queue alone). Node does not keep them in two cases. A failed write destroys the
 * socket with all that was not read. And the libuv of Node 20 takes a short read from a connection that was reset for its
 * end (`POLLHUP` in uv__stream_io), so that `end` is emitted. Both are answered by reading the descriptor itself.
 * @module
 */
import { fstatSync, readSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';

/** How the bytes in a receive queue end. `open`: more may come. `unknown`: this system does not let us look. */
export type ReceiveEnd = 'fin' | 'reset' | 'open' | 'unknown';

export interface Received {
  readonly pieces: readonly Uint8Array[];
  readonly end: ReceiveEnd;
}

const READ_BYTES = 65_536;

/** The socket's descriptor. Undefined when it is closed, and on systems where sockets have none (Windows). */
function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as { _handle?: { readonly fd?: number } | null };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}

/** Reads what waits in the kernel, at most `maxBytes`, without waiting for more. */
export function readReceived(socket: Socket, maxBytes: number): Received {
  const pieces: Uint8Array[] = [];
  const descriptor = descriptorOf(socket);
  if (descriptor === undefined) return { pieces, end: 'unknown' };
  try {
    for (let left = maxBytes; left > 0; ) {
      const buffer = new Uint8Array(Math.min(left, READ_BYTES));
      const length = readSync(descriptor, buffer);
      if (length === 0) return { pieces, end: 'fin' };
      pieces.push(length === buffer.byteLength ? buffer : buffer.slice(0, length));
      left -= length;
    }
    return { pieces, end: 'open' };
  } catch (error) {
    return { pieces, end: (error as NodeJS.ErrnoException).code === 'EAGAIN' ? 'open' : 'reset' };
  }
}

/**
 * Bytes (a FIN counts as one) that were handed to the kernel and that the peer's kernel has not acknowledged; undefined
 * where that cannot be known. Over a unix socket what is written is with the peer at once.
 */
export async function unacknowledgedBytes(socket: Socket): Promise<number | undefined> {
  if (socket.remoteAddress === undefined) return 0;
  const descriptor = descriptorOf(socket);
  if (descriptor === undefined || process.platform !== 'linux') return undefined;
  const file = socket.remoteFamily === 'IPv6' ? 'tcp6' : 'tcp';
  try {
    const inode = fstatSync(descriptor).ino;
    for (const folder of ['/proc/self/net', ...otherTables]) {
      const bytes = queuedBytes(await readShared(`${folder}/${file}`), inode);
      if (bytes !== undefined) return bytes;
    }
    return 0; // a connection that is over has no line
  } catch {
    return undefined;
  }
}

/** The tables of network namespaces, besides our own, whose sockets were handed to us. */
const otherTables = new Set<string>();

/** Makes `unacknowledgedBytes` see sockets of the network namespace of process `pid`. Undone by what it returns. */
export function addNetworkOf(pid: number): () => void {
  const folder = `/proc/${pid}/net`;
  otherTables.add(folder);
  return () => otherTables.delete(folder);
}

const reading = new Map<string, Promise<string>>();

/** One read serves all that ask at a time: the table has a line for each connection of the machine. */
function readShared(file: string): Promise<string> {
  const running = reading.get(file);
  if (running !== undefined) return running;
  const text = readFile(file, 'latin1').finally(() => reading.delete(file));
  reading.set(file, text);
  return text;
}

/** `tx_queue` (field 4) of the line with this inode (field 9), proc(5). */
function queuedBytes(table: string, inode: number): number | undefined {
  for (const line of table.split('\n')) {
    if (!line.includes(` ${inode} `)) continue;
    const fields = line.trim().split(/\s+/);
    if (fields[9] === String(inode)) return Number.parseInt(fields[4] ?? '0', 16);
  }
  return undefined;
}
