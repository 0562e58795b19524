/**
 * The gateway: the door of clients. It relays what they send to the first layer, and hands packets of the last layer
 * to them. It is the last hop of drop traffic, and a hop of the loops of mixes, which it sends on to layer 1.
 * @module
 */
import { type AddressKey, addressKeyAt, type IdentityHex } from '../lib/bytes.ts';
import type { Components } from '../lib/components.ts';
import type { ClientInboundLink } from '../lib/link/index.ts';
import type { NodeDrop } from '../lib/mixing/index.ts';
import { type NodeRole, type NodeServices, type RunningNode, startNode } from '../lib/node/index.ts';
import { type NetworkParams, surbLifeMs } from '../lib/params.ts';
import { type ClientRate, Clients } from './clients.ts';
import type { GatewayConfig } from './config.ts';

export { GatewayConfig } from './config.ts';

/** Room above the clocks of a class, so that a Poisson sender meets the limit about never (with the burst allowance). */
const RATE_MARGIN = 1.1;

export function startGateway(config: GatewayConfig, components: Components): Promise<RunningNode> {
  return startNode({
    options: config,
    components,
    place: 'gateway',
    makeRole: (services) => new Relay(config, services),
  });
}

/** Packets per second that a client of the busiest class sends. */
export function clientPacketsPerSecond(params: NetworkParams): number {
  const sums = Object.values(params.classes).map((one) => one.mainRate + one.loopRate + one.dropRate);
  return RATE_MARGIN * Math.max(0, ...sums);
}

class Relay implements NodeRole {
  readonly #clients: Clients;

  constructor(
    readonly config: GatewayConfig,
    readonly services: NodeServices,
  ) {
    const { metrics } = services.components;
    this.#clients = new Clients({
      limits: config,
      isRequester: (id) => services.neighbours().requesters.has(id),
      rateOf: (id) => this.#rate(services.neighbours().requesters.has(id)),
      mailboxLifeMs: () => surbLifeMs(services.params()),
      onDrop: (reason) => services.metrics.drop(reason),
    });
    metrics.gaugeOf('clients_connected', 'Clients connected', () => this.#clients.connected);
    metrics.gaugeOf('mailbox_packets', 'Packets kept for absent clients', () => this.#clients.mailboxPackets);
  }

  admitsClient(peer: IdentityHex): boolean {
    return this.#clients.admits(peer);
  }

  onClientLink(link: ClientInboundLink): void {
    const { components, metrics } = this.services;
    link.onClose(() => this.#clients.disconnect(link, components.clock.nowMs()));
    link.onFrame((nextHop, packet) => {
      metrics.received.inc({ from: 'client' });
      const reason = this.#relay(link, nextHop, packet);
      if (reason !== undefined) metrics.drop(reason);
    });
    this.#clients.connect(link, components.clock.nowMs());
  }

  onNeighbours(): void {
    this.#clients.refreshRates(this.services.components.clock.nowMs());
  }

  upkeep(): void {
    this.#clients.expire(this.services.components.clock.nowMs());
  }

  refuses(next: AddressKey): NodeDrop | undefined {
    const { after } = this.services.neighbours();
    return after.has(next) || this.#clients.knows(next) ? undefined : 'unknown-client';
  }

  forward(next: AddressKey, packet: Uint8Array): NodeDrop | undefined {
    const { components, metrics } = this.services;
    if (this.services.neighbours().after.has(next)) return this.services.sendToNode(next, packet);
    const outcome = this.#clients.deliver(next, packet, components.clock.nowMs());
    if (outcome === 'kept') return undefined;
    if (outcome !== 'sent') return outcome;
    metrics.forwarded.inc({ to: 'client' });
    return undefined;
  }

  /** Drop traffic: it has done its work by coming here. */
  ends(): undefined {
    this.services.metrics.ended.inc();
  }

  /** What a client sends goes to layer 1 and nowhere else. */
  #relay(link: ClientInboundLink, nextHop: Uint8Array, packet: Uint8Array): NodeDrop | undefined {
    if (!this.#clients.mayRelay(link, this.services.components.clock.nowMs())) return 'rate-limit';
    const next = addressKeyAt(nextHop, 0);
    return this.services.neighbours().after.has(next) ? this.services.relay(next, packet) : 'next-hop';
  }

  #rate(isRequester: boolean): ClientRate {
    if (isRequester) {
      return { packetsPerSecond: this.config.requesterPacketsPerSecond, burst: this.config.requesterBurst };
    }
    return { packetsPerSecond: clientPacketsPerSecond(this.services.params()), burst: this.config.clientBurst };
  }
}
