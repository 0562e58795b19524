/**
 * Configuration of the proxy, and the bounds of its front.
 * @module
 */
import { z } from 'zod';
import type { RelayLimits } from '../lib/relay/stream-relay.ts';
import { MAX_SPREAD } from '../lib/session/places.ts';

/** Bounds of the front (docs/LIMITS.md). */
export interface FrontLimits extends RelayLimits {
  /** Applications' connections at a time; further ones are closed at once. */
  readonly connections: number;
  /** From accept to a complete request. */
  readonly handshakeMs: number;
  /** From request to the requester's answer. */
  readonly connectMs: number;
  /** How long a connection may stay after a failure was told (RFC 1928 section 6 allows 10 s). */
  readonly failureLingerMs: number;
  /** Idle time before TCP asks whether the application is still there. */
  readonly keepAliveMs: number;
}

export const DEFAULT_FRONT_LIMITS: FrontLimits = {
  connections: 1024,
  handshakeMs: 10_000,
  connectMs: 60_000,
  failureLingerMs: 5_000,
  keepAliveMs: 60_000,
  idleMs: 2 * 3_600_000,
  halfClosedIdleMs: 600_000,
};

/** Addresses that one front listens on. */
export const MAX_LISTENERS = 16;

const timeoutMs = (defaultMs: number) => z.int().min(100).max(86_400_000).default(defaultMs);
const identity = z.string().regex(/^[0-9a-f]{64}$/, 'expected an identity: 64 lower-case hex digits');

export const ProxyConfig = z.strictObject({
  dir: z.string().describe('folder of the proxy: its copy of the consensus'),
  networkFile: z.string().optional().describe('network.json of the network to join (default DIR/network.json)'),
  socksListen: z
    .union([z.array(z.string()).min(1).max(MAX_LISTENERS), z.string()])
    .transform((given) => (typeof given === 'string' ? [given] : given))
    .default(['127.0.0.1:1080'])
    .describe(
      'addresses for applications: host:port (port 0: any free one) or unix:/path, each with options behind plus signs ' +
        '(+safe-socks, +extended-errors, +optimistic, +allow-private, +isolate-clients=no, +isolate-credentials=no, +group=NAME)',
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
  statusListen: z.string().default('127.0.0.1:1081').describe('address and port of /status.json and /metrics'),
  logLevel: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('least severe level that is logged'),
  crypto: z.enum(['fastest', 'noble']).default('fastest').describe('crypto backend'),
  name: z.string().default('proxy-1').describe('name in the log'),
  downlink: z
    .enum(['steady', 'burst'])
    .default('steady')
    .describe(
      'steady: replies come by a clock, so that downloads do not show; burst: as fast as they can, and they show',
    ),
  trafficClass: z.string().default('standard').describe('traffic class of the network; its members look alike'),
  allowPrivate: z
    .boolean()
    .default(false)
    .describe('let names and addresses of private and loopback networks through to the requester'),
  requesterSpread: z
    .int()
    .min(1)
    .max(MAX_SPREAD)
    .default(1)
    .describe(
      'requesters in use at a time: isolated programs are drawn to one of them each, and each gets an equal share of the rates',
    ),
  requester: identity.optional().describe('identity of the requester to use (default: one is chosen)'),
  gateway: identity.optional().describe('identity of the gateway to use (default: one is chosen)'),
  accessToken: z.string().min(1).max(255).optional().describe('token that a closed requester asks for'),
  maxConnections: z
    .int()
    .min(1)
    .max(65_536)
    .default(DEFAULT_FRONT_LIMITS.connections)
    .describe('connections of applications at a time'),
  handshakeTimeoutMs: timeoutMs(DEFAULT_FRONT_LIMITS.handshakeMs).describe('time for a complete SOCKS request'),
  connectTimeoutMs: timeoutMs(DEFAULT_FRONT_LIMITS.connectMs).describe('time for the requester to connect'),
  idleTimeoutMs: timeoutMs(DEFAULT_FRONT_LIMITS.idleMs).describe('a stream without a byte for this long is ended'),
});

export type ProxyConfig = z.infer<typeof ProxyConfig>;

/** The bounds of the front as configured. */
export function frontLimits(config: ProxyConfig): FrontLimits {
  return {
    ...DEFAULT_FRONT_LIMITS,
    connections: config.maxConnections,
    handshakeMs: config.handshakeTimeoutMs,
    connectMs: config.connectTimeoutMs,
    idleMs: config.idleTimeoutMs,
    halfClosedIdleMs: Math.min(DEFAULT_FRONT_LIMITS.halfClosedIdleMs, config.idleTimeoutMs),
  };
}
