/**
 * What a proxy's hub is made of.
 * @module
 */
import type { VersionRange } from '../../core/version-range.ts';
import type { NodeEntry } from '../../directory/index.ts';
import type { MixEndpoint } from '../../endpoint/index.ts';
import type { Components } from '../../runtime/components.ts';
import type { Downlink } from '../../transport/types.ts';
import type { SessionMeter } from '../session-meter.ts';

/** What the hub needs of an endpoint. */
export type HubEndpoint = Pick<
  MixEndpoint,
  | 'trafficClass'
  | 'topology'
  | 'laws'
  | 'surbLifeMs'
  | 'ownPath'
  | 'linkState'
  | 'linkDownMs'
  | 'addLane'
  | 'addFeeder'
  | 'onMoved'
  | 'onTopology'
  | 'sealTo'
  | 'sealDrop'
  | 'createSurb'
  | 'changeExitGateway'
>;

export interface ProxyHubOptions {
  /** Counts what the sessions do. */
  readonly meter?: SessionMeter;
  readonly components: Pick<Components, 'clock' | 'rng' | 'log' | 'memory'>;
  readonly endpoint: HubEndpoint;
  readonly downlink: Downlink;
  /** Which requesters may be used. */
  readonly requesters: () => readonly NodeEntry[];
  /** Over how many of them packets and replies are spread evenly; isolation tokens are, too. */
  readonly spread?: number;
  /** Isolation tokens with a session at a time (default 256). */
  readonly maxIdentities?: number;
  /** How long a stream waits for an identity that is free (default: as long as for a requester to connect). */
  readonly openTimeoutMs?: number;
  readonly accessToken?: Uint8Array;
  /** Of sessions; SESSION_VERSIONS by default. */
  readonly versions?: VersionRange;
}
