/**
 * The front door: the ports and socket files that applications talk to. Accepts up to a bound over all of them, hands
 * each connection to a FrontConnection, closes all of them when told.
 * @module
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Components, Running } from '../lib/components.ts';
import { DEFAULT_FRONT_LIMITS, type FrontLimits } from './config.ts';
import { type ConnectionContext, FrontConnection } from './connection.ts';
import { FrontCounters, type StreamCounts } from './front-counters.ts';
import { IsolationTokens } from './isolation.ts';
import { LeakWarning } from './leak-warning.ts';
import {
  describeAddress,
  isRemote,
  type ListenerOptions,
  type ListenerSwitches,
  parseListener,
  requireMeant,
} from './listener.ts';
import { listen } from './listening.ts';
import type { StreamOpener } from './opener.ts';

export interface FrontOptions extends Partial<ListenerSwitches> {
  /** Listeners as proxy/listener.ts reads them; port 0 takes any free one. */
  readonly listen: string | readonly string[];
  /** Listen on addresses that other machines can reach. */
  readonly allowRemote?: boolean;
  readonly opener: StreamOpener;
  readonly components: Pick<Components, 'clock' | 'log' | 'metrics' | 'rng'>;
  readonly limits?: Partial<FrontLimits>;
}

export interface Front extends Running {
  /** `host:port` of the first TCP listener with the real port; without one, `unix:` and the path of the first. */
  readonly listen: string;
  /** All of them, in the order given. */
  readonly listens: readonly string[];
  streams(): StreamCounts;
}

const DEFAULT_SWITCHES: ListenerSwitches = {
  allowPrivate: false,
  safeSocks: false,
  extendedErrors: false,
  optimistic: false,
  isolateClients: true,
  isolateCredentials: true,
};

/** Starts to listen; rejects with CONFIG, or with LISTEN when an address cannot be had. */
export async function startFront(options: FrontOptions): Promise<Front> {
  const { clock, metrics, rng } = options.components;
  const log = options.components.log.child({ part: 'front' });
  const limits = { ...DEFAULT_FRONT_LIMITS, ...options.limits };
  const listeners = listenersOf(options);
  const connections = new Map<Socket, FrontConnection>();
  const counters = new FrontCounters(metrics, () => connections.size);
  const shared = {
    opener: options.opener,
    clock,
    log,
    limits,
    counters,
    tokens: new IsolationTokens(rng),
    leaks: new LeakWarning(clock, log),
  };

  const accept = (socket: Socket, context: ConnectionContext) => {
    if (connections.size >= limits.connections) {
      counters.handshakesFailed.inc({ reason: 'LIMIT' });
      socket.destroy();
      return;
    }
    const connection = new FrontConnection(socket, context);
    connections.set(socket, connection);
    socket.once('close', () => connections.delete(socket));
    connection.start();
  };

  const servers: Server[] = [];
  const stop = async () => {
    for (const connection of connections.values()) connection.stop();
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  };
  const bound = [];
  try {
    for (const listener of listeners) {
      const context = { ...shared, listener, allowPrivate: listener.allowPrivate };
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => accept(socket, context));
      const address = await listen(server, listener.address);
      servers.push(server);
      bound.push(address);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  if (listeners.some(({ address }) => isRemote(address))) {
    log.warn({}, 'the SOCKS port can be reached from other machines: anyone there may use it');
  }
  const listens = bound.map(describeAddress);
  const first = bound.findIndex(({ kind }) => kind === 'tcp');
  return { listen: listens[Math.max(0, first)] ?? '', listens, streams: () => counters.counts(), stop };
}

/** The listeners as configured. Throws CONFIG, also for an address that other machines can reach and that is not meant. */
export function listenersOf(options: Omit<FrontOptions, 'opener' | 'components'>): ListenerOptions[] {
  const switches = Object.fromEntries(
    Object.entries(DEFAULT_SWITCHES).map(([key, value]) => [key, options[key as keyof ListenerSwitches] ?? value]),
  ) as unknown as ListenerSwitches;
  const texts = typeof options.listen === 'string' ? [options.listen] : options.listen;
  const listeners = texts.map((text) => parseListener(text, switches));
  for (const { address } of listeners) requireMeant(address, options.allowRemote === true);
  return listeners;
}
