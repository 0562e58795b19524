/**
 * The clients of a gateway, by identity: those connected, and for a while those that were. Pure bookkeeping over links
 * and injected time; the clocks of all clients stand in one wheel.
 * @module
 */

import { type AddressKey, addressKeyOf, type IdentityHex } from '../lib/core/bytes.ts';
import { laterMs, type MonotonicMs, NEVER_MS } from '../lib/core/units.ts';
import type { AdmitVerdict, ClientTerms, HelloKind } from '../lib/link/index.ts';
import { TokenBucket } from '../lib/mixing/index.ts';
import type { NextHop } from '../lib/node/index.ts';
import { type ClassRates, Client, type ClientPort, SEAT_MS } from './client.ts';
import type { ClientsOptions } from './clients-options.ts';
import { DeliveryWheel } from './delivery-clock.ts';
import { MailboxSpace } from './packet-queue.ts';
import { hasSeat } from './seats.ts';

/** A longer time between two reviews was a standstill: what clients sent in it waits in sockets. */
const STANDSTILL_MS = 5_000;

/**
 * Packets that a client may send at once when it is new: identities are free, and a full bucket for each would be no bound. Requesters
 * of the consensus begin with a full one.
 */
const FIRST_BURST = 32;

/** A client that has sent nothing for so long makes room for another. All honest ones send by their clocks. */
export const SILENT_SLOT_MS = 120_000;

export class Clients {
  /** Absent ones in the order in which they left, behind or between connected ones. */
  readonly #clients = new Map<AddressKey, Client>();
  readonly #space: MailboxSpace;
  readonly #wheel = new DeliveryWheel<Client>();
  #connected = 0;
  #reviewedMs: MonotonicMs | undefined;

  constructor(readonly options: ClientsOptions) {
    this.#space = new MailboxSpace(options.limits.mailboxTotalPackets);
  }

  get connected(): number {
    return this.#connected;
  }

  /** Packets that are kept for absent clients. */
  get mailboxPackets(): number {
    return this.#space.used;
  }

  /** Packets that wait for the ticks of connected clients. */
  get waiting(): number {
    const ticking = [...this.#clients.values()].filter(({ isTicking }) => isTicking);
    return ticking.reduce((sum, { queue }) => sum + queue.size, 0);
  }

  /** Clients whose clock runs, those included that are handed a consensus. */
  get ticking(): number {
    return this.#wheel.size;
  }

  /** Frames per second of the clocks of all connected clients. */
  get deliveryRate(): number {
    return [...this.#clients.values()].reduce((sum, client) => sum + client.deliveryRate, 0);
  }

  /**
   * Whether another link may be taken on these terms; one that replaces its own predecessor is no further one. Who only asks for a
   * countersignature is to be an exit, and takes no client's seat. Asking costs nobody a seat: `connect` makes room.
   */
  admits(id: IdentityHex, terms: ClientTerms, kind: HelloKind = 'client'): AdmitVerdict {
    const verdict = this.#hasRoom(id, terms, kind);
    if (verdict === false || this.#isConnected(id)) return verdict;
    if (verdict === true && this.#hasMemory(id)) return true;
    const silent = this.#longestSilent(id);
    return silent === undefined ? 'full' : this.#hasRoom(id, terms, kind, silent);
  }

  /** The same but for memory; `without`: if this client were not there. */
  #hasRoom(id: IdentityHex, terms: ClientTerms, kind: HelloKind, without?: Client): AdmitVerdict {
    const present = this.#clients.get(addressKeyOf(id));
    const replaces = this.#isConnected(id);
    const alike = this.#alike(id).filter((client) => client !== without);
    if (!replaces && alike.filter((client) => client.link).length >= this.#most(id)) return 'full';
    const seatless = kind !== 'client' || this.options.isRequester(id);
    if (!seatless && !hasSeat(this.options.seats, alike, terms.trafficClass, present)) return 'full';
    if (!terms.clocked) return true;
    // A class that the consensus has given up keeps the clients that it has.
    if (replaces && present?.link?.client.trafficClass === terms.trafficClass && present.deliveryRate > 0) return true;
    const rates = this.options.classRates(terms.trafficClass);
    if (rates === undefined) return false;
    const others = this.deliveryRate - (present?.deliveryRate ?? 0) - (without?.deliveryRate ?? 0);
    return others + rates.delivery <= this.options.limits.maxDeliveryRate ? true : 'full';
  }

  #isConnected(id: IdentityHex): boolean {
    return this.#clients.get(addressKeyOf(id))?.link !== undefined;
  }

  /** The client with this address, connected now or lately; undefined when there is none. */
  find(key: AddressKey): NextHop | undefined {
    return this.#clients.get(key);
  }

  /** A client's new link; an older one is closed. What was kept for it goes out: by its clock, or at once without one. */
  connect(link: ClientPort, nowMs: MonotonicMs): void {
    const { trafficClass, clocked } = link.client;
    this.#makeRoom(link);
    const client = this.#clients.get(addressKeyOf(link.peer)) ?? this.#add(link, nowMs);
    const before = client.link;
    if (before === undefined) this.#connected += 1;
    if (client.isTicking) this.#wheel.remove(client);
    this.#expireQueue(client, nowMs);
    client.connect(link, clocked ? this.#clockOf(trafficClass) : undefined, nowMs);
    this.#setLimits(client, nowMs);
    this.#startHanding(client, nowMs);
    before?.close();
  }

  /** There is another consensus to hand on. */
  refreshConsensus(nowMs: MonotonicMs): void {
    for (const client of this.#clients.values()) this.#startHanding(client, nowMs);
  }

  #startHanding(client: Client, nowMs: MonotonicMs): void {
    if (client.startHanding(nowMs, () => this.options.rng.uniform())) this.#wheel.add(client);
  }

  /** A link is gone; nothing to do if another took its place. `broke`: neither side had ended it. */
  disconnect(link: ClientPort, nowMs: MonotonicMs, broke = false): void {
    const client = this.#clients.get(addressKeyOf(link.peer));
    if (client === undefined || client.link !== link) return;
    if (client.isTicking) this.#wheel.remove(client);
    client.disconnect(nowMs, broke);
    this.#connected -= 1;
    this.#clients.delete(client.key);
    this.#clients.set(client.key, client); // to the end: the order of leaving
    this.#forgetSurplus(client);
  }

  /** A frame has come from a client; whether it is within the client's allowance. */
  mayRelay(link: ClientPort, nowMs: MonotonicMs): boolean {
    const client = this.#clients.get(addressKeyOf(link.peer));
    if (client === undefined) return false;
    if (client.link === link && client.received(nowMs, () => this.options.rng.uniform())) this.#wheel.add(client);
    return client.bucket.take(nowMs);
  }

  /** When `deliver` must be called next; NEVER_MS while no clock runs. */
  nextTickMs(): MonotonicMs {
    return this.#wheel.size === 0 ? NEVER_MS : this.#wheel.nextDueMs();
  }

  /** Serves the clocks that are due. */
  deliver(nowMs: MonotonicMs): void {
    for (const client of this.#wheel.take(nowMs)) {
      client.tick(nowMs);
      if (client.isTicking) this.#wheel.add(client);
    }
  }

  /** Forgets what is too old, and stops the clocks of clients that do not send. Call it about once a second. */
  upkeep(nowMs: MonotonicMs): void {
    const stoodStill = this.#reviewedMs !== undefined && nowMs - this.#reviewedMs > STANDSTILL_MS;
    this.#reviewedMs = nowMs;
    for (const client of [...this.#clients.values()]) {
      if (client.link !== undefined) {
        if (stoodStill) client.restartTally(nowMs);
        else if (client.isSilent(nowMs)) this.#dismiss(client);
        continue;
      }
      if (nowMs - client.goneMs >= SEAT_MS) client.keepsSeat = false;
      this.#expireQueue(client, nowMs);
      if (nowMs - client.goneMs >= this.options.mailboxLifeMs()) this.#forget(client);
    }
  }

  /** The consensus changed: rates follow it. */
  refreshRates(nowMs: MonotonicMs): void {
    for (const client of this.#clients.values()) {
      this.#setLimits(client, nowMs);
      const rates = client.link && this.#clockOf(client.link.client.trafficClass);
      if (rates === undefined) continue;
      const isTicking = client.isTicking;
      if (isTicking) this.#wheel.remove(client);
      client.setRates(rates, nowMs);
      if (isTicking) this.#wheel.add(client);
    }
  }

  /** For one that `admits` has let in: who has been silent for longest goes where there is no other room. */
  #makeRoom({ peer, client }: ClientPort): void {
    if (this.#isConnected(peer)) return;
    if (this.#hasRoom(peer, client, 'client') !== true || !this.#hasMemory(peer))
      this.#dismiss(this.#longestSilent(peer));
  }

  /** Whether there is memory for one more. Requesters are listed, and few: all others are served through them. */
  #hasMemory(id: IdentityHex): boolean {
    const { memory, isRequester } = this.options;
    return memory === undefined || isRequester(id) || memory.admits('links');
  }

  /** Places are free: whoever has sent nothing for long loses his to a newcomer. Requesters are listed, and keep theirs. */
  #longestSilent(id: IdentityHex): Client | undefined {
    const nowMs = this.options.isRequester(id) ? undefined : this.#reviewedMs;
    if (nowMs === undefined) return undefined;
    const silent = this.#alike(id).filter((client) => client.link && client.silentMs(nowMs) >= SILENT_SLOT_MS);
    return silent.sort((a, b) => b.silentMs(nowMs) - a.silentMs(nowMs))[0];
  }

  #dismiss(client: Client | undefined): void {
    if (client !== undefined) this.options.onSilent();
    client?.link?.close();
  }

  /** The rates of a class that has something to deliver; others need no clock. */
  #clockOf(trafficClass: string): ClassRates | undefined {
    const rates = this.options.classRates(trafficClass);
    return rates !== undefined && rates.delivery > 0 ? rates : undefined;
  }

  #setLimits(client: Client, nowMs: MonotonicMs): void {
    const { packetsPerSecond, burst } = this.options.rateOf(client.id, client.link?.client.trafficClass ?? '');
    client.bucket.setLimits(packetsPerSecond, burst, nowMs);
  }

  #add({ peer, client: { trafficClass } }: ClientPort, nowMs: MonotonicMs): Client {
    const { rateOf, limits, isRequester } = this.options;
    const { packetsPerSecond, burst } = rateOf(peer, trafficClass);
    const first = isRequester(peer) ? burst : FIRST_BURST;
    const client = new Client(
      peer,
      new TokenBucket(packetsPerSecond, burst, nowMs, first),
      this.#space,
      nowMs,
      limits.mailboxPackets,
      this.options.consensus,
      this.options,
      this.options.memory,
    );
    this.#clients.set(client.key, client);
    return client;
  }

  #expireQueue(client: Client, nowMs: MonotonicMs): void {
    const gone = client.queue.expire(laterMs(nowMs, -this.options.mailboxLifeMs()));
    for (let i = 0; i < gone; i++) this.options.onResult('mailbox-expired');
  }

  /** The requesters if `id` is one, else the clients that are none. */
  #alike(id: IdentityHex): Client[] {
    const { isRequester } = this.options;
    const listed = isRequester(id);
    return [...this.#clients.values()].filter((client) => isRequester(client.id) === listed);
  }

  #most(id: IdentityHex): number {
    const { isRequester, limits } = this.options;
    return isRequester(id) ? limits.maxRequesters : limits.maxClients;
  }

  /** As many absent ones of a kind are remembered as may be connected; the one away longest goes first. */
  #forgetSurplus({ id }: Client): void {
    const absent = this.#alike(id).filter((client) => client.link === undefined);
    for (const client of absent.slice(0, Math.max(0, absent.length - this.#most(id)))) this.#forget(client);
  }

  #forget(client: Client): void {
    for (const _packet of client.queue.take()) this.options.onResult('mailbox-expired');
    this.#clients.delete(client.key);
  }
}
