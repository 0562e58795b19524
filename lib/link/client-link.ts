/**
 * A client's link to its gateway, as the main thread sees it.
 * @module
 */
import { MixError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { NodeIdentity } from './identity.ts';
import type { ClientLinkStats, Lane, LaneOptions, LinkState, LinkTarget } from './types.ts';

export interface ClientLinkOptions {
  readonly identity: NodeIdentity;
  readonly gateway: LinkTarget;
  readonly networkId: Uint8Array;
  readonly packetBytes: number;
  readonly log: Log;
}

export class ClientLink {
  constructor(readonly options: ClientLinkOptions) {}

  addLane(_options: LaneOptions): Lane {
    throw new MixError('INTERNAL', 'links are not built yet');
  }

  /** The handler owns `packet`. */
  onPacket(_handler: (packet: Uint8Array) => void): void {}

  /** Frames left a ring; many departures may share one call. */
  onRoom(_handler: () => void): void {}

  onState(_handler: (state: LinkState, reason: string) => void): void {}

  /** Moves to another gateway, or to the same with another identity; lanes and clocks go on. */
  setGateway(_gateway: LinkTarget, _identity?: NodeIdentity): void {}

  stats(): ClientLinkStats {
    throw new MixError('INTERNAL', 'links are not built yet');
  }

  async stop(): Promise<void> {}
}
