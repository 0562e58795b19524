/**
 * The options of `mixsocks localnet`.
 * @module
 */

import { z } from 'zod';
import { cryptoBackend, epochSeconds, logLevel, payloadBytes } from '../../lib/config/fields.ts';
import { DEFAULT_PARAMS, PAYLOAD_SIZES } from '../../lib/core/params.ts';
import { linkKeyExchange } from '../../lib/link/config.ts';

const { standard } = DEFAULT_PARAMS.classes;
const port = (defaultPort: number) => z.int().min(0).max(65_535).default(defaultPort);
const rate = (defaultRate: number | undefined) =>
  z
    .number()
    .min(0.1)
    .max(10_000)
    .default(defaultRate ?? 1);

export const LocalnetConfig = z.strictObject({
  socksPort: port(1080).describe('port of the SOCKS5 front on 127.0.0.1; 0: any free one'),
  statusPort: port(1081).describe('port of the status page on 127.0.0.1; 0: any free one'),
  mixesPerLayer: z.int().min(1).max(32).default(2).describe('mixes in each of the three layers'),
  gateways: z.int().min(1).max(32).default(2).describe('gateways'),
  requesters: z.int().min(1).max(32).default(1).describe('network-requesters (exits)'),
  packetSize: payloadBytes
    .default(DEFAULT_PARAMS.payloadBytes)
    .describe(`plaintext bytes of every packet: ${PAYLOAD_SIZES.join(', ')}`),
  rate: rate(standard?.mainRate).describe('packets per second from the proxy to its requester'),
  replyRate: rate(standard?.replyRate).describe('replies per second to the proxy'),
  keepRates: z
    .boolean()
    .default(false)
    .describe('keep rate and replyRate as given; else they are lowered where this machine does not carry them'),
  downlink: z
    .enum(['steady', 'burst'])
    .default('steady')
    .describe('steady: replies come by a clock; burst: as fast as they can, which shows'),
  linkKeyExchange,
  meanDelayMs: z
    .number()
    .min(0)
    .max(60_000)
    .default(DEFAULT_PARAMS.meanDelayMs)
    .describe('mean delay at each mix in milliseconds'),
  epochS: epochSeconds.default(DEFAULT_PARAMS.epochMs / 1000).describe('length of an epoch in seconds'),
  memoryBudgetMiB: z
    .int()
    .min(16)
    .max(1_000_000)
    .optional()
    .describe(
      'MiB that the queues of all nodes may take together (default: a quarter of what the machine, or its memory cgroup, has)',
    ),
  dir: z
    .string()
    .min(1)
    .optional()
    .describe('folder to keep everything in (default: a temporary one, removed at exit)'),
  readyFile: z
    .string()
    .min(1)
    .optional()
    .describe('file to write when requests can succeed: JSON, whole or not at all'),
  allowPrivate: z.boolean().default(false).describe('let private and loopback addresses through, at proxy and exit'),
  fault: z
    .array(z.string())
    .default([])
    .describe(
      'EXPERIMENTS ONLY: NAME:drop=F,delay-ms=N,duplicate=F,corrupt=F harms what a mix or gateway sends, F a probability; mix-1-1, mix-2-*, mixes, gateways; may be given again and again',
    ),
  logLevel: logLevel.describe("least severe level in the nodes' logs"),
  crypto: cryptoBackend.describe('crypto backend of all nodes'),
});

export type LocalnetConfig = z.infer<typeof LocalnetConfig>;

/** What is fixed for the life of a network: keys, documents and addresses of `--dir` fit no other shape. */
export const SHAPE_KEYS = [
  'mixesPerLayer',
  'gateways',
  'requesters',
  'packetSize',
  'rate',
  'replyRate',
  'meanDelayMs',
  'epochS',
] as const satisfies readonly (keyof LocalnetConfig)[];
