import { fstatSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { unacknowledgedBytes } from '../../lib/relay/kernel-socket.ts';

/** How a connection ended for its reader: how many bytes, and by what. */
export interface ReadEnd {
  readonly bytes: number;
  readonly how: 'fin' | 'reset';
}

/** Two sockets of this process that are connected with each other over loopback. Both are paused and may be half-open. */
export async function socketPair(): Promise<readonly [Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const other = await accepted;
  await new Promise<void>((resolve) => (socket.connecting ? socket.once('connect', resolve) : resolve()));
  server.close();
  for (const end of [socket, other]) end.on('error', () => {}).pause();
  return [socket, other];
}

/**
 * Reads a paused socket to its end. Node 20 emits `end` for a reset behind unread bytes too; a write of no bytes tells:
 * ECONNRESET is a reset, anything else a FIN.
 */
export function readToEnd(socket: Socket): Promise<ReadEnd> {
  let bytes = 0;
  socket.on('data', (piece) => (bytes += piece.byteLength));
  return new Promise((resolve) => {
    const done = (how: ReadEnd['how']) => resolve({ bytes, how });
    socket.once('error', () => done('reset'));
    socket.once('end', () => {
      if (socket.writableEnded) done('fin');
      else socket.write(new Uint8Array(0), (error) => done(isReset(error) ? 'reset' : 'fin'));
    });
    socket.resume();
  });
}

const isReset = (error: Error | null | undefined) =>
  (error as NodeJS.ErrnoException | undefined)?.code === 'ECONNRESET';

/** Resolves when the peer's kernel has acknowledged everything that was written. */
export async function acknowledged(socket: Socket): Promise<void> {
  while (socket.writableLength > 0 || (await unacknowledgedBytes(socket)) !== 0)
    await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Resolves when Node reads ahead no further and the kernel holds bytes beyond that (`rx_queue` in proc(5)). */
export async function unread(socket: Socket): Promise<void> {
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  const inode = String(fstatSync(fd).ino);
  for (;;) {
    const lines = readFileSync('/proc/self/net/tcp', 'latin1').split('\n');
    const line = lines.map((text) => text.trim().split(/\s+/)).find((fields) => fields[9] === inode);
    const readAhead = socket.readableLength >= socket.readableHighWaterMark;
    if (readAhead && Number.parseInt(line?.[4]?.split(':')[1] ?? '0', 16) > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** How a peer breaks off once its bytes have been acknowledged. */
export type Breaking = 'reset' | 'close over unread bytes' | 'fin, then reset';

/** Sends `bytes` and breaks off. */
export async function sendAndBreak(socket: Socket, bytes: number, breaking: Breaking): Promise<void> {
  if (bytes > 0) socket.write(new Uint8Array(bytes));
  await acknowledged(socket);
  if (breaking === 'close over unread bytes') {
    socket.destroy();
    return;
  }
  if (breaking === 'fin, then reset') {
    await new Promise<void>((resolve) => socket.end(resolve));
    await acknowledged(socket);
  }
  socket.resetAndDestroy();
}
