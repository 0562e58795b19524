/**
 * The front door: the ports and socket files that applications talk to. Accepts up to a bound over all of them, hands
 * each connection to a FrontConnection, closes all of them at the end.
 * @module
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { StreamOpener } from '../../lib/access/opener.ts';
import { StreamCounters, type StreamCounts } from '../../lib/access/stream-counters.ts';
import type { SituationOf } from '../../lib/access/troubles/diagnosis.ts';
import type { RecentTroubles } from '../../lib/access/troubles/recent-troubles.ts';
import type { Clock } from '../../lib/core/clock.ts';
import { ConnectionBounds, warnIfUnbounded } from '../../lib/net/connection-bounds.ts';
import type { Components, Running } from '../../lib/runtime/components.ts';
import { DEFAULT_FRONT_LIMITS, type FrontLimits } from '../config.ts';
import { FrontConnection } from './connection.ts';
import type { ConnectionContext } from './context.ts';
import { HttpFront } from './http/server.ts';
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

export interface FrontOptions extends Partial<ListenerSwitches> {
  /** Listeners as proxy/front/listener.ts reads them; port 0 takes any free one. */
  readonly listen: string | readonly string[];
  /** Listen on addresses that other machines can reach. */
  readonly allowRemote?: boolean;
  readonly opener: StreamOpener;
  /** What is known when a request fails or is slow. */
  readonly situation?: SituationOf;
  readonly components: Pick<Components, 'clock' | 'log' | 'metrics' | 'rng' | 'memory'>;
  readonly limits?: Partial<FrontLimits>;
}

export interface Front extends Running {
  /** `host:port` of the first TCP listener with the real port; without one, `unix:` and the path of the first. */
  readonly listen: string;
  /** All of them, in the order given. */
  readonly listens: readonly string[];
  streams(): StreamCounts;
  readonly troubles: RecentTroubles;
}

const DEFAULT_SWITCHES: ListenerSwitches = {
  allowPrivate: false,
  safeSocks: false,
  extendedErrors: false,
  preferNoAuth: false,
  optimistic: false,
  isolateClients: true,
  isolateCredentials: true,
};

/** Starts to listen; rejects with CONFIG, or with LISTEN when an address cannot be had. */
export async function startFront(options: FrontOptions): Promise<Front> {
  const { clock, metrics, rng, memory } = options.components;
  const log = options.components.log.child({ part: 'front' });
  const limits = { ...DEFAULT_FRONT_LIMITS, ...options.limits };
  const listeners = listenersOf(options);
  const connections = new Map<Socket, FrontConnection>();
  const counters = new StreamCounters(metrics, clock, () => connections.size, options.situation);
  const shared = {
    opener: options.opener,
    clock,
    log,
    limits,
    ...(memory === undefined ? {} : { memory }),
    counters,
    tokens: new IsolationTokens(rng),
    leaks: new LeakWarning(clock, log),
  };

  const http = new HttpFront();
  const accept = (socket: Socket, context: ConnectionContext) => {
    if (connections.size >= limits.connections && openOf(connections) >= limits.connections) {
      counters.handshakeRefused('LIMIT');
      socket.destroy();
      return;
    }
    const connection = new FrontConnection(socket, context, http);
    connections.set(socket, connection);
    socket.once('close', () => connections.delete(socket));
    connection.start();
  };

  const bounds = boundsOf(limits, clock, () => counters.handshakeRefused('LIMIT'));
  const servers: Server[] = [];
  const stop = async () => {
    for (const connection of connections.values()) connection.stop();
    bounds.close();
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  };
  const bound = [];
  try {
    for (const listener of listeners) {
      const remote = isRemote(listener.address);
      const context = { ...shared, listener, allowPrivate: listener.allowPrivate, ...(remote ? { bounds } : {}) };
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => accept(socket, context));
      if (remote) bounds.guard(server);
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
    warnIfUnbounded(limits.connectionsPerSource, log);
  }
  const listens = bound.map(describeAddress);
  const first = bound.findIndex(({ kind }) => kind === 'tcp');
  const { troubles } = counters;
  return { listen: listens[Math.max(0, first)] ?? '', listens, streams: () => counters.counts(), troubles, stop };
}

/** Those of other machines share the bounds of the front. */
function boundsOf({ connections, connectionsPerSource }: FrontLimits, clock: Clock, onRefused: () => void) {
  const limits = { total: connections, pending: connections, perSource: connectionsPerSource, reserved: 0 };
  return new ConnectionBounds({ limits, clock, onRefused });
}

/** Connections that are not being closed. */
function openOf(connections: ReadonlyMap<Socket, FrontConnection>): number {
  return [...connections.keys()].filter((socket) => !socket.destroyed).length;
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
