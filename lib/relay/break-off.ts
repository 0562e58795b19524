/**
 * Breaks a connection off so that the other side notices.
 * @module
 */
import type { Socket } from 'node:net';

/** With a reset, where the transport has one: a unix socket can only be closed (it has no address of a peer). */
export function breakOff(socket: Socket): void {
  if (socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
