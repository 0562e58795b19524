/**
 * What a simulated session can be given.
 */
import type { AcceptHandler, Downlink, SessionLimits } from '../../../lib/session/index.ts';

export interface SimOptions {
  readonly seed: number;
  readonly accept: AcceptHandler;
  readonly payloadBytes?: number;
  readonly meanDelayMs?: number;
  /** Delays are drawn when a packet or reply block is made, as senders do, and known to the proxy: by the law of that time. */
  readonly drawsAhead?: boolean;
  /** Constant part of the way, each direction. */
  readonly linkMs?: number;
  readonly mainRate?: number;
  readonly replyRate?: number;
  readonly downlink?: Downlink;
  /** Frames per second of the delivery clock at the proxy's gateway; 0: replies come as they arrive there. */
  readonly deliveryRate?: number;
  /** Share of packets that each mix drops, each way. */
  readonly lossUp?: number;
  readonly lossDown?: number;
  readonly duplicates?: number;
  readonly surbLifeMs?: number;
  readonly limits?: Partial<SessionLimits>;
  readonly accessToken?: Uint8Array;
  /** What the proxy shows instead. */
  readonly proxyToken?: Uint8Array;
}
