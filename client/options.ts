/**
 * What a program may ask of its client, checked.
 * @module
 */

import { AccessTerms } from '../lib/access/terms.ts';
import { nearestName } from '../lib/config/nearest-name.ts';
import { MixError } from '../lib/core/errors.ts';
import type { Log } from '../lib/telemetry/log.ts';

/** The contents of a network.json: which network, and which authorities to believe. */
export interface NetworkDescription {
  readonly name: string;
  readonly epochSeconds?: number;
  readonly payloadBytes?: number;
  readonly authorities: readonly { readonly id: string; readonly url: string }[];
  /** How many of the authorities must have signed. */
  readonly threshold: number;
}

export interface MixnetOptions {
  /** Path of the network's network.json, or its contents. */
  readonly network: string | NetworkDescription;
  /** Where the last list of nodes is kept, so that the next start needs no authority. Not kept by default. */
  readonly cacheFile?: string;
  /**
   * Where the gateways that this client keeps to are kept; one client at a time uses the file. Without it they are kept in memory,
   * and each client draws its own: a program that makes clients again and again meets every gateway.
   */
  readonly guardFile?: string;
  /**
   * `steady`: replies come by a clock, so that downloads do not show. `burst`: as fast as they can, and they show.
   * Default `steady`.
   */
  readonly downlink?: 'steady' | 'burst';
  /**
   * Key exchange of the link to the gateway. `hybrid`: X25519MLKEM768 alone, of which a later quantum computer cannot read recordings; needs
   * Node.js 24, here and at the gateway. `any` prefers it and takes X25519 too. Default `any`.
   */
  readonly linkKeyExchange?: 'any' | 'hybrid' | 'x25519';
  /** Traffic class of the network; its members look alike. Default `standard`. */
  readonly trafficClass?: string;
  /** Identity of the requester (exit) to use; by default one is chosen. */
  readonly requester?: string;
  /** Requesters in use at a time; isolation tokens are spread over them. Default 1. */
  readonly requesterSpread?: number;
  /** Isolation tokens with streams open at a time; streams beyond it wait, up to `connectTimeoutMs`. Default 256. */
  readonly maxIdentities?: number;
  /** Identity of the gateway to use; by default one is chosen. */
  readonly gateway?: string;
  /** Invitations to a private network, each a line as `mixsocks gateway invite` prints it. They need `accessFile`. */
  readonly invitation?: string | readonly string[];
  /** Where the secret is kept by which this client is known to be the one that was invited. It is made where there is none. */
  readonly accessFile?: string;
  /** Token that a closed requester asks for. */
  readonly accessToken?: string;
  /** Address of this machine that the gateway and the directory are dialled from. By default the system chooses. */
  readonly outboundAddress?: string;
  /** Let names and addresses of private and loopback networks through to the requester. Default false. */
  readonly allowPrivate?: boolean;
  /** Time for `ready` and for a stream to open. Default 60,000. */
  readonly connectTimeoutMs?: number;
  /** `noble` forces the portable crypto, which is too slow for the default rates. Default `fastest`. */
  readonly crypto?: 'fastest' | 'noble';
  /** Takes what the client has to say (pino's interface). Silent by default; never names a destination. */
  readonly log?: Log;
}

const KEYS = ['network', 'cacheFile', 'guardFile', 'accessFile', 'log', ...Object.keys(AccessTerms.shape)];

/** The options with their defaults; throws CONFIG with one line about the first thing that is wrong. */
export function termsOf(options: MixnetOptions): AccessTerms {
  const unknown = Object.keys(options).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    const nearest = nearestName(unknown, KEYS);
    const hint = nearest === undefined ? '' : `; did you mean "${nearest}"?`;
    throw new MixError('CONFIG', `unknown option "${unknown}"${hint}`);
  }
  const { network: _network, cacheFile: _cache, guardFile: _guards, accessFile: _access, log: _log, ...rest } = options;
  const parsed = AccessTerms.safeParse(rest);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new MixError('CONFIG', `${issue?.path.join('.') ?? 'options'}: ${issue?.message ?? 'not valid'}`);
}
