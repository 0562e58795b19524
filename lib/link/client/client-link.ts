/**
 * A client's link to its gateway, as the main thread sees it. The socket and the clocks live on a thread of their own
 * (`thread/link-thread.ts`); main fills rings of ready frames, and gets a report when there is room and when packets have come.
 * @module
 */
import type { IdentityHex } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { MixError } from '../../core/errors.ts';
import { Thread } from '../../runtime/thread.ts';
import type { Log } from '../../telemetry/log.ts';
import type { AccessCredential } from '../access.ts';
import { DOWNLINK_KIND } from '../framing.ts';
import type { NodeIdentity } from '../identity.ts';
import { type KeyExchange, NO_COMMON_GROUP } from '../key-exchange.ts';
import { observedAddressIn } from '../observed-address.ts';
import { MOVED } from '../persistent-link.ts';
import { LinkRefusalLog } from '../refusal-log.ts';
import { LinkMemory } from '../thread/memory.ts';
import type { LinkOrder, LinkReport, LinkThreadData } from '../thread/messages.ts';
import {
  type ClientLinkStats,
  type ClientTerms,
  type Lane,
  type LaneOptions,
  type LinkState,
  type LinkTarget,
  linkTargetOf,
} from '../types.ts';
import { ClientLane } from './client-lane.ts';

/** Memory for packets that main has not fetched yet, and the fewest and most packets that may be. */
const INBOUND_BYTES = 8 * 1024 * 1024;
const MIN_INBOUND_SLOTS = 128;
const MAX_INBOUND_SLOTS = 1024;
/** Packets handled before other events get their turn. */
const INBOUND_BATCH = 128;
/** Lanes of one link: for 1024 sessions of a requester, 256 without proof of receipt, and a few clocks. */
export const MAX_LANES = 1024 + 256 + 8;
/** The thread ends by itself; one that does not is ended. */
const STOP_TIMEOUT_MS = 2_000;

export interface ClientLinkOptions {
  readonly identity: NodeIdentity;
  readonly gateway: LinkTarget;
  readonly networkId: Uint8Array;
  readonly packetBytes: number;
  readonly client: ClientTerms;
  readonly keyExchange: KeyExchange;
  /** The address of this machine to dial from. */
  readonly localAddress?: string | undefined;
  /** Credentials for a gateway of a private network, one of which is shown to it. */
  readonly accessTo?: ((gateway: IdentityHex) => readonly AccessCredential[]) | undefined;
  readonly log: Log;
}

export class ClientLink {
  readonly #refusals: LinkRefusalLog;
  #thread: Thread | undefined;
  readonly #lanes = new Set<ClientLane>();
  #identity: NodeIdentity;
  #laneNumber = 0;
  #state: LinkState = 'down';
  #group = '';
  #noCommonGroup = false;
  /** Orders are given, and reports taken, until it stops or fails. */
  #open = true;
  #stopped: Promise<void> | undefined;
  #draining = false;
  #onPacket: (packet: Uint8Array) => void = () => {};
  #onConsensus: (piece: Uint8Array) => void = () => {};
  #onRoom: () => void = () => {};
  #onState: (state: LinkState, reason: string, group: string) => void = () => {};
  #onFailed: (error: MixError) => void = () => {};
  #onObservedAddress: (address: string) => void = () => {};

  private constructor(
    private readonly options: ClientLinkOptions,
    private readonly memory: LinkMemory,
  ) {
    this.#refusals = new LinkRefusalLog(systemClock, options.log, options.keyExchange);
    this.#identity = options.identity;
  }

  /** Starts the thread of a link, and dials. */
  static open(options: ClientLinkOptions): ClientLink {
    const { packetBytes } = options;
    const fitting = Math.floor(INBOUND_BYTES / packetBytes);
    const inboundSlots = Math.min(MAX_INBOUND_SLOTS, Math.max(MIN_INBOUND_SLOTS, fitting));
    const link = new ClientLink(options, LinkMemory.allocate(inboundSlots, packetBytes));
    link.#startThread(inboundSlots);
    link.setGateway(options.gateway);
    return link;
  }

  /** Throws MixError LIMIT when there are too many lanes. */
  addLane(options: LaneOptions): Lane {
    if (this.#lanes.size >= MAX_LANES) throw new MixError('LIMIT', `a link carries at most ${MAX_LANES} lanes`);
    const lane: ClientLane = new ClientLane(options, {
      number: this.#laneNumber++,
      packetBytes: this.options.packetBytes,
      pushedFlag: this.memory.pushedFlag,
      order: (order) => this.#order(order),
      removed: () => this.#lanes.delete(lane),
    });
    this.#lanes.add(lane);
    return lane;
  }

  /** The handler owns `packet`. One handler; setting another replaces it. */
  onPacket(handler: (packet: Uint8Array) => void): void {
    this.#onPacket = handler;
  }

  /** One handler, which owns `piece`: a piece of a consensus that the gateway hands on. */
  onConsensus(handler: (piece: Uint8Array) => void): void {
    this.#onConsensus = handler;
  }

  /** Frames left a ring; many departures may share one call. One handler. */
  onRoom(handler: () => void): void {
    this.#onRoom = handler;
  }

  /** One handler. `reason` is why the link went down, or why an attempt failed; `group`, that of the key exchange, is empty then. */
  onState(handler: (state: LinkState, reason: string, group: string) => void): void {
    this.#onState = handler;
  }

  /** One handler. The link's thread has ended: the link is closed for good. */
  onFailed(handler: (error: MixError) => void): void {
    this.#onFailed = handler;
  }

  /** One handler. The address under which the gateway says that it sees us, each time the link comes up. */
  onObservedAddress(handler: (address: string) => void): void {
    this.#onObservedAddress = handler;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Moves to another gateway, or to the same with another identity; lanes and clocks go on. */
  setGateway(gateway: LinkTarget, identity: NodeIdentity = this.#identity): void {
    this.#identity = identity;
    const { certificatePem, privateKeyPem } = identity;
    const access = this.options.accessTo?.(gateway.id) ?? [];
    this.#order({ order: 'gateway', target: linkTargetOf(gateway), certificatePem, privateKeyPem, access });
  }

  stats(): ClientLinkStats {
    const { connects, ...counters } = this.memory.counters();
    const reconnects = Math.max(0, connects - 1);
    return {
      state: this.#state,
      group: this.#group,
      noCommonGroup: this.#noCommonGroup,
      ...counters,
      reconnects,
      lateness: this.memory.lateness.snapshot(),
    };
  }

  /** Closes the link; resolves when its thread has ended. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop(STOP_TIMEOUT_MS);
    return this.#stopped;
  }

  async #stop(timeoutMs: number): Promise<void> {
    this.#order({ order: 'stop' });
    this.#open = false;
    await this.#thread?.stop(timeoutMs);
    this.#lanes.clear();
    this.#state = 'down';
    this.#group = '';
  }

  #startThread(inboundSlots: number): void {
    const { packetBytes, networkId, client, keyExchange, localAddress } = this.options;
    const memory = this.memory.buffer;
    const data: LinkThreadData = { memory, inboundSlots, packetBytes, networkId, client, keyExchange, localAddress };
    this.#thread = Thread.start({
      module: new URL('../thread/link-thread.js', import.meta.url),
      name: 'mixsocks-link',
      data,
      onMessage: (report) => this.#onReport(report as LinkReport),
      onFailed: (error) => this.#fail(error),
    });
  }

  /** Without its thread the link sends nothing and cannot recover. */
  #fail(error: MixError): void {
    if (!this.#open) return;
    this.#stopped ??= this.#stop(0); // the order to end would go to the thread that failed
    this.#state = 'down';
    this.#group = '';
    this.#onState('down', 'failed', '');
    this.#onFailed(error);
  }

  #order(order: LinkOrder): void {
    if (this.#open) this.#thread?.post(order);
  }

  #onReport(report: LinkReport): void {
    if (!this.#open) return;
    if (report.report === 'inbound') this.#fetch();
    else if (report.report === 'other-version') this.#refusals.otherVersion(report.theirs);
    else if (report.report === 'hello') this.#observe(report.hello);
    else if (report.report === 'room') {
      this.memory.roomFlag.lower();
      this.#onRoom();
    } else {
      this.#state = report.state;
      this.#group = report.group;
      if (report.reason === NO_COMMON_GROUP) this.#refusals.noCommonGroup();
      if (report.reason !== MOVED) this.#noCommonGroup = report.reason === NO_COMMON_GROUP;
      this.#onState(report.state, report.reason, report.group);
    }
  }

  #observe(hello: Uint8Array): void {
    const address = observedAddressIn(hello);
    if (address !== undefined) this.#onObservedAddress(address);
  }

  #fetch(): void {
    if (this.#draining) return;
    const { inbound, inboundFlag } = this.memory;
    const { packetBytes } = this.options;
    inboundFlag.lower();
    for (let i = 0; i < INBOUND_BATCH; i++) {
      const slot = inbound.peek();
      if (slot === undefined) return;
      const kind = slot[packetBytes];
      const content = Buffer.from(slot.subarray(0, packetBytes));
      inbound.release();
      if (kind === DOWNLINK_KIND.consensus) this.#onConsensus(content);
      else this.#onPacket(content);
      if (!this.#open) return;
    }
    this.#draining = true;
    setImmediate(() => {
      this.#draining = false;
      this.#fetch();
    });
  }
}
