/**
 * Outgoing links to nodes.
 * @module
 */
import type { AddressKey } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { MixError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Rng } from '../rng.ts';
import type { NodeIdentity } from './identity.ts';
import type { LinkMetrics } from './metrics.ts';
import type { PeerStatus, PeerTarget, SendOutcome } from './types.ts';

export interface PeerLinksOptions {
  readonly identity: NodeIdentity;
  readonly networkId: Uint8Array;
  readonly packetBytes: number;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly metrics?: LinkMetrics;
  /** Frames queued per peer. */
  readonly queueFrames?: number;
}

export class PeerLinks {
  constructor(readonly options: PeerLinksOptions) {}

  /** Dials peers that are new, keeps those that stay, closes those that left. */
  setPeers(_peers: readonly PeerTarget[]): void {
    throw new MixError('INTERNAL', 'links are not built yet');
  }

  /** Queues one packet for a peer; takes ownership of it. */
  send(_peer: AddressKey, _packet: Uint8Array): SendOutcome {
    throw new MixError('INTERNAL', 'links are not built yet');
  }

  status(): PeerStatus[] {
    throw new MixError('INTERNAL', 'links are not built yet');
  }

  async stop(): Promise<void> {
    throw new MixError('INTERNAL', 'links are not built yet');
  }
}
