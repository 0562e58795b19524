/**
 * A gateway's clients on the virtual clock: what the real registry writes to their links, and when. The test plays the exits, and
 * the clients' own clocks.
 */
import type { ClassRates, ClientPort } from '../../gateway/client.ts';
import { Clients } from '../../gateway/clients.ts';
import type { ClientLimits } from '../../gateway/clients-options.ts';
import { ConsensusFrames } from '../../gateway/consensus-frames.ts';
import { addressKeyOf, type IdentityHex } from '../../lib/core/bytes.ts';
import type { MemoryBudget } from '../../lib/core/memory-budget.ts';
import {
  DEFAULT_PARAMS,
  type NetworkParams,
  packetBytes,
  type TrafficClass,
  uplinkRate,
} from '../../lib/core/params.ts';
import { exponential } from '../../lib/core/rng.ts';
import type { ConsensusText } from '../../lib/directory/index.ts';
import type { ClientTerms, SendResult } from '../../lib/link/index.ts';
import { seededRng } from './seeded-rng.ts';
import { EventQueue } from './sim/event-queue.ts';
import { monotonic } from './units.ts';

export const STANDARD = DEFAULT_PARAMS.classes.standard as TrafficClass;
export const PACKET_BYTES = packetBytes(DEFAULT_PARAMS.payloadBytes);
export const idOf = (n: number) => n.toString(16).padStart(64, '0') as IdentityHex;

export interface Departure {
  readonly atMs: number;
  readonly packet: Uint8Array | undefined;
  /** Of a consensus. */
  readonly piece?: Uint8Array;
}

/** A client's link, as its gateway sees it. */
export class WorldLink implements ClientPort {
  readonly departures: Departure[] = [];
  readonly peer: IdentityHex;
  closed = false;
  /** The client's end: what it gets, and when. */
  onPacket: (packet: Uint8Array) => void = () => {};
  onPiece: (piece: Uint8Array) => void = () => {};
  /** Frames that the socket does not take. */
  unwritten = 0;

  constructor(
    readonly world: DeliveryWorld,
    n: number,
    readonly client: ClientTerms,
  ) {
    this.peer = idOf(n);
  }

  send(packet: Uint8Array): SendResult {
    this.departures.push({ atMs: this.world.nowMs, packet });
    this.onPacket(packet);
    return 'sent';
  }

  sendPadding(): SendResult {
    this.departures.push({ atMs: this.world.nowMs, packet: undefined });
    return 'sent';
  }

  sendConsensus(frame: Uint8Array): SendResult {
    const piece = Buffer.from(frame.subarray(0, PACKET_BYTES));
    this.departures.push({ atMs: this.world.nowMs, packet: undefined, piece });
    this.onPiece(piece);
    return 'sent';
  }

  queued(): number {
    return this.unwritten;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.world.clients.disconnect(this, monotonic(this.world.nowMs));
  }

  /** When frames left, in ms. */
  get times(): number[] {
    return this.departures.map(({ atMs }) => atMs);
  }

  get padding(): number {
    return this.departures.filter(({ packet, piece }) => packet === undefined && piece === undefined).length;
  }

  get pieces(): Departure[] {
    return this.departures.filter(({ piece }) => piece !== undefined);
  }
}

const LIMITS: ClientLimits = {
  maxClients: 2000,
  maxRequesters: 10,
  maxDeliveryRate: 1e6,
  mailboxPackets: 512,
  mailboxTotalPackets: 16_384,
};

export class DeliveryWorld {
  readonly events = new EventQueue();
  readonly clients: Clients;
  readonly results: Record<string, number> = {};
  readonly ticks = { packet: 0, padding: 0, consensus: 0, skipped: 0 };
  readonly consensus = new ConsensusFrames(PACKET_BYTES);
  silent = 0;
  /** Clients that the consensus lets it admit. */
  seats = Number.POSITIVE_INFINITY;
  params: NetworkParams = DEFAULT_PARAMS;
  readonly #rng = seededRng(1);
  #armedForMs = Number.POSITIVE_INFINITY;
  #stalledUntilMs = 0;

  /** `rates`: what the registry takes for a class' clocks instead of the consensus' numbers. A client may send `packetsPerSecond`. */
  constructor(
    limits: Partial<ClientLimits> = {},
    rates: Partial<ClassRates> = {},
    packetsPerSecond = 1000,
    memory?: MemoryBudget,
  ) {
    this.clients = new Clients({
      consensus: this.consensus,
      ...(memory === undefined ? {} : { memory }),
      limits: { ...LIMITS, ...limits },
      rng: seededRng(2),
      isRequester: () => false,
      seats: { taken: () => 1, most: () => this.seats },
      rateOf: () => ({ packetsPerSecond, burst: 256 }),
      classRates: (name) => {
        const found = this.params.classes[name];
        return found && { uplink: uplinkRate(found), delivery: found.deliveryRate, ...rates };
      },
      mailboxLifeMs: () => 560_000,
      onResult: (result) => {
        this.results[result] = (this.results[result] ?? 0) + 1;
      },
      onTick: (tick) => {
        this.ticks[tick] += 1;
      },
      onSilent: () => {
        this.silent += 1;
      },
    });
    this.events.after(1000, () => this.#upkeep());
  }

  get nowMs(): number {
    return this.events.nowMs;
  }

  connect(n: number, client: ClientTerms = { trafficClass: 'standard', clocked: true }): WorldLink {
    const link = new WorldLink(this, n, client);
    this.clients.connect(link, monotonic(this.nowMs));
    this.#arm();
    return link;
  }

  /** The gateway has these consensuses from now on. */
  handOn(documents: readonly ConsensusText[]): void {
    this.consensus.set(documents);
    this.clients.refreshConsensus(monotonic(this.nowMs));
    this.#arm();
  }

  /** A packet for client `n`, from whomever. */
  deliver(n: number, packet: Uint8Array = new Uint8Array(1)): void {
    this.clients.find(addressKeyOf(idOf(n)))?.send(packet, monotonic(this.nowMs));
  }

  /** Whether the client may send a frame now; its gateway has seen one. */
  frameFrom(link: WorldLink): boolean {
    const mayRelay = this.clients.mayRelay(link, monotonic(this.nowMs));
    this.#arm();
    return mayRelay;
  }

  /** Times of a Poisson clock from now on, drawn for every call alike. */
  poisson(perSecond: number, ms: number, seed: number): number[] {
    const rng = seededRng(seed);
    const times: number[] = [];
    for (let atMs = 0; ; ) {
      atMs += exponential(rng, 1000 / perSecond);
      if (atMs >= ms) return times;
      times.push(this.nowMs + atMs);
    }
  }

  /** A client that sends by all the clocks of its class for `ms`. */
  sends(link: WorldLink, ms: number, perSecond = uplinkRate(STANDARD)): void {
    for (const atMs of this.poisson(perSecond, ms, this.#rng.int(1e6))) {
      this.events.at(atMs, () => void (link.closed || this.frameFrom(link)));
    }
  }

  /** What an exit sends to client `n`: `perSecond` at each time since now. */
  replies(
    n: number,
    ms: number,
    perSecond: (sinceMs: number) => number,
    packet = () => new Uint8Array(1),
    highest = 2 * STANDARD.replyRate,
  ): void {
    const startMs = this.nowMs;
    const seed = 7;
    const thin = seededRng(seed + 1);
    for (const atMs of this.poisson(highest, ms, seed)) {
      const kept = thin.uniform() * highest < perSecond(atMs - startMs);
      if (kept) this.events.at(atMs, () => this.deliver(n, packet()));
    }
  }

  /** Lets time pass. */
  run(ms: number): void {
    this.events.run(this.nowMs + ms);
  }

  /** Nothing of the gateway runs for `ms`; what falls due meanwhile is served afterwards. */
  stall(ms: number): void {
    const endMs = this.nowMs + ms;
    this.#stalledUntilMs = endMs;
    this.run(ms);
    this.#serve();
  }

  /** The one timer for all clocks, as the gateway sets it. */
  #arm(): void {
    const dueMs = this.clients.nextTickMs();
    if (dueMs >= this.#armedForMs) return;
    this.#armedForMs = dueMs;
    this.events.at(dueMs, () => {
      if (this.nowMs >= this.#armedForMs && this.nowMs >= this.#stalledUntilMs) this.#serve();
    });
  }

  #serve(): void {
    this.#armedForMs = Number.POSITIVE_INFINITY;
    this.clients.deliver(monotonic(this.nowMs));
    this.#arm();
  }

  #upkeep(): void {
    if (this.nowMs >= this.#stalledUntilMs) this.clients.upkeep(monotonic(this.nowMs));
    this.events.after(1000, () => this.#upkeep());
  }
}
