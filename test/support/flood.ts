/**
 * Hosts that hold as many connections to a listener as they get, and open another for each that is closed.
 * @module
 */
import { connect, type Socket } from 'node:net';

interface Scope {
  teardown(end: () => unknown): unknown;
}

export interface FloodOptions {
  readonly port: number;
  readonly host?: string;
  /** Connections that it wants to hold. */
  readonly count: number;
  /** The addresses that it comes from, in turns: one host by default. */
  readonly from?: readonly string[];
  /** What each connection sends at once; silent without. */
  readonly first?: Uint8Array | undefined;
  /** Whether it reads what comes. */
  readonly reads?: boolean;
  /** Closed connections that it opens again, per second at most. */
  readonly renewalsPerSecond?: number;
}

/** The pause before closed connections are renewed: a flood from a network does not loop faster than its round trip. */
const RENEWAL_MS = 5;
/** Connections that are opened at a time at the beginning. */
const BATCH = 100;

export class Flood {
  readonly #sockets = new Set<Socket>();
  readonly #renewing: NodeJS.Timeout;
  readonly #options: Required<Omit<FloodOptions, 'first'>> & Pick<FloodOptions, 'first'>;
  #turn = 0;
  /** Closed ones that are to be renewed. */
  #missing = 0;
  /** What may be renewed at once. */
  #allowance = 0;
  #stopped = false;
  /** Connections that came about, renewed ones included. */
  opened = 0;
  closed = 0;

  private constructor(options: FloodOptions) {
    const defaults = { host: '127.0.0.1', from: ['127.0.0.66'], renewalsPerSecond: 10_000, reads: true };
    this.#options = { ...defaults, ...options };
    this.#renewing = setInterval(() => this.#renew(), RENEWAL_MS).unref();
  }

  /** Resolves when all have been tried once. It ends with `t`. */
  static async start(t: Scope, options: FloodOptions): Promise<Flood> {
    const flood = new Flood(options);
    t.teardown(() => flood.stop());
    for (let n = 0; n < options.count; n += BATCH) {
      await Promise.all(Array.from({ length: Math.min(BATCH, options.count - n) }, () => flood.#open()));
    }
    return flood;
  }

  get held(): number {
    return this.#sockets.size;
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#renewing);
    for (const socket of this.#sockets) socket.destroy();
  }

  #renew(): void {
    const perTurn = (this.#options.renewalsPerSecond * RENEWAL_MS) / 1000;
    this.#allowance = Math.min(this.#allowance + perTurn, Math.max(1, 2 * perTurn));
    while (this.#missing > 0 && this.#allowance >= 1) {
      this.#missing -= 1;
      this.#allowance -= 1;
      void this.#open();
    }
  }

  /** Resolves when the connection came about, or was refused. */
  #open(): Promise<void> {
    const { port, host, from, first, reads } = this.#options;
    const socket = connect({ port, host, localAddress: from[this.#turn++ % from.length] ?? '' }).on('error', () => {});
    this.#sockets.add(socket);
    if (reads) socket.resume();
    return new Promise((resolve) => {
      socket.once('connect', () => {
        this.opened += 1;
        if (first !== undefined) socket.write(first);
        resolve();
      });
      socket.once('close', () => {
        this.#sockets.delete(socket);
        this.closed += 1;
        if (!this.#stopped) this.#missing += 1;
        resolve();
      });
    });
  }
}

/** `count` addresses of loopback: so many hosts. */
export function hosts(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `127.2.${n >> 8}.${n & 255}`);
}
