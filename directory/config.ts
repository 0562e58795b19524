/**
 * Configuration of a directory authority.
 * @module
 */
import { z } from 'zod';
import {
  connectionsPerSource,
  cryptoBackend,
  epochSeconds,
  logLevel,
  memoryBudget,
  payloadBytes,
} from '../lib/config/fields.ts';
import { DEFAULT_PARAMS, defaultNodeLoopRate, PAYLOAD_SIZES } from '../lib/core/params.ts';
import { textFor } from '../lib/core/parsed-text.ts';
import {
  SESSION_PARAM_NAMES,
  SESSION_PARAMS,
  type SessionOptionName,
  sessionOptionName,
} from '../lib/core/session-params.ts';
import { MAX_CAPACITY, MAX_DELIVERY_RATE, MAX_MIXING_TARGET, MAX_NODES } from '../lib/directory/index.ts';
import { parseListen } from '../lib/net/address.ts';
import { metricsOptions } from '../lib/net/metrics-page.ts';
import { SERVER_LIMITS } from './server.ts';

const { standard, fast } = DEFAULT_PARAMS.classes as Required<typeof DEFAULT_PARAMS.classes>;
const rate = (value: number) => z.number().min(0).max(10_000).default(value);
const SIZES_WITH_FEWER_LOOPS = PAYLOAD_SIZES.filter((size) => size !== DEFAULT_PARAMS.payloadBytes)
  .map((size) => `${defaultNodeLoopRate(size)} with payloadBytes ${size}`)
  .join(', ');
const deliveryRate = (name: string) =>
  z
    .number()
    .min(0)
    .max(MAX_DELIVERY_RATE)
    .optional()
    .describe(
      `class ${name}: frames per second from the gateway to a proxy, at least 1.2 × (replies + loops) (default 1.25 ×)`,
    );

/** One option for each parameter of sessions. */
const sessionOptions = Object.fromEntries(
  SESSION_PARAM_NAMES.map((name) => {
    const { value, least, most, about } = SESSION_PARAMS[name];
    const option = z.int().min(least).max(most).default(value).describe(`sessions of proxies: ${about}`);
    return [sessionOptionName(name), option];
  }),
) as Record<SessionOptionName, z.ZodDefault<z.ZodInt>>;

export const DirectoryConfig = z.strictObject({
  dir: z.string().describe('folder of the authority: identity, descriptors, signed documents'),
  networkFile: z
    .string()
    .optional()
    .describe('network.json; made at the first start if missing (default DIR/network.json)'),
  networkName: z.string().default('mixsocks').describe('name of the network in a network.json made here'),
  listen: textFor(parseListen)
    .default('127.0.0.1:0')
    .describe('address and port of the HTTP API; port 0: that of our URL in network.json, or any free one'),
  advertise: z.string().optional().describe('URL under which others reach the API, for a network.json made here'),
  ...metricsOptions,
  maxConnectionsPerSource: connectionsPerSource(SERVER_LIMITS.connectionsPerSource),
  memoryBudgetMiB: memoryBudget,
  logLevel,
  crypto: cryptoBackend,
  name: z.string().default('directory-1').describe('name in the log'),
  allow: z.array(z.string()).default([]).describe('identities that may join without a join token'),
  openToAll: z.boolean().default(false).describe('anyone may join, without token and list'),
  epochSeconds: epochSeconds
    .optional()
    .describe(`length of an epoch; fixed once network.json is made (default ${DEFAULT_PARAMS.epochMs / 1000})`),
  payloadBytes: payloadBytes
    .optional()
    .describe(
      `plaintext bytes of every packet: ${PAYLOAD_SIZES.join(', ')}; fixed once network.json is made (default ${DEFAULT_PARAMS.payloadBytes})`,
    ),
  meanDelayMs: z.number().min(0).max(600_000).default(DEFAULT_PARAMS.meanDelayMs).describe('mean delay at each mix'),
  mixingTarget: z
    .int()
    .min(0)
    .max(MAX_MIXING_TARGET)
    .default(DEFAULT_PARAMS.mixingTarget)
    .describe(
      'packets that a mix is to hold at a time: the mean delay follows from it each epoch, from 40 to 200 ms; 0: meanDelayMs holds',
    ),
  clients: z
    .enum(['open', 'invited'])
    .default(DEFAULT_PARAMS.clients)
    .describe('invited: a private network, whose gateways let in only clients with an invitation of theirs'),
  maxDelayMs: z
    .number()
    .min(0)
    .max(3_600_000)
    .default(DEFAULT_PARAMS.maxDelayMs)
    .describe('longest delay a node grants'),
  nodeLoopRate: z
    .number()
    .min(0)
    .max(10_000)
    .optional()
    .describe(
      `own loops of each mix and gateway per second (default ${DEFAULT_PARAMS.nodeLoopRate}; ${SIZES_WITH_FEWER_LOOPS})`,
    ),
  minCapacity: z
    .int()
    .min(0)
    .max(MAX_CAPACITY)
    .default(DEFAULT_PARAMS.minCapacity)
    .describe('mixes and gateways that carry fewer packets per second are not listed'),
  mainRate: rate(standard?.mainRate ?? 0).describe('class standard: packets to the requester per second'),
  replyRate: rate(standard?.replyRate ?? 0).describe('class standard: replies per second'),
  loopRate: rate(standard?.loopRate ?? 0).describe('class standard: loops per second'),
  dropRate: rate(standard?.dropRate ?? 0).describe('class standard: drop packets per second'),
  deliveryRate: deliveryRate('standard'),
  fastMainRate: rate(fast?.mainRate ?? 0).describe('class fast: packets to the requester per second'),
  fastReplyRate: rate(fast?.replyRate ?? 0).describe('class fast: replies per second'),
  fastLoopRate: rate(fast?.loopRate ?? 0).describe('class fast: loops per second'),
  fastDropRate: rate(fast?.dropRate ?? 0).describe('class fast: drop packets per second'),
  fastDeliveryRate: deliveryRate('fast'),
  ...sessionOptions,
  checkReachability: z
    .boolean()
    .default(true)
    .describe('list a mix or gateway only if this authority reaches it at the address that it advertises'),
  allowPrivate: z
    .boolean()
    .optional()
    .describe(
      'try nodes at private addresses, too (default: whether our URL in network.json is at one; loopback only then)',
    ),
  minMixesPerLayer: z.int().min(1).default(1).describe('mixes in each layer before the first consensus'),
  minGateways: z.int().min(1).default(1).describe('gateways before the first consensus'),
  minRequesters: z.int().min(0).default(1).describe('requesters before the first consensus'),
  maxNodes: z
    .int()
    .min(1)
    .max(MAX_NODES)
    .default(MAX_NODES)
    .describe('nodes of the network, those that are away included'),
});

export type DirectoryConfig = z.infer<typeof DirectoryConfig>;
