/**
 * A client's link to its gateway, as the main thread sees it. The socket and the clocks live on a thread of their own
 * (`thread/link-thread.ts`), woken by another that does nothing but sleep to the next deadline; main fills rings of
 * ready frames and is told when there is room and when packets have come.
 * @module
 */
import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { AlarmThreadData } from '../alarm.ts';
import { systemClock } from '../clock.ts';
import { MixError } from '../errors.ts';
import type { Log } from '../log.ts';
import { ClientLane } from './client-lane.ts';
import type { NodeIdentity } from './identity.ts';
import { ALARM_OFFSET, LinkMemory } from './thread/memory.ts';
import type { LinkNews, LinkOrder, LinkThreadData } from './thread/messages.ts';
import type { ClientLinkStats, Lane, LaneOptions, LinkState, LinkTarget } from './types.ts';

/** Memory for packets that main has not fetched yet, and the fewest and most packets that may be. */
const INBOUND_BYTES = 8 * 1024 * 1024;
const MIN_INBOUND_SLOTS = 128;
const MAX_INBOUND_SLOTS = 1024;
/** Packets handled before other events get their turn. */
const INBOUND_BATCH = 128;
/** Lanes of one link: one for each of 1024 sessions of a requester, and a few clocks. */
export const MAX_LANES = 1024 + 8;
/** The threads end by themselves; one that does not is ended. */
const STOP_TIMEOUT_MS = 2_000;

export interface ClientLinkOptions {
  readonly identity: NodeIdentity;
  readonly gateway: LinkTarget;
  readonly networkId: Uint8Array;
  readonly packetBytes: number;
  readonly log: Log;
}

export class ClientLink {
  readonly #options: ClientLinkOptions;
  readonly #memory: LinkMemory;
  readonly #linkThread: Worker;
  readonly #alarmThread: Worker;
  readonly #lanes = new Set<ClientLane>();
  #identity: NodeIdentity;
  #laneNumber = 0;
  #state: LinkState = 'down';
  #stopped: Promise<void> | undefined;
  #draining = false;
  #onPacket: (packet: Uint8Array) => void = () => {};
  #onRoom: () => void = () => {};
  #onState: (state: LinkState, reason: string) => void = () => {};

  constructor(options: ClientLinkOptions) {
    const { packetBytes, networkId } = options;
    this.#options = options;
    this.#identity = options.identity;
    const fitting = Math.floor(INBOUND_BYTES / packetBytes);
    const inboundSlots = Math.min(MAX_INBOUND_SLOTS, Math.max(MIN_INBOUND_SLOTS, fitting));
    this.#memory = LinkMemory.allocate(inboundSlots, packetBytes);
    const { port1: clockPort, port2: linkPort } = new MessageChannel();
    const memory = this.#memory.buffer;
    const linkData: LinkThreadData = { memory, inboundSlots, packetBytes, networkId, clockPort };
    const alarmData: AlarmThreadData = { memory, byteOffset: ALARM_OFFSET, port: linkPort };
    this.#linkThread = this.#startThread('./thread/link-thread.js', linkData, clockPort);
    this.#alarmThread = this.#startThread('../alarm-thread.js', alarmData, linkPort);
    this.#linkThread.on('message', (news: LinkNews) => this.#hear(news));
    this.setGateway(options.gateway);
  }

  /** Throws MixError LIMIT when there are too many lanes. */
  addLane(options: LaneOptions): Lane {
    if (this.#lanes.size >= MAX_LANES) throw new MixError('LIMIT', `a link carries at most ${MAX_LANES} lanes`);
    const lane: ClientLane = new ClientLane(options, {
      number: this.#laneNumber++,
      packetBytes: this.#options.packetBytes,
      pushedFlag: this.#memory.pushedFlag,
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

  /** Frames left a ring; many departures may share one call. One handler. */
  onRoom(handler: () => void): void {
    this.#onRoom = handler;
  }

  /** One handler. `reason` is why the link went down, or why an attempt failed. */
  onState(handler: (state: LinkState, reason: string) => void): void {
    this.#onState = handler;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Moves to another gateway, or to the same with another identity; lanes and clocks go on. */
  setGateway(gateway: LinkTarget, identity: NodeIdentity = this.#identity): void {
    this.#identity = identity;
    const { certificatePem, privateKeyPem } = identity;
    const { id, host, port } = gateway;
    this.#order({ order: 'gateway', target: { id, host, port }, certificatePem, privateKeyPem });
  }

  stats(): ClientLinkStats {
    const { connects, ...counters } = this.#memory.counters();
    const reconnects = Math.max(0, connects - 1);
    return { state: this.#state, ...counters, reconnects, lateness: this.#memory.lateness.snapshot() };
  }

  /** Closes the link and ends its threads. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const threads = [this.#linkThread, this.#alarmThread];
    const ended = threads.map((thread) => once(thread, 'exit'));
    this.#linkThread.postMessage({ order: 'stop' } satisfies LinkOrder);
    const late = systemClock.after(STOP_TIMEOUT_MS, () => {
      for (const thread of threads) void thread.terminate();
    });
    await Promise.all(ended);
    late.cancel();
    this.#lanes.clear();
    this.#state = 'down';
  }

  #startThread(file: string, data: object, port: MessageChannel['port1']): Worker {
    // No flags of the process: the threads need none, and a loader of TypeScript would only slow them down.
    const options = { workerData: data, transferList: [port], execArgv: [], name: 'mixsocks-link' };
    const thread = new Worker(new URL(file, import.meta.url), options);
    thread.on('error', (error) => {
      // Without its threads a client sends nothing and cannot recover: end the process rather than live on silent.
      throw new MixError('INTERNAL', `a thread of the gateway link failed: ${error.message}`, error);
    });
    return thread;
  }

  #order(order: LinkOrder): void {
    if (this.#stopped === undefined) this.#linkThread.postMessage(order);
  }

  #hear(news: LinkNews): void {
    if (this.#stopped !== undefined) return;
    if (news.news === 'inbound') this.#fetch();
    else if (news.news === 'room') {
      this.#memory.roomFlag.lower();
      this.#onRoom();
    } else {
      this.#state = news.state;
      this.#onState(news.state, news.reason);
    }
  }

  #fetch(): void {
    if (this.#draining) return;
    const { inbound, inboundFlag } = this.#memory;
    inboundFlag.lower();
    for (let i = 0; i < INBOUND_BATCH; i++) {
      const slot = inbound.peek();
      if (slot === undefined) return;
      const packet = Buffer.from(slot);
      inbound.release();
      this.#onPacket(packet);
      if (this.#stopped !== undefined) return;
    }
    this.#draining = true;
    setImmediate(() => {
      this.#draining = false;
      this.#fetch();
    });
  }
}
