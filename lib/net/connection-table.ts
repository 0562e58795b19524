/**
 * Who may hold how many connections to a listener: bounds in total and per source, and which connection has to go for a new
 * one. Pure bookkeeping over the life of connections and injected time.
 *
 * A connection is *pending* until it has proven something: its key on a link, a complete request to a SOCKS port. Those of other
 * HTTP servers are always pending: a client that sends its request slowly, or does not read the answer, would else hold a
 * place for nothing. Only pending ones are ever closed for others, the one first that has shown no sign of life for longest: who
 * means to connect is through in a moment, and who only holds a place is the first to lose it. The sources of neighbours
 * have reserved seats.
 * @module
 */
import ipaddr from 'ipaddr.js';
import type { MonotonicMs } from '../core/units.ts';
import { parseAddress } from './address-policy.ts';

export interface ConnectionLimits {
  /** Connections of all sources. */
  readonly total: number;
  /** Pending ones of all sources. */
  readonly pending: number;
  /** Connections of one source; 0: no bound. */
  readonly perSource: number;
  /** Seats, of the total and of the pending, that are kept for neighbours; a quarter at most. */
  readonly reserved: number;
}

/** A pending connection is safe from newcomers of its own source for so long: their rate is bounded by it. */
export const PENDING_GRACE_MS = 1000;

/** Why a connection got no seat. */
export type SeatRefusal = 'source-full' | 'pending-full' | 'full';

export type Seating<C> =
  /** `evicted`: a connection that has to be closed for it. */
  { readonly seated: true; readonly evicted?: C } | { readonly seated: false; readonly reason: SeatRefusal };

interface Seat {
  readonly source: Source;
  /** When it became pending; undefined when it is not. */
  pendingSinceMs: MonotonicMs | undefined;
}

class Source {
  connections = 0;
  pending = 0;
  constructor(readonly name: string) {}
}

export class ConnectionTable<C> {
  /** Pending ones are in the order of their last signs of life: they became pending, or were touched. */
  readonly #seats = new Map<C, Seat>();
  readonly #sources = new Map<string, Source>();
  #pending = 0;

  constructor(
    readonly limits: ConnectionLimits,
    /** Whether a source, as `sourceOf` gives it, is that of a neighbour: by the consensus of the moment. */
    readonly isNeighbour: (source: string) => boolean = () => false,
  ) {}

  get size(): number {
    return this.#seats.size;
  }

  /** A new connection from `address`. */
  open(connection: C, address: string | undefined, nowMs: MonotonicMs): Seating<C> {
    const source = this.#sourceOf(address);
    const { evicted, reason } = this.#seatFor(source, nowMs);
    if (reason !== undefined) return { seated: false, reason };
    if (evicted !== undefined) this.close(evicted);
    this.#sources.set(source.name, source); // its last connection may have been closed for this one
    source.connections += 1;
    const seat: Seat = { source, pendingSinceMs: undefined };
    this.#seats.set(connection, seat);
    this.#setPending(seat, nowMs);
    return { seated: true, ...(evicted === undefined ? {} : { evicted }) };
  }

  /** It has proven what it must: it stays. */
  settle(connection: C): void {
    const seat = this.#seats.get(connection);
    if (seat !== undefined) this.#setPending(seat, undefined);
  }

  /** It waits for its next request: it may go for others again. */
  unsettle(connection: C, nowMs: MonotonicMs): void {
    const seat = this.#seats.get(connection);
    if (seat === undefined) return;
    this.touch(connection);
    this.#setPending(seat, nowMs);
  }

  /** A sign of life: others go before it. Its grace is no longer for it. */
  touch(connection: C): void {
    const seat = this.#seats.get(connection);
    if (seat === undefined) return;
    this.#seats.delete(connection);
    this.#seats.set(connection, seat);
  }

  /** It is gone. */
  close(connection: C): void {
    const seat = this.#seats.get(connection);
    if (seat === undefined) return;
    this.#setPending(seat, undefined);
    this.#seats.delete(connection);
    seat.source.connections -= 1;
    if (seat.source.connections === 0) this.#sources.delete(seat.source.name);
  }

  #sourceOf(address: string | undefined): Source {
    const name = sourceOf(address ?? '');
    return this.#sources.get(name) ?? new Source(name);
  }

  #seatFor(source: Source, nowMs: MonotonicMs): { evicted?: C; reason?: SeatRefusal } {
    const { total, pending, perSource, reserved } = this.limits;
    if (perSource > 0 && source.connections >= perSource) {
      const oldest = this.#oldest((seat) => seat.source === source && isPastGrace(seat, nowMs));
      return oldest === undefined ? { reason: 'source-full' } : { evicted: oldest };
    }
    const isNeighbour = this.isNeighbour(source.name);
    const kept = (seats: number) => (isNeighbour ? 0 : Math.min(reserved, seats >> 2));
    const isFull = this.#seats.size >= total - kept(total);
    if (!isFull && this.#pending < pending - kept(pending)) return {};
    const evicted = this.#oldestOfLargest(source, nowMs);
    return evicted === undefined ? { reason: isFull ? 'full' : 'pending-full' } : { evicted };
  }

  /** Of the source with the most pending ones. It may be the newcomer's own, or one that has as few, after the grace. */
  #oldestOfLargest(newcomer: Source, nowMs: MonotonicMs): C | undefined {
    let largest: Source | undefined;
    const mayTakeFromNeighbours = this.isNeighbour(newcomer.name);
    for (const source of this.#sources.values()) {
      if (source.pending <= (largest?.pending ?? 0)) continue;
      if (mayTakeFromNeighbours || !this.isNeighbour(source.name)) largest = source;
    }
    if (largest === undefined) return undefined;
    const isLarger = largest.pending > newcomer.pending + 1;
    return this.#oldest((seat) => seat.source === largest && (isLarger || isPastGrace(seat, nowMs)));
  }

  /** The pending connection whose last sign of life is the oldest among those that `may` go. */
  #oldest(may: (seat: Seat) => boolean): C | undefined {
    for (const [connection, seat] of this.#seats) {
      if (seat.pendingSinceMs !== undefined && may(seat)) return connection;
    }
    return undefined;
  }

  #setPending(seat: Seat, sinceMs: MonotonicMs | undefined): void {
    const change = Number(sinceMs !== undefined) - Number(seat.pendingSinceMs !== undefined);
    seat.pendingSinceMs = sinceMs;
    seat.source.pending += change;
    this.#pending += change;
  }
}

function isPastGrace({ pendingSinceMs }: Seat, nowMs: MonotonicMs): boolean {
  return pendingSinceMs !== undefined && nowMs - pendingSinceMs >= PENDING_GRACE_MS;
}

/**
 * What counts as one source: an IPv4 address (mapped ones too), or the /64 of an IPv6 address, the least that a site is
 * given (RFC 6177). Other texts stand for themselves: connections over a socket file have no address.
 */
export function sourceOf(address: string): string {
  const parsed = parseAddress(address.split('%', 1)[0] ?? '');
  if (parsed === undefined || parsed.family === 4) return parsed?.text ?? address;
  const { parts } = ipaddr.IPv6.parse(parsed.text);
  return parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':');
}
