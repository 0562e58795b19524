/**
 * What an endpoint is made of.
 * @module
 */
import type { GatewaySource, Topology } from '../directory/index.ts';
import type { KeyExchange, NodeIdentity } from '../link/index.ts';
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
  /** Takes packets that are neither replies nor own loops. Absent: they are dropped and counted. */
  readonly onFinal?: (packet: Uint8Array) => void;
  /** The address under which the gateway says that it sees us. */
  readonly onObservedAddress?: (address: string) => void;
}
