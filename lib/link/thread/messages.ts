/**
 * The messages between main and link thread. Packets never travel in messages, only in shared memory.
 * @module
 */
import type { VersionRange } from '../../core/version-range.ts';
import type { AccessCredential } from '../access.ts';
import type { KeyExchange } from '../key-exchange.ts';
import type { ClientTerms, LinkState, LinkTarget } from '../types.ts';
import type { LaneShape } from './memory.ts';

export interface LinkThreadData {
  readonly memory: SharedArrayBuffer;
  readonly inboundSlots: number;
  readonly packetBytes: number;
  readonly networkId: Uint8Array;
  readonly client: ClientTerms;
  readonly keyExchange: KeyExchange;
  readonly localAddress: string | undefined;
}

/** Main to link thread. */
export type LinkOrder =
  | {
      readonly order: 'gateway';
      readonly target: LinkTarget;
      readonly certificatePem: string;
      readonly privateKeyPem: string;
      readonly access: readonly AccessCredential[];
    }
  | {
      readonly order: 'add-lane';
      readonly lane: number;
      readonly memory: SharedArrayBuffer;
      readonly shape: LaneShape;
      readonly ratePerSecond: number;
      readonly immediate: boolean;
    }
  | { readonly order: 'set-rate'; readonly lane: number; readonly ratePerSecond: number }
  | { readonly order: 'drop-idle'; readonly lane: number; readonly count: number }
  | { readonly order: 'remove-lane'; readonly lane: number }
  | { readonly order: 'pushed' }
  | { readonly order: 'stop' };

/** Link thread to main. */
export type LinkReport =
  | { readonly report: 'room' }
  | { readonly report: 'inbound' }
  | { readonly report: 'other-version'; readonly theirs: VersionRange }
  /** What the gateway has said at the beginning of the link. */
  | { readonly report: 'hello'; readonly hello: Uint8Array }
  | { readonly report: 'state'; readonly state: LinkState; readonly reason: string; readonly group: string };
