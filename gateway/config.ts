/**
 * Configuration of a gateway.
 * @module
 */
import * as z from 'zod';
import { nodeOptions } from '../lib/node/config.ts';

const count = (defaultValue: number, description: string) =>
  z.number().int().min(1).max(10_000_000).default(defaultValue).describe(description);

export const GatewayConfig = z.strictObject({
  ...nodeOptions,
  clients: z
    .enum(['open', 'invited'])
    .default('open')
    .describe('invited: only clients with an invitation of this gateway are let in, also where the network is open'),
  maxClients: count(1000, 'clients connected at a time; more are refused'),
  maxRequesters: count(256, 'network-requesters of the consensus connected at a time, beside the clients'),
  clientBurst: count(256, 'packets a client may send at once beyond its rate'),
  maxDeliveryRate: count(
    20_000,
    'frames per second of the delivery clocks of all clients together; further clients with a clock are refused',
  ),
  requesterPacketsPerSecond: count(20_000, 'packets per second taken from one network-requester'),
  requesterBurst: count(4096, 'packets a network-requester may send at once beyond its rate'),
  mailboxPackets: count(512, 'packets kept for one client without a delivery clock that is away'),
  mailboxTotalPackets: count(16_384, 'packets kept for all clients that are away'),
});

export type GatewayConfig = z.infer<typeof GatewayConfig>;
