/**
 * Ports of this machine.
 * @module
 */
import { createServer, type Server } from 'node:net';
import { MixError } from '../../lib/core/errors.ts';
import type { Rng } from '../../lib/core/rng.ts';
import { listenError } from '../../lib/net/listening.ts';
import { listenFault } from '../../lib/net/own-address.ts';

/**
 * Below the range that systems take the source ports of connections from (32768 and up on Linux, 49152 elsewhere): a
 * port from there could be taken by a connection while its node is down.
 */
const FIRST_PORT = 10_240;
const LAST_PORT = 32_000;
const ATTEMPTS_PER_PORT = 100;

/** `count` distinct ports of `host` that are free now. */
export async function freePorts(host: string, count: number, rng: Rng): Promise<number[]> {
  const held: Server[] = [];
  const ports: number[] = [];
  try {
    for (let attempt = 0; ports.length < count && attempt < count * ATTEMPTS_PER_PORT; attempt++) {
      const port = FIRST_PORT + rng.int(LAST_PORT - FIRST_PORT);
      const server = await listen(host, port).catch(() => undefined);
      if (server === undefined) continue;
      held.push(server); // held until all are found, so that none comes twice
      ports.push(port);
    }
  } finally {
    await Promise.all(held.map(close));
  }
  if (ports.length < count) throw new MixError('LISTEN', `cannot find ${count} free ports on ${host}`);
  return ports;
}

/** Throws LISTEN with one line when `port` of `host` cannot be had. Port 0 always can. */
export async function checkFree(host: string, port: number): Promise<void> {
  if (port === 0) return;
  const fault = await listenFault(host, port);
  if (fault !== undefined) throw listenError(fault, { host, port });
}

function listen(host: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, host, () => resolve(server));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
