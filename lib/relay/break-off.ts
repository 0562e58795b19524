/**
 * Breaks a connection off so that the other side notices.
 * @module
 */
import type { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { unacknowledgedBytes } from './kernel-socket.ts';

/** Pauses between two looks at what the peer has acknowledged. */
const FIRST_LOOK_MS = 5;
const LONGEST_LOOK_MS = 250;
/** How long the bytes get where it cannot be known whether they have arrived. */
const BLIND_WAIT_MS = 1000;

/**
 * At once, with a reset where the transport has one: a unix socket can only be closed (it has no address of a peer). Nor
 * while the FIN is on its way to the kernel: libuv refuses a reset then (uv_tcp_close_reset, EINVAL), Node drops the handle
 * without closing it, and the descriptor would be lost. All bytes have left by that time.
 */
export function breakOff(socket: Socket): void {
  if (isShuttingDown(socket) || socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

/**
 * Behind all bytes that were written: a reset makes our kernel drop what it has not sent, but not the peer's what it has
 * acknowledged. So the reset waits until that is everything. `onProgress` is called when some more of it is; whoever finds
 * that it takes too long calls `breakOff`.
 */
export function breakOffBehindBytes(socket: Socket, clock: Clock, onProgress: () => void = () => {}): void {
  let pauseMs = FIRST_LOOK_MS;
  let before = Number.POSITIVE_INFINITY;
  const look = async (): Promise<void> => {
    const left = isFlushed(socket) ? await unacknowledgedBytes(socket) : Number.POSITIVE_INFINITY;
    if (socket.destroyed) return;
    if (left === undefined) {
      clock.after(BLIND_WAIT_MS, () => breakOff(socket));
    } else if (left === 0) {
      breakOff(socket);
    } else {
      if (left < before) onProgress();
      before = left;
      clock.after(pauseMs, look);
      pauseMs = Math.min(2 * pauseMs, LONGEST_LOOK_MS);
    }
  };
  if (socket.bytesWritten === 0) breakOff(socket);
  else void look();
}

/** Whether the kernel has everything that was written, and the FIN if the socket was ended. */
function isFlushed(socket: Socket): boolean {
  return socket.writableLength === 0 && (!socket.writableEnded || socket.writableFinished);
}

function isShuttingDown(socket: Socket): boolean {
  return socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished;
}
