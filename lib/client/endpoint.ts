/**
 * A client's end of the mixnet: its link to a gateway, its cover traffic, the packets it sends and those it knows again.
 * Proxy and requester are both built on it; what a packet's plaintext means is the session's business.
 * @module
 */
import type { IdentityHex } from '../bytes.ts';
import { every, type Timer } from '../clock.ts';
import type { Components, Running } from '../components.ts';
import type { NodeEntry, Topology } from '../directory/index.ts';
import { MixError } from '../errors.ts';
import { ClientLink, type Lane, type LaneOptions, type LinkState, type NodeIdentity } from '../link/index.ts';
import { packetBytes, surbLifeMs, type TrafficClass } from '../params.ts';
import { Cover } from './cover.ts';
import { HealthReports } from './health-reports.ts';
import { type ChooseGateway, HomeGateway } from './home-gateway.ts';
import type { Frame } from './lane-feeder.ts';
import { LoopLedger } from './loop-ledger.ts';
import { EndpointMetrics } from './metrics.ts';
import { Outgoing } from './outgoing.ts';
import type { NodeHealth } from './path-health.ts';
import { ReplyBlocks, type ReplyReceiver } from './reply-blocks.ts';
import type { Sealed } from './sealer.ts';

/** Where the topology comes from; `DirectoryClient` is one. */
export interface TopologySource {
  topology(): Topology | undefined;
  onTopology(callback: (topology: Topology) => void): void;
}

export interface EndpointOptions {
  readonly components: Components;
  readonly identity: NodeIdentity;
  readonly networkId: Uint8Array;
  readonly directory: TopologySource;
  readonly trafficClass: string;
  readonly chooseGateway: ChooseGateway;
  /** Takes packets that are neither replies nor own loops. Absent: they are dropped and counted. */
  readonly onFinal?: (packet: Uint8Array) => void;
}

const SWEEP_PERIOD_MS = 1_000;
/** How often path health is judged: a fraction of the patience with a loop. */
const HEALTH_PERIOD_MS = 250;

export class MixEndpoint implements Running {
  readonly ledger = new LoopLedger();
  readonly #options: EndpointOptions;
  readonly #metrics: EndpointMetrics;
  readonly #reports: HealthReports;
  readonly #replies: ReplyBlocks;
  readonly #outgoing: Outgoing;
  readonly #home: HomeGateway;
  readonly #timers: Timer[] = [];
  readonly #feeders = new Set<() => void>();
  #link: ClientLink | undefined;
  #cover: Cover | undefined;
  #topology: Topology | undefined;
  #rates: TrafficClass | undefined;
  #onMoved: () => void = () => {};
  #onTopology: () => void = () => {};

  constructor(options: EndpointOptions) {
    const { components, identity } = options;
    const { health } = this.ledger;
    const metrics = new EndpointMetrics(components.metrics);
    this.#options = options;
    this.#metrics = metrics;
    this.#reports = new HealthReports(components.log, metrics);
    this.#replies = new ReplyBlocks(health, metrics);
    const parts = { components, health, metrics, replies: this.#replies, address: identity.publicKey };
    this.#outgoing = new Outgoing({ ...parts, standpoint: this });
    this.#home = new HomeGateway(options.chooseGateway, components.clock.nowMs());
  }

  /**
   * Connects to a gateway of the current topology. Throws MixError NO_CONSENSUS, NO_GATEWAY, or CONFIG for a traffic class that
   * the network does not have; nothing is open then, and it may be called again.
   */
  start(): void {
    const topology = this.#options.directory.topology();
    if (topology === undefined) throw new MixError('NO_CONSENSUS', 'there is no consensus yet');
    const { trafficClass } = this.#options;
    const rates = topology.params.classes[trafficClass];
    if (rates === undefined) throw new MixError('CONFIG', `this network has no traffic class "${trafficClass}"`);
    const gateway = this.#home.first(topology);
    this.#topology = topology;
    this.#rates = rates;
    this.ledger.health.adopt(topology);
    this.#openLink(topology, gateway, rates);
    this.#options.directory.onTopology((next) => this.#adopt(next));
    const { clock } = this.#options.components;
    const sweeping = every(clock, SWEEP_PERIOD_MS, () => this.#replies.sweep(this.#nowMs()));
    this.#timers.push(
      sweeping,
      every(clock, HEALTH_PERIOD_MS, () => this.#review()),
    );
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    await this.#link?.stop();
  }

  /** Becomes another client at the same gateway: what was on its way to the old one is lost and sent again. */
  renewIdentity(identity: NodeIdentity): void {
    this.#outgoing.become(identity.publicKey);
    if (this.gateway !== undefined) this.#link?.setGateway(this.gateway, identity);
    this.#forgetReturns();
  }

  get topology(): Topology {
    if (this.#topology === undefined) throw new MixError('NO_CONSENSUS', 'there is no consensus yet');
    return this.#topology;
  }

  get gateway(): NodeEntry | undefined {
    return this.#home.current;
  }

  get linkState(): LinkState {
    return this.#home.linkState;
  }

  /** For how long the link has been down; 0 when it is up. */
  get linkDownMs(): number {
    return this.#home.linkDownMs(this.#nowMs());
  }

  /** The rates of our class; the last known ones when the network has given it up. */
  get trafficClass(): TrafficClass {
    if (this.#rates === undefined) throw new MixError('NO_CONSENSUS', 'there is no consensus yet');
    return this.#rates;
  }

  get surbLifeMs(): number {
    return surbLifeMs(this.topology.params);
  }

  /** Calls `feed` whenever rings may have room; it fills its own lanes. */
  addFeeder(feed: () => void): void {
    this.#feeders.add(feed);
  }

  /** Called for each consensus after the first. */
  onTopology(callback: () => void): void {
    this.#onTopology = callback;
  }

  /** Leaves the gateway for this one, if it is another. */
  moveTo(gateway: NodeEntry, reason = 'it is gone, or another is named'): void {
    if (!this.#home.moveTo(gateway)) return;
    this.#options.components.log.warn({ reason }, 'leaving the gateway for another');
    this.#link?.setGateway(gateway);
    this.#forgetReturns();
  }

  /** Called when the gateway changed: reply blocks that lead to the old one are worthless. */
  onMoved(callback: () => void): void {
    this.#onMoved = callback;
  }

  addLane(options: LaneOptions): Lane {
    if (this.#link === undefined) throw new MixError('NO_GATEWAY', 'the gateway link is not open');
    return this.#link.addLane(options);
  }

  /** A data packet to `requester`, with the reply blocks minted since the last one; undefined without a route. */
  sealTo(requester: NodeEntry, plaintext: Uint8Array): Sealed | undefined {
    return this.#outgoing.to(requester, plaintext);
  }

  sealDrop(): Sealed | undefined {
    return this.#outgoing.drop();
  }

  sealReply(surb372: Uint8Array, plaintext: Uint8Array): Frame | undefined {
    return this.#outgoing.reply(surb372, plaintext);
  }

  surbUsable(surb372: Uint8Array): boolean {
    return this.#outgoing.mayReply(surb372);
  }

  /** A compact reply block whose reply goes to `receiver`; undefined without a route. */
  mintSurb(receiver: ReplyReceiver): Uint8Array | undefined {
    return this.#outgoing.replyBlock(receiver);
  }

  health(id: IdentityHex): NodeHealth {
    return this.ledger.health.of(id, this.#nowMs());
  }

  /** Own loops so far, and whether too few of them return. */
  loops() {
    const { loopsSent, loopsReturned, alarm } = this.ledger;
    return { sent: loopsSent, returned: loopsReturned, alarm: alarm.raised };
  }

  stats() {
    return {
      gateway: this.gateway,
      link: this.#link?.stats(),
      ...this.#cover?.stats(),
      surbsOutstanding: this.#replies.size,
    };
  }

  #openLink(topology: Topology, gateway: NodeEntry, rates: TrafficClass): void {
    const { components, identity, networkId } = this.#options;
    const link = new ClientLink({
      identity,
      gateway,
      networkId,
      packetBytes: packetBytes(topology.params.payloadBytes),
      log: components.log,
    });
    this.#link = link;
    link.onPacket((packet) => this.#take(packet));
    link.onRoom(() => this.#feed());
    link.onState((state, reason) => this.#onLinkState(state, reason));
    this.ledger.alarm.setRate(rates.loopRate);
    this.#cover = new Cover({
      clock: components.clock,
      ledger: this.ledger,
      addLane: (lane) => link.addLane(lane),
      rates,
      linkIsUp: () => this.linkState === 'up',
      makeLoop: () => this.#outgoing.loop(),
      makeDrop: () => this.#outgoing.drop(),
    });
    this.#feed();
  }

  #feed(): void {
    this.#cover?.feed();
    for (const feed of this.#feeders) feed();
  }

  #adopt(topology: Topology): void {
    this.#topology = topology;
    this.ledger.health.adopt(topology);
    const rates = topology.params.classes[this.#options.trafficClass] ?? this.trafficClass;
    this.#rates = rates;
    this.#cover?.setRates(rates);
    this.ledger.alarm.setRate(rates.loopRate);
    const gateway = this.#home.adopt(topology);
    if (gateway !== undefined) this.moveTo(gateway);
    this.#metrics.showExcluded(topology.nodes.filter(({ id }) => this.health(id).excluded));
    this.#onTopology();
    this.#feed();
  }

  #onLinkState(state: LinkState, reason: string): void {
    this.#cover?.bookDepartures();
    if (!this.#home.onLinkState(state, this.#nowMs())) return; // another attempt failed
    this.#options.components.log.info({ state, reason }, 'gateway link');
    if (state === 'down') this.ledger.abandon();
    this.#replies.excuse();
  }

  #watchGateway(): void {
    const advice = this.#home.review(this.topology, this.#cover?.stats().loop.sentContent ?? 0, this.#nowMs());
    if (advice !== undefined && advice !== 'redial') this.moveTo(advice, 'it does not answer');
    if (advice !== 'redial' || this.gateway === undefined) return;
    this.#options.components.log.info({}, 'nothing comes back: dialling the gateway anew');
    this.#link?.setGateway(this.gateway);
  }

  /** What leads to the old place will not come back: no evidence against anyone, and no stock to count on. */
  #forgetReturns(): void {
    this.#replies.clear();
    this.#cover?.forgetPrepared();
    this.ledger.abandon();
    this.#reports.changed(this.ledger.health.startAfresh(this.#nowMs()));
    this.#onMoved();
  }

  #take(packet: Uint8Array): void {
    this.#home.heard();
    if (this.#replies.take(packet, (recovery) => this.#outgoing.recover(recovery, packet), this.#nowMs())) return;
    const loop = this.#cover?.take(packet, ({ recovery }) => this.#outgoing.recover(recovery, packet) !== undefined);
    this.#metrics.received.inc({ kind: loop === undefined ? 'final' : 'loop' });
    if (loop === 'damaged') this.#metrics.dropped.inc({ reason: 'payload' });
    if (loop !== undefined) return;
    if (this.#options.onFinal !== undefined) this.#options.onFinal(packet);
    else this.#metrics.dropped.inc({ reason: 'unrecognised' });
  }

  #review(): void {
    this.#watchGateway();
    const nowMs = this.#nowMs();
    this.#reports.loopsJudged(this.ledger, this.#cover?.sweep() ?? 0);
    this.#replies.judge(nowMs, this.ledger.patienceMs);
    this.#reports.changed(this.ledger.health.review(nowMs));
    this.#metrics.showBacklogDropped(this.#link?.stats().inboundDropped ?? 0);
    const better = this.ledger.health.pathIsBad(nowMs) ? this.#home.insteadOfBadPath(this.topology, nowMs) : undefined;
    if (better !== undefined) this.moveTo(better, 'most own loops are lost and no mix stands out');
  }

  #nowMs(): number {
    return this.#options.components.clock.nowMs();
  }
}
