/**
 * The gateway: the door of clients. It relays what they send to the first layer, and hands packets of the last layer
 * to them, by clocks of its own, and each new consensus. It is the last hop of drop traffic, and a hop of the loops of mixes, which it sends on to
 * layer 1.
 * @module
 */
import type { AddressKey, IdentityHex } from '../lib/core/bytes.ts';
import type { Timer } from '../lib/core/clock.ts';
import { type NetworkParams, surbLifeMs, type TrafficClass, uplinkRate } from '../lib/core/params.ts';
import { type MonotonicMs, NEVER_MS } from '../lib/core/units.ts';
import type { ConsensusText } from '../lib/directory/index.ts';
import type { AdmitVerdict, ClientInboundLink, ClientTerms, HelloKind } from '../lib/link/index.ts';
import type { NodeDrop } from '../lib/mixing/index.ts';
import {
  type ClientAccess,
  type NextHop,
  type NodeBehaviour,
  type NodeParts,
  type RunningNode,
  startNode,
} from '../lib/node/index.ts';
import type { Components } from '../lib/runtime/components.ts';
import type { ClassRates, ClientRate } from './client.ts';
import { Clients } from './clients.ts';
import type { GatewayConfig } from './config.ts';
import { ConsensusFrames } from './consensus-frames.ts';
import { GuestList } from './guest-list.ts';
import { invitationFiles } from './invitation-files.ts';
import { hasBroken, seatsOf } from './seats.ts';

export { GatewayConfig } from './config.ts';

/** Room above the clocks of a class, so that a Poisson sender meets the limit about never (with the burst allowance). */
const RATE_MARGIN = 1.1;

export function startGateway(config: GatewayConfig, components: Components): Promise<RunningNode> {
  return startNode({
    options: config,
    components,
    position: 'gateway',
    behaviourOf: (parts) => new Gateway(config, parts),
  });
}

/** Packets per second that a client of this class may send; of the busiest one when the network has no such class. */
export function clientPacketsPerSecond(params: NetworkParams, trafficClass: string): number {
  const rates = classOf(params, trafficClass);
  const classes = rates === undefined ? Object.values(params.classes) : [rates];
  return RATE_MARGIN * Math.max(0, ...classes.map(uplinkRate));
}

function classOf(params: NetworkParams, trafficClass: string): TrafficClass | undefined {
  return Object.hasOwn(params.classes, trafficClass) ? params.classes[trafficClass] : undefined;
}

class Gateway implements NodeBehaviour, ClientAccess {
  readonly endsPackets = true;
  readonly clients = this;
  readonly #clients: Clients;
  readonly #consensus: ConsensusFrames;
  readonly #guests: GuestList;
  /** For the clocks of all clients. */
  #timer: Timer | undefined;
  #armedForMs = NEVER_MS;

  constructor(
    readonly config: GatewayConfig,
    readonly parts: NodeParts,
  ) {
    const { components, metrics, view } = parts;
    const ticks = components.metrics.counter('delivery_ticks_total', 'Ticks of delivery clocks', ['sent']);
    const silent = components.metrics.counter('clients_silent_total', 'Clients disconnected for sending too little');
    this.#consensus = new ConsensusFrames(parts.packetBytes);
    this.#guests = new GuestList({
      ...components,
      files: invitationFiles(config.dir),
      isPrivate: () => config.clients === 'invited' || view.params.clients === 'invited',
      onRevoked: parts.recheck,
    });
    this.#clients = new Clients({
      consensus: this.#consensus,
      limits: config,
      rng: components.rng,
      ...(components.memory === undefined ? {} : { memory: components.memory }),
      isRequester: (id) => view.neighbours.requesters.has(id),
      rateOf: (id, trafficClass) => this.#rate(view.neighbours.requesters.has(id), trafficClass),
      classRates: (trafficClass) => this.#classRates(trafficClass),
      seats: { taken: (trafficClass) => seatsOf(view.params, trafficClass), most: () => this.#maxSeats },
      mailboxLifeMs: () => surbLifeMs(view.params),
      onResult: (result) => metrics.sent('client', result),
      onTick: (sent) => ticks.inc({ sent }),
      onSilent: () => silent.inc(),
    });
    components.metrics.gaugeOf('clients_connected', 'Clients connected', () => this.#clients.connected);
    components.metrics.gaugeOf('max_clients', 'Clients of class standard that may be admitted', () =>
      Math.min(config.maxClients, this.#maxSeats),
    );
    components.metrics.gaugeOf('delivery_clocks', 'Clients whose clock runs', () => this.#clients.ticking);
    components.metrics.gaugeOf(
      'mailbox_packets',
      'Packets kept for absent clients',
      () => this.#clients.mailboxPackets,
    );
  }

  /** What the consensus in force says; nothing where it does not. */
  get #maxSeats(): number {
    const { view, identity } = this.parts;
    return view.topology?.byId(identity)?.maxClients ?? Number.POSITIVE_INFINITY;
  }

  nextHop(address: AddressKey): NextHop | NodeDrop {
    return this.parts.peers.find(address) ?? this.#clients.find(address) ?? 'unknown-client';
  }

  /** Before the first consensus nobody knows whether the network is private; what clients send is dropped until then. */
  open(): Promise<void> {
    return this.#guests.open();
  }

  /**
   * Exits of the consensus need no invitation; nor does who only asks for a countersignature, which is worth nothing to somebody whom the
   * authorities do not list.
   */
  admits(peer: IdentityHex, kind: HelloKind, terms: ClientTerms): AdmitVerdict | Promise<AdmitVerdict> {
    const isGuest = kind === 'client' && !this.parts.view.neighbours.requesters.has(peer);
    const seat = () => this.#clients.admits(peer, terms, kind);
    return isGuest ? this.#guests.admits(terms.access, seat) : seat();
  }

  connect(link: ClientInboundLink): void {
    this.#clients.connect(link, this.#nowMs());
    this.#arm();
  }

  disconnect(link: ClientInboundLink, reason: string): void {
    this.#clients.disconnect(link, this.#nowMs(), hasBroken(reason));
  }

  /** What a client sends goes to layer 1 and nowhere else. */
  refuses(link: ClientInboundLink, next: AddressKey): NodeDrop | undefined {
    const mayRelay = this.#clients.mayRelay(link, this.#nowMs());
    this.#arm();
    if (!mayRelay) return 'rate-limit';
    return this.parts.peers.find(next) === undefined ? 'next-hop' : undefined;
  }

  onNeighbours(): void {
    const { topology } = this.parts.view;
    if (topology !== undefined) this.#guests.noteTime(topology.validAfterMs);
    this.#clients.refreshRates(this.#nowMs());
    this.#arm();
  }

  /** Each client gets what is new. */
  onUsableConsensus(documents: readonly ConsensusText[]): void {
    this.#consensus.set(documents);
    this.#clients.refreshConsensus(this.#nowMs());
    this.#arm();
  }

  upkeep(): void {
    this.#clients.upkeep(this.#nowMs());
    void this.#guests.upkeep();
  }

  waiting(): number {
    return this.#clients.waiting;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#armedForMs = 0 as MonotonicMs; // for good
  }

  /** Sets the one timer for the next tick of a client's clock. */
  #arm(): void {
    const dueMs = this.#clients.nextTickMs();
    if (dueMs >= this.#armedForMs) return;
    this.#timer?.cancel();
    this.#armedForMs = dueMs;
    this.#timer = this.parts.components.clock.after(Math.max(0, dueMs - this.#nowMs()), () => this.#deliver());
  }

  #deliver(): void {
    this.#armedForMs = NEVER_MS;
    this.#clients.deliver(this.#nowMs());
    this.#arm();
  }

  #classRates(trafficClass: string): ClassRates | undefined {
    const rates = classOf(this.parts.view.params, trafficClass);
    return rates && { uplink: uplinkRate(rates), delivery: rates.deliveryRate };
  }

  #rate(isRequester: boolean, trafficClass: string): ClientRate {
    if (isRequester) {
      return { packetsPerSecond: this.config.requesterPacketsPerSecond, burst: this.config.requesterBurst };
    }
    const packetsPerSecond = clientPacketsPerSecond(this.parts.view.params, trafficClass);
    return { packetsPerSecond, burst: this.config.clientBurst };
  }

  #nowMs(): MonotonicMs {
    return this.parts.components.clock.nowMs();
  }
}
