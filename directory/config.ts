/**
 * Configuration of a directory authority.
 * @module
 */
import { z } from 'zod';
import { MAX_NODES } from '../lib/directory/index.ts';
import { DEFAULT_PARAMS, PAYLOAD_SIZES } from '../lib/params.ts';

const { standard, fast } = DEFAULT_PARAMS.classes as Required<typeof DEFAULT_PARAMS.classes>;
const rate = (value: number) => z.number().min(0).max(10_000).default(value);

export const DirectoryConfig = z.strictObject({
  dir: z.string().describe('folder of the authority: identity, descriptors, signed documents'),
  networkFile: z
    .string()
    .optional()
    .describe('network.json; made at the first start if missing (default DIR/network.json)'),
  networkName: z.string().default('mixsocks').describe('name of the network in a network.json made here'),
  listen: z
    .string()
    .default('127.0.0.1:0')
    .describe('address and port of the HTTP API; port 0: that of our URL in network.json, or any free one'),
  advertise: z.string().optional().describe('URL under which others reach the API, for a network.json made here'),
  metricsListen: z.string().default('127.0.0.1:0').describe('address and port of /metrics'),
  logLevel: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('least severe level that is logged'),
  crypto: z.enum(['fastest', 'noble']).default('fastest').describe('crypto backend'),
  name: z.string().default('directory-1').describe('name in the log'),
  joinToken: z.string().min(16).optional().describe('who knows it may join the network; it never travels'),
  allow: z.array(z.string()).default([]).describe('identities that may join'),
  openToAll: z.boolean().default(false).describe('anyone may join, without token and list'),
  epochSeconds: z
    .int()
    .min(5)
    .max(7 * 86_400)
    .optional()
    .describe(`length of an epoch; fixed once network.json is made (default ${DEFAULT_PARAMS.epochMs / 1000})`),
  payloadBytes: z
    .int()
    .refine((size) => PAYLOAD_SIZES.includes(size), `expected one of ${PAYLOAD_SIZES.join(', ')}`)
    .optional()
    .describe(
      `plaintext bytes of every packet: ${PAYLOAD_SIZES.join(', ')}; fixed once network.json is made (default ${DEFAULT_PARAMS.payloadBytes})`,
    ),
  meanDelayMs: z.number().min(0).max(600_000).default(DEFAULT_PARAMS.meanDelayMs).describe('mean delay at each mix'),
  maxDelayMs: z
    .number()
    .min(0)
    .max(3_600_000)
    .default(DEFAULT_PARAMS.maxDelayMs)
    .describe('longest delay a node grants'),
  nodeLoopRate: rate(DEFAULT_PARAMS.nodeLoopRate).describe('own loops of each mix and gateway per second'),
  mainRate: rate(standard?.mainRate ?? 0).describe('class standard: packets to the requester per second'),
  replyRate: rate(standard?.replyRate ?? 0).describe('class standard: replies per second'),
  loopRate: rate(standard?.loopRate ?? 0).describe('class standard: loops per second'),
  dropRate: rate(standard?.dropRate ?? 0).describe('class standard: drop packets per second'),
  fastMainRate: rate(fast?.mainRate ?? 0).describe('class fast: packets to the requester per second'),
  fastReplyRate: rate(fast?.replyRate ?? 0).describe('class fast: replies per second'),
  fastLoopRate: rate(fast?.loopRate ?? 0).describe('class fast: loops per second'),
  fastDropRate: rate(fast?.dropRate ?? 0).describe('class fast: drop packets per second'),
  minMixesPerLayer: z.int().min(1).default(1).describe('mixes in each layer before the first consensus'),
  minGateways: z.int().min(1).default(1).describe('gateways before the first consensus'),
  minRequesters: z.int().min(0).default(1).describe('requesters before the first consensus'),
  maxNodes: z.int().min(1).max(MAX_NODES).default(MAX_NODES).describe('nodes the authority keeps descriptors of'),
});

export type DirectoryConfig = z.infer<typeof DirectoryConfig>;
