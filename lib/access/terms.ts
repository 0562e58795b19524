/**
 * The options of a way into the mixnet that a proxy and a program's client have in common: each takes them into its own
 * strict schema.
 * @module
 */
import { z } from 'zod';
import { cryptoBackend, identityHex, outboundAddress, timeoutMs } from '../config/fields.ts';
import { parseInvitation } from '../directory/invitation.ts';
import { linkKeyExchange } from '../link/config.ts';
import { MAX_SPREAD } from '../session/proxy/exits.ts';
import type { ProxyHubOptions } from '../session/proxy/hub-options.ts';
import { DEFAULT_MAX_IDENTITIES } from '../session/proxy/session-pool.ts';

/** Time for the requester to connect. */
export const DEFAULT_CONNECT_TIMEOUT_MS = 60_000;

/** The highest `maxIdentities`: with more, a session's share of the replies is too small to show that it is alive. */
export const MAX_MAX_IDENTITIES = 1024;

/** Invitations of one client. */
const MAX_INVITATIONS = 16;
const NO_INVITATION = 'expected a whole line that mixsocks gateway invite prints; is a part of it missing?';

export const accessOptions = {
  crypto: cryptoBackend,
  downlink: z
    .enum(['steady', 'burst'])
    .default('steady')
    .describe(
      'steady: replies come by a clock, so that downloads do not show; burst: as fast as they can, and they show',
    ),
  linkKeyExchange,
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
  maxIdentities: z
    .int()
    .min(1)
    .max(MAX_MAX_IDENTITIES)
    .default(DEFAULT_MAX_IDENTITIES)
    .describe(
      'isolated programs with streams open at a time; each has a session of its own, and what comes beyond waits',
    ),
  requester: identityHex.optional().describe('identity of the requester to use (default: one is chosen)'),
  gateway: identityHex.optional().describe('identity of the gateway to use (default: one is chosen)'),
  invitation: z
    .union([z.array(z.string()).max(MAX_INVITATIONS), z.string()])
    .transform((given) => (typeof given === 'string' ? [given] : given))
    .refine((lines) => lines.every((line) => parseInvitation(line) !== undefined), NO_INVITATION)
    .default([])
    .describe('invitation to a private network, as mixsocks gateway invite prints it; several are separated by commas'),
  accessToken: z.string().min(1).max(255).optional().describe('token that a closed requester asks for'),
  outboundAddress,
};

export const AccessTerms = z.strictObject({
  ...accessOptions,
  connectTimeoutMs: timeoutMs(DEFAULT_CONNECT_TIMEOUT_MS).describe('time for the requester to connect'),
});
export type AccessTerms = z.infer<typeof AccessTerms>;

/** What of a configuration concerns the way into the network. */
export type MixnetTerms = Pick<
  AccessTerms,
  | 'downlink'
  | 'linkKeyExchange'
  | 'trafficClass'
  | 'gateway'
  | 'invitation'
  | 'requester'
  | 'requesterSpread'
  | 'accessToken'
  | 'maxIdentities'
> &
  // How long a stream waits for an identity; by default as long as the network gives a requester to connect.
  Partial<Pick<AccessTerms, 'connectTimeoutMs'>>;

/** What of it a hub of sessions takes. An exit sees some of it, and nothing else of a configuration (docs/PROTOCOL.md section 6.12). */
export function hubTerms({ accessToken, downlink, requesterSpread, maxIdentities, connectTimeoutMs }: MixnetTerms) {
  return {
    downlink,
    spread: requesterSpread,
    maxIdentities,
    ...(connectTimeoutMs === undefined ? {} : { openTimeoutMs: connectTimeoutMs }),
    ...(accessToken === undefined ? {} : { accessToken: Buffer.from(accessToken) }),
  } satisfies Partial<ProxyHubOptions>;
}
