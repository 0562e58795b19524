/**
 * Breaks a connection off so that the other side notices.
 * @module
 */
import type { Socket } from 'node:net';

/**
 * With a reset, where the transport has one: a unix socket can only be closed (it has no address of a peer). Nor while
 * the FIN is on its way to the kernel: libuv refuses a reset then (uv_tcp_close_reset, EINVAL), Node drops the handle
 * without closing it, and the descriptor would be lost. All bytes have left by that time.
 */
export function breakOff(socket: Socket): void {
  const shuttingDown = socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished;
  if (shuttingDown || socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
