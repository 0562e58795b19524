/**
 * The end of a connection that was refused.
 * @module
 */
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../lib/core/clock.ts';

/**
 * Sends the last answer and our FIN, and discards what still comes: closing over unread bytes would make the kernel send a
 * reset, and the answer might be lost with it. Destroys the socket after `lingerMs`, unless the timer is cancelled.
 */
export function answerAndClose(socket: Socket, bytes: Uint8Array, clock: Clock, lingerMs: number): Timer {
  socket.end(bytes);
  socket.on('data', () => {});
  socket.resume();
  return clock.after(lingerMs, () => socket.destroy());
}
