/**
 * Configuration of the proxy, and the bounds of its front.
 * @module
 */
import { z } from 'zod';
import { accessOptions } from '../lib/access/terms.ts';
import { connectionsPerSource, logLevel, memoryBudget, oneOrSeveral, timeoutMs } from '../lib/config/fields.ts';
import { textFor } from '../lib/core/parsed-text.ts';
import { hostList } from '../lib/net/host-header.ts';
import { checkListener, parseListenAddress } from './front/listener.ts';

/** Bounds of the front (docs/LIMITS.md). An exit sees none of them: what it would see are parameters of the network. */
export interface FrontLimits {
  /** Applications' connections at a time; further ones are closed at once. */
  readonly connections: number;
  /** Of one source, on listeners that other machines can reach; 0: no bound. */
  readonly connectionsPerSource: number;
  /** From accept, or the last message of the handshake, to the next one. */
  readonly handshakeMs: number;
  /** How long a connection may stay after the answer to a failure (RFC 1928 section 6 allows 10 s). */
  readonly failureLingerMs: number;
  /** Between two HTTP requests on a connection. */
  readonly httpIdleMs: number;
  /** Idle time before TCP asks whether the application is still there. */
  readonly keepAliveMs: number;
}

export const DEFAULT_FRONT_LIMITS: FrontLimits = {
  connections: 1024,
  connectionsPerSource: 256,
  handshakeMs: 30_000,
  failureLingerMs: 5_000,
  httpIdleMs: 120_000,
  keepAliveMs: 60_000,
};

/** Addresses that one front listens on. */
export const MAX_LISTENERS = 16;

export const ProxyConfig = z.strictObject({
  dir: z.string().describe('folder of the proxy: its copy of the consensus'),
  networkFile: z.string().optional().describe('network.json of the network to join (default DIR/network.json)'),
  socksListen: oneOrSeveral(checkListener, MAX_LISTENERS)
    .default(['127.0.0.1:1080'])
    .describe(
      'addresses for applications: host:port (port 0: any free one) or unix:/path (with %2B for a plus sign, %2C for a comma, %25 for a per cent sign; a unix socket cannot be reset: the program sees it close), each with options behind plus signs ' +
        '(+safe-socks, +extended-errors, +prefer-no-auth, +optimistic, +allow-private, +isolate-clients=no, +isolate-credentials=no, +group=NAME)',
    ),
  allowRemote: z
    .boolean()
    .default(false)
    .describe(
      'listen for applications, and for readers of the status page, on addresses that other machines can reach',
    ),
  safeSocks: z
    .boolean()
    .default(false)
    .describe('refuse programs that send an IP address: they may resolve names outside the mixnet'),
  extendedErrors: z
    .boolean()
    .default(false)
    .describe('SOCKS5 replies 0xf0 to 0xf8 for failures that RFC 1928 has no code for'),
  preferNoAuth: z
    .boolean()
    .default(false)
    .describe(
      'SOCKS5: choose "no authentication" where a program offers it beside a login; for programs that offer a login and have none',
    ),
  statusListen: textFor(parseListenAddress)
    .default('127.0.0.1:1081')
    .describe('address and port of the status page, /status.json, /metrics, /livez and /readyz'),
  statusHosts: hostList.describe('names and addresses, besides its own, by which the status page may be asked for'),
  logLevel,
  name: z.string().default('proxy-1').describe('name in the log'),
  ...accessOptions,
  maxConnections: z
    .int()
    .min(1)
    .max(65_536)
    .default(DEFAULT_FRONT_LIMITS.connections)
    .describe('connections of applications at a time'),
  maxConnectionsPerSource: connectionsPerSource(DEFAULT_FRONT_LIMITS.connectionsPerSource),
  memoryBudgetMiB: memoryBudget,
  handshakeTimeoutMs: timeoutMs(DEFAULT_FRONT_LIMITS.handshakeMs).describe(
    'time for each message of the SOCKS handshake',
  ),
});

export type ProxyConfig = z.infer<typeof ProxyConfig>;

/** The bounds of the front as configured. */
export function frontLimits(config: ProxyConfig): FrontLimits {
  return {
    ...DEFAULT_FRONT_LIMITS,
    connections: config.maxConnections,
    connectionsPerSource: config.maxConnectionsPerSource,
    handshakeMs: config.handshakeTimeoutMs,
  };
}
