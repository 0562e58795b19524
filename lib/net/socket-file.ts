/**
 * Whether somebody listens on a unix socket, or a program that is gone has left the file behind.
 * @module
 */
import { connect } from 'node:net';
import { systemCode } from '../core/errors.ts';

/** Whether connections to the socket at `path` are accepted. In doubt, yes. */
export function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => resolve(systemCode(error) !== 'ECONNREFUSED'));
  });
}
