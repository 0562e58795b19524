/**
 * What a requester's hub is made of.
 * @module
 */
import type { MixEndpoint } from '../../endpoint/index.ts';
import type { Components } from '../../runtime/components.ts';
import type { MeasuredCapacity } from '../../runtime/measured-capacity.ts';
import type { AcceptHandler, SessionLimits } from '../../transport/types.ts';
import type { SessionMeter } from '../session-meter.ts';

/** The part of a MixEndpoint that a requester's sessions use. */
export type RequesterEndpoint = Pick<
  MixEndpoint,
  'topology' | 'laws' | 'surbUsable' | 'addLane' | 'addFeeder' | 'onTopology' | 'sealReply' | 'linkState'
>;

export interface RequesterHubOptions {
  /** Counts what the sessions do. */
  readonly meter?: SessionMeter;
  readonly components: Pick<Components, 'clock' | 'rng' | 'log' | 'memory'>;
  readonly endpoint: RequesterEndpoint;
  readonly accept: AcceptHandler;
  readonly accessToken?: Uint8Array;
  readonly maxSessions?: number;
  /** Replies per second of all sessions together (default 20,000). */
  readonly maxTotalReplyRate?: number;
  /** What the machine carries, and how busy its main thread was since the last call: bounds them too. */
  readonly load?: { readonly capacity: MeasuredCapacity; readonly busyShare: () => number };
  readonly limits?: Partial<SessionLimits>;
}
