/**
 * A client's end of the mixnet: its link to a gateway, its cover traffic, the packets it sends and those it knows again.
 * Proxy and requester are both built on it; what a packet's plaintext means is the session's business.
 * @module
 */

import type { IdentityHex } from '../core/bytes.ts';
import { every, type Timer } from '../core/clock.ts';
import type { DelayLaw, DelayLaws } from '../core/delay-law.ts';
import { surbLifeMs, type TrafficClass } from '../core/params.ts';
import type { MonotonicMs } from '../core/units.ts';
import type { NodeEntry, Topology } from '../directory/index.ts';
import type { Lane, LaneOptions, LinkState, NodeIdentity } from '../link/index.ts';
import type { Running } from '../runtime/components.ts';
import { fitYoungGeneration } from '../runtime/young-generation.ts';
import { Sphinx } from '../sphinx/index.ts';
import { Cover } from './cover.ts';
import { Downlink } from './downlink.ts';
import { ExitGateways } from './gateways/exit-gateways.ts';
import { GatewayLink } from './gateways/gateway-link.ts';
import { HealthReports } from './health/health-reports.ts';
import type { NodeHealth } from './health/path-health.ts';
import type { LaneFrame } from './lane-feeder.ts';
import { LoopLedger, type OwnPath } from './loop-ledger.ts';
import { EndpointMetrics } from './metrics.ts';
import { JoinedNetwork, joined } from './network.ts';
import type { EndpointOptions } from './options.ts';
import { ReplyBlocks, type ReplyReceiver } from './reply-blocks.ts';
import { RouteDrawer } from './routes.ts';
import { type Sealed, Sealer } from './sealer.ts';

/** How often losses are looked for: a fraction of the time after which a loop counts as lost. */
const REVIEW_PERIOD_MS = 250;

export class MixEndpoint implements Running {
  readonly ledger = new LoopLedger();
  readonly #metrics: EndpointMetrics;
  readonly #reports: HealthReports;
  readonly #replies: ReplyBlocks;
  readonly #sealer: Sealer;
  readonly #gatewayLink: GatewayLink;
  readonly #exitGateways: ExitGateways;
  readonly #feeders = new Set<() => void>();
  readonly #downlink: Downlink;
  #timer: Timer | undefined;
  #cover: Cover | undefined;
  #network: JoinedNetwork | undefined;
  #onMoved: () => void = () => {};
  #onTopology: () => void = () => {};

  constructor(private readonly options: EndpointOptions) {
    const { clock, crypto, rng, log, metrics: registry } = options.components;
    const { health } = this.ledger;
    const metrics = new EndpointMetrics(registry);
    this.#metrics = metrics;
    this.#reports = new HealthReports(log, metrics);
    this.#replies = new ReplyBlocks(health, metrics, () => this.#downlink.onRecognised());
    this.#downlink = new Downlink(options.delivery, health, this.#reports, () => this.#gatewayLink.answered());
    this.#sealer = new Sealer({
      sphinx: new Sphinx(crypto, rng),
      drawer: new RouteDrawer(rng, (node, kind) => health.weight(node, kind)),
      rng,
      clock,
      address: options.identity.publicKey,
      view: this,
    });
    this.#exitGateways = new ExitGateways(rng);
    this.#gatewayLink = new GatewayLink({
      ...options,
      client: { trafficClass: options.trafficClass, clocked: options.delivery === 'clock' },
      onPacket: (packet) => this.#receive(packet),
      onRoom: () => this.#feed(),
      onLinkEvent: () => this.#cover?.recordDepartures(),
      onLinkState: (state) => this.#onLinkState(state),
      onMoved: () => this.#forgetReturns(),
    });
  }

  /**
   * Connects to a gateway of the current topology. Throws MixError NO_CONSENSUS, NO_GATEWAY, or CONFIG for a traffic class that
   * the network does not have; nothing is open then, and it may be called again.
   */
  start(): void {
    const network = new JoinedNetwork(this.options.directory.topology(), this.options.trafficClass);
    fitYoungGeneration(network.topology.params.payloadBytes);
    this.#gatewayLink.start(network.topology);
    this.#network = network;
    this.ledger.health.adopt(network.topology);
    this.#startCover(network.rates);
    this.options.directory.onTopology((next) => this.#adopt(next));
    this.#timer = every(this.options.components.clock, REVIEW_PERIOD_MS, () => this.#review());
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#gatewayLink.stop();
  }

  /** Becomes another client at the same gateway: what was on its way to the old one is lost and sent again. */
  renewIdentity(identity: NodeIdentity): void {
    this.#sealer.setAddress(identity.publicKey);
    this.#gatewayLink.renewIdentity(identity);
  }

  get topology(): Topology {
    return joined(this.#network).topology;
  }

  /** The law of delays in force, and those of what may still be under way. */
  get laws(): DelayLaws {
    return joined(this.#network).laws;
  }

  /** The longest of them: by it is judged what is late. */
  get longestLaw(): DelayLaw {
    return this.laws.underWay(this.#nowMs());
  }

  get gateway(): NodeEntry | undefined {
    return this.#gatewayLink.gateway;
  }

  get linkState(): LinkState {
    return this.#gatewayLink.state;
  }

  /** 0 when it is up. */
  get linkDownMs(): number {
    return this.#gatewayLink.downMs;
  }

  /** The rates of our class; the last known ones when the network has given it up. */
  get trafficClass(): TrafficClass {
    return joined(this.#network).rates;
  }

  get surbLifeMs(): number {
    return surbLifeMs(this.topology.params);
  }

  /** Calls `feed` whenever rings may have room; it fills its own lanes. */
  addFeeder(feed: () => void): void {
    this.#feeders.add(feed);
  }

  /** For each consensus after the first. */
  onTopology(callback: () => void): void {
    this.#onTopology = callback;
  }

  /** Called when the gateway changed: reply blocks that lead to the old one are worthless. */
  onMoved(callback: () => void): void {
    this.#onMoved = callback;
  }

  addLane(options: LaneOptions): Lane {
    return this.#gatewayLink.addLane(options);
  }

  /** A data packet to `requester`, with the reply blocks made since the last one; undefined without a route. */
  sealTo(requester: NodeEntry, plaintext: Uint8Array): Sealed | undefined {
    const gateway = this.#exitGateways.of(requester, this.topology, this.gateway);
    const sealed = this.#sealer.forward(requester, gateway, plaintext);
    if (sealed !== undefined) this.#replies.sent(sealed);
    return sealed;
  }

  /** Nothing comes back from `requester`: packets go to another of its gateways, where it has one. Whether it has. */
  changeExitGateway(requester: NodeEntry): boolean {
    return this.#exitGateways.change(requester, this.topology, this.gateway);
  }

  /** Whether our gateway is also the one through which `requester` is reached. */
  seesBothEnds(requester: NodeEntry): boolean {
    return this.#exitGateways.of(requester, this.topology, this.gateway)?.id === this.gateway?.id;
  }

  sealDrop(): Sealed | undefined {
    return this.#sealer.drop();
  }

  sealReply(surb372: Uint8Array, plaintext: Uint8Array): LaneFrame | undefined {
    const frame = this.#sealer.reply(surb372, plaintext);
    if (frame === undefined) this.#metrics.dropped.inc({ reason: 'surb-first-hop' });
    return frame;
  }

  /** Whether to use this block: one over a mix that own packets avoid would lose the reply, and show that it is one. */
  surbUsable(surb372: Uint8Array): boolean {
    const first = this.#sealer.firstMixOf(surb372);
    if (first === undefined) return true; // `sealReply` counts it
    return this.ledger.health.repliesOver(first, this.options.components.rng);
  }

  /** A compact reply block whose reply goes to `receiver`; undefined without a route. */
  createSurb(receiver: ReplyReceiver): Uint8Array | undefined {
    const created = this.#sealer.surb();
    if (created === undefined) return undefined;
    const nowMs = this.#nowMs();
    this.#replies.created(created, receiver, nowMs, this.surbLifeMs, this.topology.params.maxDelayMs);
    return created.surb;
  }

  health(id: IdentityHex): NodeHealth {
    return this.ledger.health.of(id, this.#nowMs());
  }

  /** What this client knows by itself of the ways of its packets and of the replies to them. */
  get ownPath(): OwnPath {
    return this.ledger.ownPath(this.#nowMs());
  }

  /** Own loops so far, and whether too few of them return. */
  loops() {
    const { loopsSent, loopsReturned, alarm } = this.ledger;
    return { sent: loopsSent, returned: loopsReturned, alarm: alarm.raised };
  }

  stats() {
    return {
      gateway: this.gateway,
      ...this.#gatewayLink.refusal,
      link: this.#gatewayLink.stats(),
      ...this.#cover?.stats(),
      surbsOutstanding: this.#replies.size,
      delivered: this.#downlink.measured,
    };
  }

  #startCover(rates: TrafficClass): void {
    this.#cover = new Cover({
      clock: this.options.components.clock,
      ledger: this.ledger,
      addLane: (lane) => this.addLane(lane),
      rates,
      linkIsUp: () => this.linkState === 'up',
      makeLoop: () => this.#sealer.loop(),
      makeDrop: () => this.#sealer.drop(),
    });
    this.#feed();
  }

  #feed(): void {
    this.#cover?.feed();
    for (const feed of this.#feeders) feed();
  }

  #adopt(topology: Topology): void {
    joined(this.#network).adopt(topology, this.#nowMs());
    this.ledger.health.adopt(topology);
    this.#cover?.setRates(this.trafficClass);
    this.#gatewayLink.adopt(topology);
    this.#exitGateways.adopt(topology);
    this.#metrics.showExcluded(topology.nodes.filter(({ id }) => this.health(id).excluded));
    this.#onTopology();
    this.#feed();
  }

  #onLinkState(state: LinkState): void {
    this.#downlink.restart();
    if (state === 'down') this.ledger.clear();
    this.#replies.discardEvidence(this.#nowMs());
  }

  /** What leads to the old gateway or identity will not come back: no evidence against anyone, and no stock to count on. */
  #forgetReturns(): void {
    this.#replies.clear(this.#nowMs());
    this.#cover?.invalidatePrepared();
    this.ledger.clear();
    this.#reports.reportChanges(this.ledger.health.gatewayChanged(this.#nowMs()));
    this.#onMoved();
  }

  #receive(packet: Uint8Array): void {
    if (this.#replies.receive(packet, (recovery) => this.#sealer.recover(recovery, packet), this.#nowMs())) return;
    const loop = this.#cover?.receive(packet, ({ recovery }) => this.#sealer.recover(recovery, packet) !== undefined);
    this.#metrics.received.inc({ kind: loop === undefined ? 'final' : 'loop' });
    if (loop === 'returned') this.#downlink.onRecognised();
    else if (loop === 'altered') this.#metrics.dropped.inc({ reason: 'payload' });
    else if (this.options.onFinal !== undefined) this.options.onFinal(packet);
    else this.#metrics.dropped.inc({ reason: 'unrecognised' });
  }

  #review(): void {
    const { topology, ledger } = this;
    this.#gatewayLink.review(topology, this.#cover?.stats().loop.sentContent ?? 0);
    const nowMs = this.#nowMs();
    this.#downlink.review(this.#gatewayLink.stats(), this.trafficClass.deliveryRate, this.longestLaw, nowMs);
    this.#reports.reportLoops(ledger, this.#cover?.sweep() ?? 0);
    this.#replies.sweep(nowMs);
    this.#replies.detectLoss(nowMs, ledger.lossDelayMs);
    this.#reports.reportChanges(ledger.health.review(nowMs));
    this.#metrics.showLink(this.#gatewayLink.stats(), this.#downlink.measured);
    if (ledger.health.pathIsBad(nowMs)) this.#gatewayLink.leaveForLoss(topology);
  }

  #nowMs(): MonotonicMs {
    return this.options.components.clock.nowMs();
  }
}
