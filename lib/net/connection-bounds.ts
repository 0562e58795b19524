/**
 * The bounds of a listener's connections at work: those that get no seat never reach the server's protocol, those that lose
 * theirs are closed.
 * @module
 */
import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { Server, Socket } from 'node:net';
import { type Clock, systemClock } from '../core/clock.ts';
import type { Log } from '../telemetry/log.ts';
import { type ConnectionLimits, ConnectionTable, type SeatRefusal } from './connection-table.ts';

/**
 * A connection beyond the bound of its source is closed only after this long: who opens another for each that is closed
 * would cost more than who waits. One that sends something is closed then.
 */
export const WAITING_MS = 10_000;
/** Connections that wait so; further ones are closed at once. */
export const MAX_WAITING = 2048;

export interface ConnectionBoundsOptions {
  readonly limits: ConnectionLimits;
  readonly clock?: Clock;
  readonly isNeighbour?: (source: string) => boolean;
  /** A connection got no seat, or lost it to another. */
  readonly onRefused?: (reason: SeatRefusal | 'evicted', socket: Socket) => void;
}

/** Says at the start that the bound is off. */
export function warnIfUnbounded(connectionsPerSource: number, log: Log): void {
  if (connectionsPerSource > 0) return;
  log.warn(
    {},
    'connections of one address are not bounded (maxConnectionsPerSource 0): what stands before has to do it',
  );
}

export class ConnectionBounds {
  readonly #table: ConnectionTable<Socket>;
  readonly #clock: Clock;
  readonly #waiting = new Set<Socket>();
  readonly #onRefused: NonNullable<ConnectionBoundsOptions['onRefused']>;

  constructor({ limits, clock, isNeighbour, onRefused }: ConnectionBoundsOptions) {
    this.#table = new ConnectionTable(limits, isNeighbour);
    this.#clock = clock ?? systemClock;
    this.#onRefused = onRefused ?? (() => {});
  }

  /** From now on `server` is given the connections that have a seat, and no others. Call it before it listens. */
  guard(server: Server): void {
    const takers = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      if (this.#admit(socket)) for (const take of takers) take.call(server, socket);
    });
  }

  /**
   * The same for HTTP. A request is a sign of life and no more: its body may never come, its answer never be read.
   */
  guardHttp(server: HttpServer): void {
    this.guard(server);
    server.prependListener('request', ({ socket }: IncomingMessage) => this.#table.touch(socket));
  }

  /** It has authenticated, or its request is complete: no newcomer takes its seat. */
  settle(socket: Socket): void {
    this.#table.settle(socket);
  }

  /** It waits for another request. */
  unsettle(socket: Socket): void {
    this.#table.unsettle(socket, this.#clock.nowMs());
  }

  /** Closes those that wait, which their server does not know. */
  close(): void {
    for (const socket of this.#waiting) socket.destroy();
  }

  #admit(socket: Socket): boolean {
    const seating = this.#table.open(socket, socket.remoteAddress, this.#clock.nowMs());
    if (!seating.seated) {
      this.#onRefused(seating.reason, socket);
      socket.on('error', () => {}); // it may reset
      if (seating.reason === 'source-full' && this.#waiting.size < MAX_WAITING) this.#wait(socket);
      else socket.destroy();
      return false;
    }
    socket.on('close', () => this.#table.close(socket));
    if (seating.evicted !== undefined) {
      this.#onRefused('evicted', seating.evicted);
      seating.evicted.destroy();
    }
    return true;
  }

  #wait(socket: Socket): void {
    const timer = this.#clock.after(WAITING_MS, () => socket.destroy());
    this.#waiting.add(socket);
    socket.on('close', () => {
      timer.cancel();
      this.#waiting.delete(socket);
    });
    socket.on('data', () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.resume();
  }
}
