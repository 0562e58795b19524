/**
 * A client's link to its gateway, over which lanes send: dialled, dialled anew, and moved to another gateway as the selector
 * says.
 * @module
 */
import type { IdentityHex } from '../../core/bytes.ts';
import { MixError } from '../../core/errors.ts';
import { packetBytes } from '../../core/params.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { NodeEntry, Topology } from '../../directory/index.ts';
import {
  ACCESS_REFUSALS,
  type AccessCredential,
  type AccessRefusal,
  answers,
  ClientLink,
  type ClientTerms,
  DialMetrics,
  FULL,
  isAccessRefusal,
  type KeyExchange,
  type Lane,
  type LaneOptions,
  LinkRefusalLog,
  type LinkState,
  MOVED,
  type NodeIdentity,
} from '../../link/index.ts';
import type { Components } from '../../runtime/components.ts';
import type { HandedOn, TopologySource } from '../options.ts';
import { GatewaySelector, type UsableGateways } from './gateway-selector.ts';

const NONE_ANSWERS = 'none of the gateways that may be used answers: they are tried on, and no other';
const ALL_FULL = 'every gateway that may be used is full: they are tried on with longer waits, and no other';

export interface GatewayLinkOptions {
  readonly components: Pick<Components, 'clock' | 'log' | 'metrics' | 'onFatal' | 'outboundAddress'>;
  readonly identity: NodeIdentity;
  readonly networkId: Uint8Array;
  /** What the hello says to the gateway. */
  readonly client: ClientTerms;
  readonly keyExchange: KeyExchange;
  readonly usableGateways: UsableGateways;
  /** What is shown to a gateway of a private network; absent of an exit. */
  readonly accessTo?: (gateway: IdentityHex) => readonly AccessCredential[];
  readonly onPacket: (packet: Uint8Array) => void;
  /** Takes what the gateway hands on of a consensus. */
  readonly directory: Pick<TopologySource, 'gatewaySource'>;
  /** Rings may have room. */
  readonly onRoom: () => void;
  /** Called before a change of the link's state shows. */
  readonly onLinkEvent: () => void;
  /** The link came up or went down. */
  readonly onLinkState: (state: LinkState) => void;
  /** Another gateway, or another identity: nothing that was sent before will come back. */
  readonly onMoved: () => void;
  /** The address under which the gateway says that it sees us. */
  readonly onObservedAddress?: (address: string) => void;
}

export class GatewayLink {
  readonly #selector: GatewaySelector;
  readonly #handedOn: HandedOn;
  #link: ClientLink | undefined;
  #identity: NodeIdentity;
  #asking = false;
  #warned: string | undefined;
  /** Why the gateway that was last asked does not let us in. */
  #accessRefusal: AccessRefusal | undefined;
  readonly #metrics: DialMetrics;
  readonly #refusals: LinkRefusalLog;
  /** Of the key exchange; empty while the link is down. */
  #group = '';
  /** The newest. */
  #topology: Topology | undefined;

  constructor(private readonly options: GatewayLinkOptions) {
    const { clock, log, metrics } = options.components;
    this.#identity = options.identity;
    this.#metrics = new DialMetrics(metrics);
    this.#refusals = new LinkRefusalLog(clock, log, options.keyExchange);
    this.#handedOn = options.directory.gatewaySource();
    this.#selector = new GatewaySelector(options.usableGateways, clock.nowMs());
  }

  /** Begins to dial. Throws MixError NO_GATEWAY; nothing is open then. */
  start(topology: Topology): void {
    const { components, onPacket, onRoom } = this.options;
    this.#topology = topology;
    const gateway = this.#selector.first(topology);
    const link = ClientLink.open({ ...this.#terms(topology), gateway, log: components.log });
    link.onPacket(onPacket);
    link.onConsensus((piece) => this.#handedOn.take(piece));
    link.onRoom(onRoom);
    link.onState((state, reason, group) => this.#onState(state, reason, group));
    link.onFailed((error) => this.#onFailed(error));
    link.onObservedAddress((address) => this.options.onObservedAddress?.(address));
    this.#link = link;
  }

  /** A reply or an own loop has come: the gateway lives. Packets of others, and padding, it could make itself. */
  answered(): void {
    this.#selector.onAnswer();
  }

  async stop(): Promise<void> {
    await this.#link?.stop();
  }

  get gateway(): NodeEntry | undefined {
    return this.#selector.current;
  }

  get state(): LinkState {
    return this.#selector.linkState;
  }

  /** For how long the link has been down; 0 when it is up. */
  get downMs(): number {
    return this.#selector.linkDownMs(this.#nowMs());
  }

  /** Whether every gateway that may be used is full; why they do not let us in, for want of an invitation or a good one. */
  get refusal() {
    const accessRefusal = this.#accessRefusal;
    return { gatewaysFull: this.#selector.allRefuse && accessRefusal === undefined, accessRefusal };
  }

  /** Undefined before the start. */
  stats() {
    return this.#link?.stats();
  }

  /** Throws MixError LIMIT when there are too many lanes, or NO_GATEWAY before the start. */
  addLane(options: LaneOptions): Lane {
    if (this.#link === undefined) throw new MixError('NO_GATEWAY', 'the gateway link is not open');
    return this.#link.addLane(options);
  }

  /** Becomes another client at the same gateway. */
  renewIdentity(identity: NodeIdentity): void {
    this.#identity = identity;
    if (this.gateway !== undefined) this.#link?.setGateway(this.gateway, identity);
    this.options.onMoved();
  }

  /** Leaves the gateway for this one, if it is another. */
  moveTo(gateway: NodeEntry, reason: string): void {
    if (!this.#selector.moveTo(gateway, this.#nowMs())) return;
    // When all refuse this goes round.
    this.options.components.log[this.#selector.allRefuse ? 'debug' : 'warn'](
      { reason },
      'leaving the gateway for another',
    );
    this.#link?.setGateway(gateway);
    this.options.onMoved();
  }

  /** Takes over a new consensus. */
  adopt(topology: Topology): void {
    this.#topology = topology;
    const gateway = this.#selector.adopt(topology);
    if (gateway !== undefined) this.moveTo(gateway, 'it may not be used any more, or is marked as lossy');
  }

  /** Redials or leaves a gateway that does not answer; returns to an earlier one. Call it a few times a second. */
  review(topology: Topology, loopsSent: number): void {
    const advice = this.#selector.review(topology, loopsSent, this.#nowMs());
    this.#warnIfNoneAnswers();
    const earlier = this.#selector.earlier(topology, this.#nowMs());
    if (earlier !== undefined && !this.#asking) void this.#returnTo(earlier, topology);
    if (advice === undefined) return;
    if (advice !== 'redial') this.moveTo(advice, 'it does not answer');
    else if (this.gateway !== undefined) {
      this.options.components.log.info({}, 'nothing comes back: dialling the gateway anew');
      this.#link?.setGateway(this.gateway);
    }
  }

  /** Most own loops are lost and no mix stands out: tries another gateway, where there is one. */
  leaveForLoss(topology: Topology): void {
    const gateway = this.#selector.alternativeForLoss(topology, this.#nowMs());
    if (gateway !== undefined) this.moveTo(gateway, 'most own loops are lost and no mix stands out');
  }

  /** Moves to an earlier gateway if it answers. The present link serves until then. */
  async #returnTo(gateway: NodeEntry, topology: Topology): Promise<void> {
    const present = this.gateway;
    this.#asking = true;
    const { clock } = this.options.components;
    const [access] = this.options.accessTo?.(gateway.id) ?? [];
    const up = await answers({ ...this.#terms(topology), gateway, access, clock, refusals: this.#refusals });
    this.#asking = false;
    if (up && present?.id === this.gateway?.id) this.moveTo(gateway, 'an earlier one answers again');
    else this.#selector.postpone(gateway, this.#nowMs());
  }

  #warnIfNoneAnswers(): void {
    const problem = this.#problem();
    if (problem !== undefined && problem !== this.#warned) this.options.components.log.warn({}, problem);
    this.#warned = problem;
  }

  /** An exit that is not listed yet is no guest: it waits until it is. */
  #problem(): string | undefined {
    const refusal = this.options.accessTo && this.#accessRefusal;
    if (refusal !== undefined) return `${ACCESS_REFUSALS[refusal].words}; ${ACCESS_REFUSALS[refusal].remedy}`;
    if (this.refusal.gatewaysFull) return ALL_FULL;
    return this.#selector.noneAnswers ? NONE_ANSWERS : undefined;
  }

  #terms({ params }: Topology) {
    const { networkId, client, keyExchange, components, accessTo } = this.options;
    return {
      accessTo,
      identity: this.#identity,
      networkId,
      client,
      keyExchange,
      localAddress: components.outboundAddress,
      packetBytes: packetBytes(params.payloadBytes),
    };
  }

  #onState(state: LinkState, reason: string, group: string): void {
    this.options.onLinkEvent();
    this.#count(state, reason, group);
    if (state === 'up' && this.gateway !== undefined) this.#handedOn.up(this.gateway);
    else this.#handedOn.down();
    const isChange = this.#selector.onLinkState(state, this.#nowMs());
    if (state === 'up') this.#accessRefusal = undefined;
    else if (reason !== MOVED) this.#onRefused(reason);
    if (!isChange) return; // another attempt failed
    this.options.components.log.info({ state, reason, ...(group === '' ? {} : { group }) }, 'gateway link');
    this.options.onLinkState(state);
  }

  #onRefused(reason: string): void {
    this.#accessRefusal = isAccessRefusal(reason) ? reason : undefined;
    if ((reason !== FULL && this.#accessRefusal === undefined) || this.#topology === undefined) {
      this.#selector.onOtherFailure();
      return;
    }
    const next = this.#selector.onRefused(this.#topology);
    if (next !== undefined) this.moveTo(next, reason === FULL ? 'it is full' : 'it does not let us in');
  }

  #count(state: LinkState, reason: string, group: string): void {
    if (this.#group !== '') this.#metrics.down(this.#group);
    else if (state === 'down' && reason !== MOVED) this.#metrics.refused.inc({ reason });
    if (state === 'up') this.#metrics.up(group);
    this.#group = group;
  }

  /** Nothing can be sent any more, nor the link be opened again: whoever made the components ends what runs on them. */
  #onFailed(error: MixError): void {
    const { log, onFatal } = this.options.components;
    log.error({ reason: error.message }, 'the gateway link has failed');
    onFatal?.(error);
  }

  #nowMs(): MonotonicMs {
    return this.options.components.clock.nowMs();
  }
}
