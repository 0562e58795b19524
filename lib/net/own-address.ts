/**
 * Where this machine can listen.
 * @module
 */
import { createServer } from 'node:net';

/** Why nobody can listen there now; undefined where that works. Port 0: any free one. */
export function listenFault(host: string, port: number): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** Whether a program of this machine can use `address`. All of 127.0.0.0/8 where the system has it so (not on macOS). */
export async function hasAddress(address: string): Promise<boolean> {
  return (await listenFault(address, 0)) === undefined;
}
