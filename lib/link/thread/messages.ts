/**
 * What main and link thread tell each other. Packets never travel in messages, only in shared memory.
 * @module
 */
import type { MessagePort } from 'node:worker_threads';
import type { LinkState, LinkTarget } from '../types.ts';
import type { LaneShape } from './memory.ts';

export interface LinkThreadData {
  readonly memory: SharedArrayBuffer;
  readonly inboundSlots: number;
  readonly packetBytes: number;
  readonly networkId: Uint8Array;
  /** The alarm's thread rings here. */
  readonly clockPort: MessagePort;
}

/** Main to link thread. */
export type LinkOrder =
  | {
      readonly order: 'gateway';
      readonly target: LinkTarget;
      readonly certificatePem: string;
      readonly privateKeyPem: string;
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
export type LinkNews =
  | { readonly news: 'room' }
  | { readonly news: 'inbound' }
  | { readonly news: 'state'; readonly state: LinkState; readonly reason: string };
