/**
 * The accepting side of links.
 * @module
 */
import type { IdentityHex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { MixError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { NodeIdentity } from './identity.ts';
import type { LinkMetrics } from './metrics.ts';
import type { InboundLink, LinkKind, LinkLimits } from './types.ts';

export interface ListenOptions {
  readonly identity: NodeIdentity;
  readonly host: string;
  readonly port: number;
  readonly networkId: Uint8Array;
  readonly packetBytes: number;
  readonly log: Log;
  readonly clock: Clock;
  readonly metrics?: LinkMetrics;
  readonly limits?: Partial<LinkLimits>;
  /** Whether this peer may connect in this role; asked after its key is proven. */
  readonly admit: (peer: IdentityHex, kind: LinkKind) => boolean;
  readonly onLink: (link: InboundLink) => void;
}

export interface LinkListener {
  readonly host: string;
  readonly port: number;
  /** Closes the listener and all its links. */
  close(): Promise<void>;
}

/** Listens for links; throws MixError LISTEN when the address cannot be bound. */
export async function listenLinks(_options: ListenOptions): Promise<LinkListener> {
  throw new MixError('INTERNAL', 'links are not built yet');
}
