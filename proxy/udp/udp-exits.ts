/**
 * The ways out of one UDP association. It begins with one stream to a requester; a datagram for a port that this
 * requester does not let through, and another one does, goes over a further stream there, which then stays. When the first
 * requester is gone, the association goes on at another.
 * @module
 */

import type { StreamOpener } from '../../lib/access/opener.ts';
import type { Clock } from '../../lib/core/clock.ts';
import { type ErrorCode, MixError } from '../../lib/core/errors.ts';
import { DatagramChannel } from '../../lib/relay/datagram-channel.ts';
import type { SessionStream, StreamHandlers } from '../../lib/session/index.ts';
import type { UdpDatagram } from './udp-wire.ts';

/** Streams of one association. */
export const MAX_EXITS = 8;
/** Datagrams that wait until a further stream is open. */
export const MAX_WAITING = 16;
/** A further stream that could not be had is not asked for again before this, nor is the first one replaced again. */
export const RETRY_MS = 10_000;
/** The requester has stopped, or has begun anew: it is no word on the association. */
const SESSION_LOST: ErrorCode = 'SESSION_CLOSED';

/** An association is for any destination; its streams name none. */
const ANYWHERE = { kind: 'udp', host: '0.0.0.0', port: 0 } as const;

export interface UdpExitsOptions {
  readonly opener: StreamOpener;
  readonly clock: Clock;
  readonly isolation: string | undefined;
  /** From a requester, with the address that it is from. */
  readonly onDatagram: (host: string, port: number, bytes: Uint8Array) => void;
  /** The first stream is open: there is an association. */
  readonly onOpened: () => void;
  /** The first stream could not be opened. */
  readonly onRefused: (code: ErrorCode) => void;
  /** The first stream is over, and no other takes its place. */
  readonly onEnded: () => void;
}

export class UdpExits {
  #exits: UdpExit[] = [];
  #replaceableMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: UdpExitsOptions) {}

  /** The first stream. */
  get first(): SessionStream | undefined {
    return this.#exits[0]?.stream;
  }

  /** Opens the first stream. Throws a MixError when it is clear at once that it cannot be had. */
  start(): void {
    const { onOpened, onRefused } = this.options;
    this.#add(undefined, { onOpened, onRefused, onEnded: (code) => this.#firstEnded(code) });
  }

  /** The client notices nothing of a requester that goes but datagrams that are lost, and another source of those that come. */
  #firstEnded(code: ErrorCode): void {
    const { clock, onEnded } = this.options;
    const nowMs = clock.nowMs();
    const isReplaced = code === SESSION_LOST && nowMs >= this.#replaceableMs;
    this.#replaceableMs = nowMs + RETRY_MS;
    const events = { onOpened: () => {}, onRefused: onEnded, onEnded: (next: ErrorCode) => this.#firstEnded(next) };
    if (!isReplaced || this.#tryToAdd(undefined, events) === undefined) onEnded();
  }

  /** False when the datagram is lost. */
  send(host: string, port: number, bytes: Uint8Array): boolean {
    return this.#exitFor(port)?.send(host, port, bytes) ?? false;
  }

  stop(code: ErrorCode): void {
    for (const exit of this.#exits) exit.reset(code);
  }

  #exitFor(port: number): UdpExit | undefined {
    const { opener, clock } = this.options;
    const fitting = this.#exits.find(
      (exit) => exit.alive && (exit.forPort === port || exit.stream === undefined || opener.suits(exit.stream, port)),
    );
    if (fitting !== undefined) return fitting;
    const nowMs = clock.nowMs();
    this.#exits = this.#exits.filter((exit, index) => index === 0 || exit.alive || nowMs - exit.endedMs < RETRY_MS);
    if (this.#exits.some((exit) => exit.forPort === port)) return undefined; // it was refused a moment ago
    if (this.#exits.length >= MAX_EXITS) return this.#exits[0];
    return this.#addFurther(port);
  }

  /** A further stream: the association outlives it. */
  #addFurther(port: number): UdpExit | undefined {
    const ignore = () => {};
    return this.#tryToAdd(port, { onOpened: ignore, onRefused: ignore, onEnded: ignore });
  }

  #tryToAdd(forPort: number | undefined, events: ExitEvents): UdpExit | undefined {
    try {
      return this.#add(forPort, events);
    } catch (error) {
      if (error instanceof MixError) return undefined; // the network lacks something
      throw error;
    }
  }

  #add(forPort: number | undefined, events: ExitEvents): UdpExit {
    const { opener, isolation } = this.options;
    const exit = new UdpExit(forPort, this.options, events);
    const kept = isolation === undefined ? {} : { isolation };
    exit.attach(opener.open({ ...ANYWHERE, ...kept, ...(forPort === undefined ? {} : { forPort }) }, exit));
    if (forPort === undefined) this.#exits = [exit, ...this.#exits.slice(1)];
    else this.#exits.push(exit);
    return exit;
  }
}

interface ExitEvents extends Pick<UdpExitsOptions, 'onOpened' | 'onRefused'> {
  readonly onEnded: (code: ErrorCode) => void;
}

/** One stream. */
class UdpExit implements StreamHandlers {
  readonly #clock: Clock;
  readonly #channel: DatagramChannel;
  stream: SessionStream | undefined;
  endedMs = Number.POSITIVE_INFINITY;
  #open = false;
  #waiting: UdpDatagram[] = [];

  /** `forPort` is the port that it was opened for; undefined for the first. */
  constructor(
    readonly forPort: number | undefined,
    options: Pick<UdpExitsOptions, 'clock' | 'onDatagram'>,
    private readonly events: ExitEvents,
  ) {
    const { clock, onDatagram } = options;
    this.#clock = clock;
    this.#channel = new DatagramChannel({ clock, onDatagram, onMalformed: () => this.#breakOff('MALFORMED') });
  }

  get alive(): boolean {
    return this.endedMs === Number.POSITIVE_INFINITY;
  }

  attach(stream: SessionStream): void {
    this.stream = stream;
    this.#channel.attach(stream);
  }

  send(host: string, port: number, bytes: Uint8Array): boolean {
    if (this.#open) return this.#channel.send(host, port, bytes);
    if (this.#waiting.length >= MAX_WAITING) return false;
    this.#waiting.push({ host, port, bytes: new Uint8Array(bytes) });
    return true;
  }

  reset(code: ErrorCode): void {
    if (!this.alive) return;
    this.#end();
    this.stream?.reset(code, this.#clock.nowMs());
  }

  onOpened(): void {
    if (!this.alive) return;
    this.#open = true;
    this.events.onOpened();
    for (const { host, port, bytes } of this.#waiting.splice(0)) this.#channel.send(host, port, bytes);
  }

  onRefused(code: ErrorCode): void {
    if (!this.alive) return;
    this.#end();
    this.events.onRefused(code);
  }

  onReset(code: ErrorCode): void {
    if (!this.alive) return;
    this.#end();
    this.events.onEnded(code);
  }

  /** Half an association is of no use. */
  onFin(): void {
    this.#breakOff('RESET');
  }

  onData(bytes: Uint8Array): void {
    this.#channel.onData(bytes);
  }

  onDrain(): void {
    this.#channel.onDrain();
  }

  onDatagram(host: string, port: number, bytes: Uint8Array): void {
    this.#channel.onDatagram(host, port, bytes);
  }

  #breakOff(code: ErrorCode): void {
    if (!this.alive) return;
    this.reset(code);
    this.events.onEnded(code);
  }

  #end(): void {
    this.endedMs = this.#clock.nowMs();
    this.#waiting = [];
  }
}
