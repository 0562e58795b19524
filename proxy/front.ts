/**
 * The front door: the port that applications talk to. Accepts up to a bound, hands each connection to a
 * FrontConnection, closes all of them when told.
 * @module
 */
import { createServer, type Server, type Socket } from 'node:net';
import { joinHostPort, parseListen } from '../lib/address.ts';
import { parseAddress } from '../lib/address-policy.ts';
import type { Components, Running } from '../lib/components.ts';
import { listenError } from '../lib/http.ts';
import { DEFAULT_FRONT_LIMITS, type FrontLimits } from './config.ts';
import { type ConnectionContext, FrontConnection } from './connection.ts';
import { FrontCounters, type StreamCounts } from './front-counters.ts';
import type { StreamOpener } from './opener.ts';

export interface FrontOptions {
  /** `host:port`; port 0 takes any free one. */
  readonly listen: string;
  readonly opener: StreamOpener;
  readonly components: Pick<Components, 'clock' | 'log' | 'metrics'>;
  readonly limits?: Partial<FrontLimits>;
  readonly allowPrivate: boolean;
}

export interface Front extends Running {
  /** `host:port` with the real port. */
  readonly listen: string;
  streams(): StreamCounts;
}

/** Starts to listen; rejects with LISTEN when the address cannot be had. */
export async function startFront(options: FrontOptions): Promise<Front> {
  const { clock, metrics } = options.components;
  const log = options.components.log.child({ part: 'front' });
  const limits = { ...DEFAULT_FRONT_LIMITS, ...options.limits };
  const connections = new Map<Socket, FrontConnection>();
  const counters = new FrontCounters(metrics, () => connections.size);
  const context: ConnectionContext = { ...options, clock, log, limits, counters };

  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    const connection = new FrontConnection(socket, context);
    connections.set(socket, connection);
    socket.once('close', () => connections.delete(socket));
    connection.start();
  });
  server.maxConnections = limits.connections;
  server.on('drop', () => counters.handshakesFailed.inc({ reason: 'LIMIT' }));
  const { host, port } = parseListen(options.listen);
  const boundPort = await listening(server, host, port);
  if (!isLoopback(host)) log.warn({}, 'the SOCKS port can be reached from other machines: anyone there may use it');

  return {
    listen: joinHostPort(host, boundPort),
    streams: () => counters.counts(),
    stop: () => {
      for (const connection of connections.values()) connection.stop();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function listening(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port)));
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      server.on('error', () => {}); // a failed accept (EMFILE) concerns that connection only
      const address = server.address();
      resolve(address !== null && typeof address === 'object' ? address.port : port);
    });
  });
}

function isLoopback(host: string): boolean {
  const address = parseAddress(host);
  return host === 'localhost' || host === '::1' || (address?.family === 4 && address.text.startsWith('127.'));
}
