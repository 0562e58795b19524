/**
 * Configuration of the network-requester, and the bounds of its egress.
 * @module
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import {
  cryptoBackend,
  identityHex,
  joinToken,
  logLevel,
  memoryBudget,
  outboundAddress,
  replayMemoryMiB,
  timeoutMs,
} from '../lib/config/fields.ts';
import { MAX_REQUESTER_GATEWAYS } from '../lib/directory/index.ts';
import { linkKeyExchange } from '../lib/link/index.ts';
import { splitHostPort } from '../lib/net/address.ts';
import { parseRange } from '../lib/net/address-policy.ts';
import { metricsOptions } from '../lib/net/metrics-page.ts';
import type { RelayLimits } from '../lib/relay/stream-relay.ts';
import { MAX_TOTAL_REPLY_RATE } from '../lib/session/requester/requester-hub.ts';

/** Bounds of the egress (docs/LIMITS.md). */
export interface EgressLimits extends RelayLimits {
  /** Streams at a time, connecting or open, of all sessions. */
  readonly streams: number;
  /** The same of one session. */
  readonly streamsPerSession: number;
  /** New streams of all sessions, in the mean. */
  readonly streamsPerSecond: number;
  /** The same of one session. */
  readonly streamsPerSecondPerSession: number;
  /** However busy a stream is, it ends after this time. */
  readonly openMs: number;
  /** Name resolution and all connection attempts of one stream together. */
  readonly connectMs: number;
  /** How long one address is waited for before the next is tried beside it (RFC 8305 section 5). */
  readonly connectStaggerMs: number;
  /** Addresses of one name that are tried. */
  readonly addressesTried: number;
  readonly keepAliveMs: number;
  /** A UDP association without a datagram for this long gives its sockets back; the next datagram takes new ones. */
  readonly udpIdleMs: number;
  /** Peers that a UDP association takes datagrams from. */
  readonly udpPeers: number;
  /** Names whose addresses an association keeps. */
  readonly udpNames: number;
  /** Datagrams of an association that wait for a name; more are lost. */
  readonly udpWaiting: number;
}

export const DEFAULT_EGRESS_LIMITS: EgressLimits = {
  streams: 1024,
  streamsPerSession: 256,
  streamsPerSecond: 200,
  streamsPerSecondPerSession: 50,
  openMs: 24 * 3_600_000,
  connectMs: 30_000,
  connectStaggerMs: 250,
  addressesTried: 6,
  keepAliveMs: 60_000,
  udpIdleMs: 300_000,
  udpPeers: 512,
  udpNames: 256,
  udpWaiting: 64,
  idleMs: 3_600_000,
  halfClosedIdleMs: 300_000,
};

export interface ResolverLimits {
  /** One name, both address families together. */
  readonly timeoutMs: number;
  /** Names being resolved at a time; further ones fail at once. */
  readonly pending: number;
  /** Names whose answer is remembered. */
  readonly cached: number;
  /** Addresses of a family, and names of an address, of one answer. */
  readonly records: number;
}

export const DEFAULT_RESOLVER_LIMITS: ResolverLimits = { timeoutMs: 5_000, pending: 256, cached: 4096, records: 16 };

/** From the request to stop until streams that are open are broken off. */
export const DEFAULT_DRAIN_MS = 30_000;

/** Addresses and prefixes that an operator may list as the machine's own. */
export const MAX_OWN_ADDRESSES = 256;

/** Names cannot be asked for before there is a name server. */
function isNameServer(text: string): boolean {
  if (isIP(text) !== 0) return true;
  const { host = '', port = 0 } = splitHostPort(text) ?? {};
  return isIP(host) !== 0 && port > 0;
}

export const RequesterConfig = z.strictObject({
  dir: z.string().describe('folder of the requester: identity, Sphinx keys, its copy of the consensus'),
  networkFile: z.string().optional().describe('network.json of the network to join (default DIR/network.json)'),
  outboundAddress,
  ...metricsOptions,
  logLevel,
  crypto: cryptoBackend,
  name: z.string().default('requester-1').describe('name in the log and in the directory'),
  family: z.string().optional().describe('name shared by the nodes of one operator'),
  joinToken,
  gateways: z
    .array(identityHex)
    .max(MAX_REQUESTER_GATEWAYS)
    .refine((ids) => new Set(ids).size === ids.length, 'expected no gateway twice')
    .default([])
    .describe('identities of the gateways to use, one or two (default: two are chosen)'),
  linkKeyExchange,
  replayMemoryMiB,
  trafficClass: z.string().default('standard').describe('traffic class of its cover traffic'),
  allowPrivate: z.boolean().default(false).describe('connect to private and loopback addresses as well'),
  accessToken: z.string().min(1).max(255).optional().describe('serve only sessions that bring this token'),
  ownAddresses: z
    .array(
      z.string().refine((text) => parseRange(text) !== undefined, {
        error: 'expected addresses or prefixes, as 203.0.113.7 or 2001:db8::/64',
      }),
    )
    .max(MAX_OWN_ADDRESSES)
    .default([])
    .describe(
      'addresses and prefixes that lead to this machine beside those of its interfaces: never connected to, as behind 1:1 translation or a load balancer',
    ),
  allowUdp: z.boolean().default(true).describe('carry UDP datagrams as well'),
  exitPolicyFile: z
    .string()
    .min(1)
    .optional()
    .describe('file of accept and reject lines as in torrc, before the default policy; SIGHUP reads it again'),
  maxReplyRate: z
    .int()
    .min(10)
    .max(1_000_000)
    .default(MAX_TOTAL_REPLY_RATE)
    .describe('replies per second of all sessions together; what the machine is measured to carry bounds them too'),
  memoryBudgetMiB: memoryBudget,
  maxStreams: z
    .int()
    .min(1)
    .max(65_536)
    .default(DEFAULT_EGRESS_LIMITS.streams)
    .describe('connections to sites at a time'),
  maxStreamsPerSession: z
    .int()
    .min(1)
    .max(65_536)
    .default(DEFAULT_EGRESS_LIMITS.streamsPerSession)
    .describe('connections to sites at a time for one session'),
  maxStreamsPerSecond: z
    .number()
    .min(0.1)
    .max(100_000)
    .default(DEFAULT_EGRESS_LIMITS.streamsPerSecond)
    .describe('new connections per second; ten times as many at once after a pause'),
  maxStreamsPerSecondPerSession: z
    .number()
    .min(0.1)
    .max(100_000)
    .default(DEFAULT_EGRESS_LIMITS.streamsPerSecondPerSession)
    .describe('the same for one session; five times as many at once'),
  maxOpenMs: timeoutMs(DEFAULT_EGRESS_LIMITS.openMs, 30 * 86_400_000).describe('a stream is ended after this time'),
  connectTimeoutMs: timeoutMs(DEFAULT_EGRESS_LIMITS.connectMs).describe('time to resolve a name and connect'),
  nameServers: z
    .array(
      z.string().refine(isNameServer, 'expected an address, with or without a port: 192.0.2.53, [2001:db8::53]:53'),
    )
    .default([])
    .describe('name servers to ask instead of those of the system: addresses, with :port where it is not 53'),
  dnsTimeoutMs: timeoutMs(DEFAULT_RESOLVER_LIMITS.timeoutMs).describe('time to resolve a name'),
  idleTimeoutMs: timeoutMs(DEFAULT_EGRESS_LIMITS.idleMs).describe('a stream without a byte for this long is ended'),
  drainTimeoutMs: z
    .int()
    .min(0)
    .max(3_600_000)
    .default(DEFAULT_DRAIN_MS)
    .describe('how long an exit that is asked to stop waits for its streams to end; 0: not at all'),
});

export type RequesterConfig = z.infer<typeof RequesterConfig>;

/** The bounds of the egress as configured. */
export function egressLimits(config: RequesterConfig): EgressLimits {
  return {
    ...DEFAULT_EGRESS_LIMITS,
    streams: config.maxStreams,
    streamsPerSession: config.maxStreamsPerSession,
    streamsPerSecond: config.maxStreamsPerSecond,
    streamsPerSecondPerSession: config.maxStreamsPerSecondPerSession,
    openMs: config.maxOpenMs,
    connectMs: config.connectTimeoutMs,
    idleMs: config.idleTimeoutMs,
    halfClosedIdleMs: Math.min(DEFAULT_EGRESS_LIMITS.halfClosedIdleMs, config.idleTimeoutMs),
  };
}
