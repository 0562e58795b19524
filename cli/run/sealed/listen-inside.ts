/**
 * Listens on loopback ports inside a sealed command's network, and hands the sockets out through the IPC channel: the
 * process outside serves them, and nothing of ours stays inside.
 * @module
 */
import { createServer } from 'node:net';
import { BACKLOG } from '../../../lib/net/listening.ts';

/** What comes with each socket. */
export const LISTENING_MESSAGE = 'listening';

for (const port of process.argv.slice(2).map(Number)) {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen({ port, host: '127.0.0.1', backlog: BACKLOG }, resolve));
  await new Promise<void>((resolve, reject) => {
    process.send?.(LISTENING_MESSAGE, server, {}, (error) => (error === null ? resolve() : reject(error)));
  });
}
process.exit(); // the sockets live on outside
