/**
 * What an endpoint is made of.
 * @module
 */
import type { IdentityHex } from '../core/bytes.ts';
import type { GatewaySource, Topology } from '../directory/index.ts';
import type { AccessCredential, KeyExchange, NodeIdentity } from '../link/index.ts';
import type { Components } from '../runtime/components.ts';
import type { UsableGateways } from './gateways/gateway-selector.ts';

/** Where the topology comes from; `DirectoryClient` is one. */
export interface TopologySource {
  topology(): Topology | undefined;
  onTopology(callback: (topology: Topology) => void): void;
  /** For a link to a gateway, which hands on the consensus. */
  gatewaySource(): HandedOn;
}

/** Takes what a gateway hands on over its link. */
export type HandedOn = Pick<GatewaySource, 'up' | 'down' | 'take'>;

export interface EndpointOptions {
  readonly components: Components;
  readonly identity: NodeIdentity;
  readonly networkId: Uint8Array;
  readonly directory: TopologySource;
  readonly trafficClass: string;
  /** Of the link to the gateway. */
  readonly keyExchange: KeyExchange;
  /** Whether the gateway is to deliver by the clock of the class: for clients whose packets leave by all of its clocks. */
  readonly delivery?: 'clock' | 'immediate';
  readonly usableGateways: UsableGateways;
  /** What is shown to a gateway of a private network. Absent: of an exit, which needs no invitation once it is listed. */
  readonly accessTo?: (gateway: IdentityHex) => readonly AccessCredential[];
  /** Takes packets that are neither replies nor own loops. Absent: they are dropped and counted. */
  readonly onFinal?: (packet: Uint8Array) => void;
  /** The address under which the gateway says that it sees us. */
  readonly onObservedAddress?: (address: string) => void;
}
