/**
 * What mixes and gateways do differently, as the engine and the shell see it.
 * @module
 */
import type { AddressKey, IdentityHex } from '../core/bytes.ts';
import type { MonotonicMs } from '../core/units.ts';
import type { ConsensusText, RingPosition } from '../directory/index.ts';
import type { AdmitVerdict, ClientInboundLink, ClientTerms, HelloKind, PeerLinks } from '../link/index.ts';
import type { NodeDrop } from '../mixing/index.ts';
import type { Components, Running } from '../runtime/components.ts';
import type { Health } from '../telemetry/health.ts';
import type { NodeOptions } from './config.ts';
import type { NodeMetrics } from './metrics.ts';
import type { NetworkView } from './network-view.ts';

/** Something that packets can be sent to: a link to a node, or a client. */
export interface NextHop {
  /** Sends `packet` on; takes ownership of it. What becomes of it is counted where it is known. */
  send(packet: Uint8Array, nowMs: MonotonicMs): void;
}

export interface NodeBehaviour {
  /** Before anybody may connect. Rejects with what keeps the node from starting. */
  open?(): Promise<void>;
  /** Who has this address, or why no packet may go there. */
  nextHop(address: AddressKey): NextHop | NodeDrop;
  /** Whether packets may end here: drop traffic at gateways. */
  readonly endsPackets: boolean;
  /** Absent: nobody may connect as a client. */
  readonly clients?: ClientAccess;
  /** The consensus changed who is who. */
  onNeighbours?(): void;
  /** The consensuses that clients can use have changed: the one in force, and the next. */
  onUsableConsensus?(documents: readonly ConsensusText[]): void;
  /** About once a second. */
  upkeep?(): void;
  /** Packets that wait for clients, and will leave. */
  waiting?(): number;
  /** The node stops: no timer may be left. */
  stop?(): void;
}

/** Whom a node serves as clients, and how. */
export interface ClientAccess {
  /** Whether an identity that is no mix or gateway may connect as `kind`, on these terms. */
  admits(peer: IdentityHex, kind: HelloKind, terms: ClientTerms): AdmitVerdict | Promise<AdmitVerdict>;
  connect(link: ClientInboundLink): void;
  /** `reason`: why the link ended. */
  disconnect(link: ClientInboundLink, reason: string): void;
  /** Why a packet from this client may not be relayed to `next`; undefined when it may. */
  refuses(link: ClientInboundLink, next: AddressKey): NodeDrop | undefined;
}

/** The parts of a node that its behaviour builds on. */
export interface NodeParts {
  /** Our own. */
  readonly identity: IdentityHex;
  readonly components: Components;
  readonly metrics: NodeMetrics;
  readonly view: NetworkView;
  /** The links to the nodes that this one may send to. */
  readonly peers: PeerLinks;
  /** Bytes of a packet of this network. */
  readonly packetBytes: number;
  /** Asks for all open links again whether they are admitted. */
  readonly recheck: () => void;
}

/** A mix or gateway to start. */
export interface NodeSpec {
  readonly options: NodeOptions & { readonly clients?: 'open' | 'invited' };
  readonly components: Components;
  /** Undefined of a mix that leaves its layer to the authorities. */
  readonly position: RingPosition | undefined;
  readonly behaviourOf: (parts: NodeParts) => NodeBehaviour;
}

/** A mix or gateway that runs. */
export interface RunningNode extends Running {
  readonly identity: IdentityHex;
  readonly health: Health;
  /** Where links are accepted, host:port. */
  readonly listen: string;
  readonly metricsUrl: string;
}
