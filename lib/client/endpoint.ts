/**
 * A client's end of the mixnet: its link to a gateway, its cover traffic, the packets it sends and those it knows again.
 * Proxy and requester are both built on it; what a packet's plaintext means is the session's business.
 * @module
 */
import { asBuffer, type IdentityHex } from '../bytes.ts';
import { every, type Timer } from '../clock.ts';
import type { Components, Running } from '../components.ts';
import type { NodeEntry, Topology } from '../directory/index.ts';
import { MixError } from '../errors.ts';
import { ClientLink, type Lane, type LaneOptions, type LinkState, type NodeIdentity } from '../link/index.ts';
import { packetBytes, surbLifeMs, type TrafficClass } from '../params.ts';
import { expandSurb, Sphinx, surbPrefix } from '../sphinx/index.ts';
import { Cover } from './cover.ts';
import { type ChooseGateway, HomeGateway } from './home-gateway.ts';
import type { Frame } from './lane-feeder.ts';
import { LoopLedger } from './loop-ledger.ts';
import { EndpointMetrics } from './metrics.ts';
import type { HealthChange, NodeHealth } from './path-health.ts';
import { type ReplyBlock, ReplyLedgers } from './reply-ledger.ts';
import { ReturnTable } from './returns.ts';
import { RouteDrawer } from './routes.ts';
import { type Sealed, type SealedLoop, Sealer } from './sealer.ts';

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

/** Who gets the plaintext of a reply: one object per session, whose reply blocks are used in the order of their making. */
export interface ReplyReceiver {
  receive(plaintext: Uint8Array, nowMs: number): void;
}

/** A reply block that was handed out. */
interface Handed {
  readonly receiver: ReplyReceiver;
  readonly block: ReplyBlock;
}

const SWEEP_PERIOD_MS = 1_000;
/** How often loops are counted and path health judged: a fraction of the patience with a loop. */
const HEALTH_PERIOD_MS = 250;
const COVER_SLOTS = 4;

export class MixEndpoint implements Running {
  readonly ledger = new LoopLedger();
  readonly #options: EndpointOptions;
  #sealer: Sealer;
  readonly #sphinx: Sphinx;
  readonly #metrics: EndpointMetrics;
  readonly #surbs: ReturnTable<Handed>;
  readonly #replies = new ReplyLedgers<ReplyReceiver>(this.ledger.health);
  readonly #timers: Timer[] = [];
  #link: ClientLink | undefined;
  #cover: Cover | undefined;
  #coverLanes: { loop: Lane; drop: Lane } | undefined;
  #topology: Topology | undefined;
  #rates: TrafficClass | undefined;
  readonly #home: HomeGateway;
  readonly #feeders = new Set<() => void>();
  #alarmed = false;
  #onMoved: () => void = () => {};
  #onTopology: () => void = () => {};

  constructor(options: EndpointOptions) {
    const { rng, crypto, metrics } = options.components;
    this.#options = options;
    this.#sphinx = new Sphinx(crypto, rng);
    this.#sealer = this.#makeSealer(options.identity);
    this.#metrics = new EndpointMetrics(metrics);
    this.#surbs = new ReturnTable(() => this.#metrics.surbs.inc({ event: 'expired' }));
    this.#home = new HomeGateway(options.chooseGateway, options.components.clock.nowMs());
  }

  /**
   * Connects to a gateway of the current topology. Throws MixError NO_CONSENSUS, NO_GATEWAY, or CONFIG for a traffic class that
   * the network does not have; nothing is open then, and it may be called again.
   */
  start(): void {
    const topology = this.#options.directory.topology();
    if (topology === undefined) throw new MixError('NO_CONSENSUS', 'there is no consensus yet');
    const rates = topology.params.classes[this.#options.trafficClass];
    if (rates === undefined) {
      throw new MixError('CONFIG', `this network has no traffic class "${this.#options.trafficClass}"`);
    }
    const gateway = this.#home.first(topology);
    this.#topology = topology;
    this.#rates = rates;
    this.ledger.health.adopt(topology);
    this.#openLink(topology, gateway, rates);
    this.#options.directory.onTopology((next) => this.#adopt(next));
    const { clock } = this.#options.components;
    this.#timers.push(every(clock, SWEEP_PERIOD_MS, () => this.#surbs.sweep(clock.nowMs())));
    this.#timers.push(every(clock, HEALTH_PERIOD_MS, () => this.#review()));
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    await this.#link?.stop();
  }

  /** Becomes another client at the same gateway: what was on its way to the old one is lost and sent again. */
  renewIdentity(identity: NodeIdentity): void {
    this.#sealer = this.#makeSealer(identity);
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
    return this.#home.linkDownMs(this.#options.components.clock.nowMs());
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
  moveTo(gateway: NodeEntry): void {
    if (!this.#home.moveTo(gateway)) return;
    this.#options.components.log.warn({}, 'leaving the gateway for another');
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

  /** A data packet to `requester`; undefined without a route. */
  sealTo(requester: NodeEntry, plaintext: Uint8Array): Sealed | undefined {
    return this.#sealer.forward(this.topology, this.#options.components.clock.wallMs(), requester, plaintext);
  }

  sealDrop(): Sealed | undefined {
    return this.#sealer.drop(this.topology, this.#options.components.clock.wallMs());
  }

  /** A reply over a reply block that was given to us; undefined when its first hop is not a mix of layer 1. */
  sealReply(surb372: Uint8Array, plaintext: Uint8Array): Frame | undefined {
    const surb = expandSurb(surb372, (prefix) => this.#firstMix(prefix)?.address);
    if (surb === undefined) {
      this.#metrics.dropped.inc({ reason: 'surb-first-hop' });
      return undefined;
    }
    return this.#sphinx.useSurb(surb, plaintext, this.topology.params.payloadBytes);
  }

  /**
   * Whether a reply over this block should be sent: blocks lead over all mixes of layer 1 alike, and one that our own
   * packets avoid would lose the reply, and tell our gateway that the packet is one.
   */
  surbUsable(surb372: Uint8Array): boolean {
    const first = this.#firstMix(surbPrefix(surb372));
    if (first === undefined) return true; // sealReply counts it
    return this.ledger.health.repliesOver(first, this.#options.components.rng);
  }

  /** A compact reply block whose reply goes to `receiver`; undefined without a route. */
  mintSurb(receiver: ReplyReceiver): Uint8Array | undefined {
    if (this.gateway === undefined) return undefined;
    const { clock } = this.#options.components;
    const minted = this.#sealer.surb(this.topology, clock.wallMs(), this.gateway);
    if (minted === undefined) return undefined;
    this.#metrics.surbs.inc({ event: 'created' });
    const nowMs = clock.nowMs();
    const block = this.#replies.ledgerOf(receiver).made(minted.nodes, nowMs);
    const expiresAtMs = nowMs + this.surbLifeMs + this.topology.params.maxDelayMs;
    this.#surbs.add(minted.recovery, { receiver, block }, expiresAtMs);
    return minted.surb;
  }

  health(id: IdentityHex): NodeHealth {
    return this.ledger.health.of(id, this.#options.components.clock.nowMs());
  }

  /** Own loops so far, and whether too few of them return. */
  loops(): { readonly sent: number; readonly returned: number; readonly alarm: boolean } {
    const { loopsSent, loopsReturned, alarm } = this.ledger;
    return { sent: loopsSent, returned: loopsReturned, alarm: alarm.raised };
  }

  stats() {
    return {
      gateway: this.gateway,
      link: this.#link?.stats(),
      loop: this.#coverLanes?.loop.stats(),
      drop: this.#coverLanes?.drop.stats(),
      surbsOutstanding: this.#surbs.size,
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
    const lane = (name: string, ratePerSecond: number) =>
      link.addLane({ name, ratePerSecond, contentSlots: COVER_SLOTS, idleSlots: 1 });
    this.#coverLanes = { loop: lane('loop', rates.loopRate), drop: lane('drop', rates.dropRate) };
    this.#cover = new Cover({
      clock: components.clock,
      ledger: this.ledger,
      loopLane: this.#coverLanes.loop,
      dropLane: this.#coverLanes.drop,
      linkIsUp: () => this.linkState === 'up',
      makeLoop: () => this.#makeLoop(),
      makeDrop: () => this.sealDrop(),
    });
    this.#feed();
  }

  #makeSealer(identity: NodeIdentity): Sealer {
    const { rng } = this.#options.components;
    const drawer = new RouteDrawer(rng, (node, journey) => this.ledger.health.weight(node, journey));
    return new Sealer(this.#sphinx, drawer, rng, identity.publicKey);
  }

  #firstMix(prefix: Uint8Array): NodeEntry | undefined {
    const node = this.topology.byPrefix(asBuffer(prefix).toString('latin1'));
    return node?.layer === 1 ? node : undefined;
  }

  #makeLoop(): SealedLoop | undefined {
    if (this.gateway === undefined) return undefined;
    return this.#sealer.loop(this.topology, this.#options.components.clock.wallMs(), this.gateway);
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
    this.#coverLanes?.loop.setRate(rates.loopRate);
    this.ledger.alarm.setRate(rates.loopRate);
    this.#coverLanes?.drop.setRate(rates.dropRate);
    const gateway = this.#home.adopt(topology);
    if (gateway !== undefined) this.moveTo(gateway);
    this.#metrics.showExcluded(topology.nodes.filter(({ id }) => this.health(id).excluded));
    this.#onTopology();
    this.#feed();
  }

  #onLinkState(state: LinkState, reason: string): void {
    const { clock, log } = this.#options.components;
    this.#cover?.bookDepartures();
    if (!this.#home.onLinkState(state, clock.nowMs())) return; // another attempt failed
    log.info({ state, reason }, 'gateway link');
    if (state === 'down') this.ledger.abandon();
    this.#replies.abandon();
  }

  #watchGateway(): void {
    const loopsSent = this.#coverLanes?.loop.stats().sentContent ?? 0;
    const advice = this.#home.review(this.topology, loopsSent, this.#options.components.clock.nowMs());
    if (advice === undefined || this.gateway === undefined) return;
    if (advice !== 'redial') {
      this.moveTo(advice);
      return;
    }
    this.#options.components.log.info({}, 'nothing comes back: dialling the gateway anew');
    this.#link?.setGateway(this.gateway);
  }

  /** What leads to the old place will not come back: no evidence against anyone, and no stock to count on. */
  #forgetReturns(): void {
    this.#surbs.clear();
    this.#replies.abandon();
    this.#cover?.forgetPrepared();
    this.ledger.abandon();
    for (const change of this.ledger.health.startAfresh(this.#options.components.clock.nowMs())) this.#report(change);
    this.#onMoved();
  }

  #take(packet: Uint8Array): void {
    this.#home.heard();
    const nowMs = this.#options.components.clock.nowMs();
    const expected = this.#surbs.find(packet);
    if (expected !== undefined) {
      const plaintext = this.#sphinx.recover(expected.recovery, packet);
      this.#metrics.received.inc({ kind: 'reply' });
      if (plaintext === undefined) {
        this.#metrics.dropped.inc({ reason: 'payload' });
        return;
      }
      this.#surbs.remove(expected);
      const { receiver, block } = expected.context;
      block.ledger.back(block, nowMs);
      receiver.receive(plaintext, nowMs);
      return;
    }
    const loop = this.#cover?.take(packet, ({ recovery }) => this.#sphinx.recover(recovery, packet) !== undefined);
    if (loop !== undefined) {
      this.#metrics.received.inc({ kind: 'loop' });
      if (loop === 'damaged') this.#metrics.dropped.inc({ reason: 'payload' });
      return;
    }
    this.#metrics.received.inc({ kind: 'final' });
    if (this.#options.onFinal !== undefined) this.#options.onFinal(packet);
    else this.#metrics.dropped.inc({ reason: 'unrecognised' });
  }

  #review(): void {
    this.#watchGateway();
    const nowMs = this.#options.components.clock.nowMs();
    const lost = this.#cover?.sweep() ?? 0;
    if (lost > 0) this.#metrics.loopsLost.inc(lost);
    this.#replies.sweep(nowMs, this.ledger.patienceMs);
    for (const change of this.ledger.health.review(nowMs)) this.#report(change);
    if (this.ledger.alarm.raised !== this.#alarmed) this.#reportAlarm();
    if (this.ledger.health.pathIsBad(nowMs)) this.#leaveBadPath(nowMs);
  }

  #leaveBadPath(nowMs: number): void {
    const next = this.#home.insteadOfBadPath(this.topology, nowMs);
    if (next === undefined) return;
    this.#options.components.log.warn({}, 'most own loops are lost and no mix stands out: trying another gateway');
    this.moveTo(next);
  }

  #reportAlarm(): void {
    const { log } = this.#options.components;
    const { alarm, loopsSent, loopsReturned } = this.ledger;
    this.#alarmed = alarm.raised;
    this.#metrics.loopAlarm.set(alarm.raised ? 1 : 0);
    const fields = { loopsSent, loopsReturned };
    if (alarm.raised) log.warn(fields, 'own loops are lost or late beyond chance: traffic is held back on the way');
    else log.info(fields, 'own loops return again');
  }

  #report({ node, change }: HealthChange): void {
    const { log } = this.#options.components;
    const fields = { node: node.name };
    if (change === 'excluded') log.warn(fields, 'own loops do not return over this node: routes avoid it');
    else log.info(fields, 'routes use this node again');
    this.#metrics.exclusion(node.name, change === 'excluded');
  }
}
