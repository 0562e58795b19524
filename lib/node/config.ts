/**
 * Options that mixes and gateways have in common: spread into the strict schema of its role.
 * @module
 */
import * as z from 'zod';
import {
  connectionsPerSource,
  cryptoBackend,
  joinToken,
  logLevel,
  memoryBudget,
  oneOrSeveral,
  outboundAddress,
  replayMemoryMiB,
} from '../config/fields.ts';
import { linkKeyExchange } from '../link/config.ts';
import { DEFAULT_LINK_LIMITS } from '../link/limits.ts';
import { POOL_PACKETS } from '../mixing/delay-queue.ts';
import { parseListen } from '../net/address.ts';
import { metricsOptions } from '../net/metrics-page.ts';
import { faultOption } from './fault.ts';

/** Addresses that one node listens on. */
export const MAX_NODE_LISTENERS = 16;

export const nodeOptions = {
  dir: z.string().min(1).describe('folder of the identity, the Sphinx keys and the replay journals'),
  networkFile: z.string().min(1).describe("the network's network.json"),
  name: z.string().min(1).describe('name of this node in the consensus'),
  family: z.string().optional().describe('the same word on all nodes of one operator: no route takes two of them'),
  listen: oneOrSeveral(parseListen, MAX_NODE_LISTENERS)
    .default(['127.0.0.1:0'])
    .describe(
      'addresses for links, host:port; port 0 takes any free one. Limits of connections are for all of them together',
    ),
  advertise: oneOrSeveral(parseListen, 2)
    .optional()
    .describe(
      'addresses, one of IPv4 and one of IPv6 at most, or one name, with port, that others reach this node at, when these are not the ones of listen; of a name the node publishes its addresses',
    ),
  outboundAddress: outboundAddress.describe(
    'address of this machine to dial links and the directory from, which must be of its family (default: the system chooses). Where the machine has several, the announced one: others keep seats for that',
  ),
  ...metricsOptions,
  joinToken,
  poolPackets: z
    .number()
    .int()
    .min(16)
    .max(10_000_000)
    .default(POOL_PACKETS)
    .describe('packets held for mixing at most'),
  maxPacketsPerSecond: z
    .number()
    .int()
    .min(100)
    .max(1_000_000)
    .default(10_000)
    .describe('packets accepted per second at most, where the machine and replayMemoryMiB would do with more'),
  replayMemoryMiB,
  maxConnectionsPerSource: connectionsPerSource(DEFAULT_LINK_LIMITS.maxConnectionsPerSource),
  linkKeyExchange,
  memoryBudgetMiB: memoryBudget,
  linkQueuePackets: z.number().int().min(16).max(1_000_000).default(1024).describe('packets queued per link'),
  fault: faultOption,
  logLevel,
  crypto: cryptoBackend,
};

export type NodeOptions = z.infer<z.ZodObject<typeof nodeOptions>>;
