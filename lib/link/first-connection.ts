/**
 * A TCP connection to one of the addresses of a node: attempts begin one after the other, a little apart or when one has failed, and the
 * first that succeeds is taken ("Happy Eyeballs", RFC 8305, of at most two addresses). `autoSelectFamily` of node:net gives the first attempt up
 * when it begins the second, and has one port for both.
 * @module
 */
import { connect, isIP, type Socket } from 'node:net';
import type { Clock, Timer } from '../core/clock.ts';
import { systemCode } from '../core/errors.ts';
import type { HostPort } from '../net/address.ts';
import type { LinkTarget } from './types.ts';

/** After so long without an answer the other address is tried beside it (RFC 8305 section 8). */
export const ATTEMPT_DELAY_MS = 250;

export interface FirstConnectionOptions {
  readonly addresses: readonly HostPort[];
  /** The address of this machine to connect from; the system chooses without it. */
  readonly localAddress?: string | undefined;
  readonly clock: Pick<Clock, 'after'>;
  readonly onConnected: (socket: Socket) => void;
  /** All have failed. The code is the system's, of the failure that says the most. */
  readonly onFailed: (code: string) => void;
  /** For tests: connections that do not reach out. */
  readonly open?: (address: HostPort) => Socket;
}

/**
 * Where to try a node, in order: IPv6 first (RFC 8305 section 4), or IPv4. With an address of its own to connect from a machine has that
 * family alone.
 */
export function addressesOf(
  { host, port, ipv6 }: Omit<LinkTarget, 'id'>,
  { localAddress, ipv4First }: { readonly localAddress?: string | undefined; readonly ipv4First: boolean },
): HostPort[] {
  if (ipv6 === undefined) return [{ host, port }];
  const ordered = ipv4First ? [{ host, port }, ipv6] : [ipv6, { host, port }];
  return localAddress === undefined ? ordered : ordered.filter((one) => isIP(one.host) === isIP(localAddress));
}

export class FirstConnection {
  readonly #waiting: HostPort[];
  readonly #running = new Set<Socket>();
  readonly #failures: string[] = [];
  #timer: Timer | undefined;
  #isOver = false;

  /** Begins at once; it calls back later. */
  constructor(private readonly options: FirstConnectionOptions) {
    this.#waiting = [...options.addresses];
    this.#next();
  }

  /** Gives up what is running; calls nobody back. */
  cancel(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    for (const socket of this.#running) socket.destroy();
    this.#running.clear();
  }

  #next(): void {
    this.#timer?.cancel();
    const address = this.#waiting.shift();
    if (address === undefined) return;
    const {
      localAddress,
      clock,
      open = (to) => connect(localAddress === undefined ? to : { ...to, localAddress }),
    } = this.options;
    const socket = open(address);
    this.#running.add(socket);
    socket.once('connect', () => this.#connected(socket));
    socket.on('error', (error) => this.#failed(socket, systemCode(error) ?? 'error'));
    if (this.#waiting.length > 0) this.#timer = clock.after(ATTEMPT_DELAY_MS, () => this.#next());
  }

  #connected(socket: Socket): void {
    if (!this.#running.delete(socket)) return;
    this.cancel();
    this.options.onConnected(socket);
  }

  #failed(socket: Socket, code: string): void {
    if (!this.#running.delete(socket)) return; // it is another's by now
    socket.destroy();
    this.#failures.push(code);
    if (this.#waiting.length > 0) this.#next();
    else if (this.#running.size === 0 && !this.#isOver) {
      this.#isOver = true;
      this.options.onFailed(this.#failures.find((one) => one !== 'ENETUNREACH') ?? code);
    }
  }
}
