/**
 * The clients of a gateway, by identity: those connected, and for a while those that were. Pure bookkeeping over links
 * and injected time.
 * @module
 */
import { type AddressKey, addressKeyOf, type IdentityHex } from '../lib/bytes.ts';
import type { ClientInboundLink } from '../lib/link/index.ts';
import { type NodeDrop, TokenBucket } from '../lib/mixing/index.ts';
import { Mailbox, MailboxSpace } from './mailbox.ts';

export interface ClientLimits {
  readonly maxClients: number;
  /** Beside them: nobody may crowd out the requesters, through whom all others are served. */
  readonly maxRequesters: number;
  readonly mailboxPackets: number;
  readonly mailboxTotalPackets: number;
}

/** Rate of a client; two of one kind share the numbers, not the bucket. */
export interface ClientRate {
  readonly packetsPerSecond: number;
  readonly burst: number;
}

/** The part of a client's link that the registry needs. */
export type ClientPort = Pick<ClientInboundLink, 'peer' | 'send' | 'close'>;

interface Client {
  readonly key: AddressKey;
  readonly id: IdentityHex;
  bucket: TokenBucket;
  rate: ClientRate;
  link: ClientPort | undefined;
  /** When the link was lost; meaningless while there is one. */
  goneMs: number;
  readonly mailbox: Mailbox;
}

export interface ClientsOptions {
  readonly limits: ClientLimits;
  /** Whether the present consensus lists an identity as a requester. */
  readonly isRequester: (id: IdentityHex) => boolean;
  /** The rate that an identity has by the present consensus. */
  readonly rateOf: (id: IdentityHex) => ClientRate;
  /** How long packets are kept, and absent clients remembered. */
  readonly mailboxLifeMs: () => number;
  readonly onDrop: (reason: NodeDrop) => void;
}

export class Clients {
  /** Absent ones in the order in which they left, behind or between connected ones. */
  readonly #clients = new Map<AddressKey, Client>();
  readonly #space: MailboxSpace;
  #connected = 0;

  constructor(readonly options: ClientsOptions) {
    this.#space = new MailboxSpace(options.limits.mailboxTotalPackets);
  }

  get connected(): number {
    return this.#connected;
  }

  get mailboxPackets(): number {
    return this.#space.used;
  }

  /** Whether another link may be taken; one that replaces its own predecessor always may. */
  admits(id: IdentityHex): boolean {
    if (this.#clients.get(addressKeyOf(id))?.link !== undefined) return true;
    const connected = this.#alike(id).filter((client) => client.link !== undefined);
    return connected.length < this.#most(id);
  }

  /** Whether packets for this address are taken: a client that is connected or was lately. */
  knows(key: AddressKey): boolean {
    return this.#clients.has(key);
  }

  /** A client's new link; an older one is closed. What was kept for it goes out at once. */
  connect(link: ClientPort, nowMs: number): void {
    const client = this.#clients.get(addressKeyOf(link.peer)) ?? this.#add(link.peer, nowMs);
    const before = client.link;
    client.link = link;
    if (before === undefined) this.#connected += 1;
    else before.close();
    this.#expireMailbox(client, nowMs);
    for (const packet of client.mailbox.take()) {
      if (!link.send(packet)) this.options.onDrop('link-queue-full');
    }
  }

  /** A link is gone; nothing to do if another took its place. */
  disconnect(link: ClientPort, nowMs: number): void {
    const client = this.#clients.get(addressKeyOf(link.peer));
    if (client === undefined || client.link !== link) return;
    client.link = undefined;
    client.goneMs = nowMs;
    this.#connected -= 1;
    this.#clients.delete(client.key);
    this.#clients.set(client.key, client); // to the end: the order of leaving
    this.#forgetSurplus(client);
  }

  /** Takes one packet from the client's allowance. */
  mayRelay(link: ClientPort, nowMs: number): boolean {
    return this.#clients.get(addressKeyOf(link.peer))?.bucket.take(nowMs) === true;
  }

  /** Hands a packet to its client's link, or to the mailbox while the client is away. */
  deliver(key: AddressKey, packet: Uint8Array, nowMs: number): 'sent' | 'kept' | NodeDrop {
    const client = this.#clients.get(key);
    if (client === undefined) return 'unknown-client';
    if (client.link !== undefined) return client.link.send(packet) ? 'sent' : 'link-queue-full';
    const gone = client.mailbox.push(packet, nowMs);
    return gone === 0 ? 'kept' : 'mailbox-full';
  }

  /** Forgets what is too old. Call it about once a second. */
  expire(nowMs: number): void {
    for (const client of this.#clients.values()) {
      if (client.link !== undefined) continue;
      this.#expireMailbox(client, nowMs);
      if (nowMs - client.goneMs >= this.options.mailboxLifeMs()) this.#forget(client);
    }
  }

  /** The consensus changed: rates follow it. */
  refreshRates(nowMs: number): void {
    for (const client of this.#clients.values()) {
      const rate = this.options.rateOf(client.id);
      if (rate.burst !== client.rate.burst) client.bucket = new TokenBucket(rate.packetsPerSecond, rate.burst, nowMs);
      client.bucket.ratePerSecond = rate.packetsPerSecond;
      client.rate = rate;
    }
  }

  #add(id: IdentityHex, nowMs: number): Client {
    const rate = this.options.rateOf(id);
    const client: Client = {
      key: addressKeyOf(id),
      id,
      rate,
      bucket: new TokenBucket(rate.packetsPerSecond, rate.burst, nowMs),
      link: undefined,
      goneMs: nowMs,
      mailbox: new Mailbox(this.#space, this.options.limits.mailboxPackets),
    };
    this.#clients.set(client.key, client);
    return client;
  }

  #expireMailbox(client: Client, nowMs: number): void {
    const gone = client.mailbox.expire(nowMs - this.options.mailboxLifeMs());
    for (let i = 0; i < gone; i++) this.options.onDrop('mailbox-expired');
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
    for (const _packet of client.mailbox.take()) this.options.onDrop('mailbox-expired');
    this.#clients.delete(client.key);
  }
}
