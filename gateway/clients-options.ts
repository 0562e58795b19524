/**
 * What the registry of a gateway's clients goes by.
 * @module
 */
import type { IdentityHex } from '../lib/core/bytes.ts';
import type { MemoryBudget } from '../lib/core/memory-budget.ts';
import type { Rng } from '../lib/core/rng.ts';
import type { ClassRates, ClientEvents, ClientRate } from './client.ts';
import type { GatewayConfig } from './config.ts';
import type { ConsensusFrames } from './consensus-frames.ts';
import type { Seats } from './seats.ts';

/** Requesters have seats beside the clients: nobody may crowd those out through whom all others are served. */
export type ClientLimits = Pick<
  GatewayConfig,
  'maxClients' | 'maxRequesters' | 'maxDeliveryRate' | 'mailboxPackets' | 'mailboxTotalPackets'
>;

export interface ClientsOptions extends ClientEvents {
  readonly limits: ClientLimits;
  readonly rng: Rng;
  /** What waits for clients draws on it; in want of it no further client is taken. */
  readonly memory?: MemoryBudget;
  /** Whether the present consensus lists an identity as a requester. */
  readonly isRequester: (id: IdentityHex) => boolean;
  /** What an identity may send by the present consensus; `trafficClass` is the one that it has named. */
  readonly rateOf: (id: IdentityHex, trafficClass: string) => ClientRate;
  /** The clocks of a class by the present consensus; undefined when there is no such class. */
  readonly classRates: (trafficClass: string) => ClassRates | undefined;
  readonly seats: Seats;
  /** How long packets are kept, and absent clients remembered. */
  readonly mailboxLifeMs: () => number;
  /** What every client gets. */
  readonly consensus: ConsensusFrames;
  /** A client was disconnected because it sent too little. */
  readonly onSilent: () => void;
}
