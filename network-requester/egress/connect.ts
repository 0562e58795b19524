/**
 * TCP connections to checked addresses, by "Happy Eyeballs" (RFC 8305): attempts begin one after the other, a little
 * apart, and the first that succeeds wins, so that a dead address or family costs a moment and not a time-out.
 *
 * The socket gets the address that the policy passed, and a lookup function that throws: no name reaches it, so nothing
 * can resolve differently the second time (DNS rebinding).
 * @module
 */
import { Socket, type SocketConstructorOpts } from 'node:net';
import type { Clock, Timer } from '../../lib/core/clock.ts';
import { type ErrorCode, MixError, systemCode } from '../../lib/core/errors.ts';
import type { ParsedAddress } from '../../lib/net/address-policy.ts';
import type { EgressLimits } from '../config.ts';

/** Why a connection attempt failed, from the kernel's error code. */
const CODE_OF_SYSTEM_ERROR: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'REFUSED',
  ECONNRESET: 'REFUSED',
  EHOSTUNREACH: 'HOST_UNREACHABLE',
  EHOSTDOWN: 'HOST_UNREACHABLE',
  ENETUNREACH: 'NET_UNREACHABLE',
  ENETDOWN: 'NET_UNREACHABLE',
  EADDRNOTAVAIL: 'NET_UNREACHABLE',
  EAFNOSUPPORT: 'NET_UNREACHABLE',
  ETIMEDOUT: 'TIMEOUT',
  EACCES: 'POLICY',
  EPERM: 'POLICY',
  EMFILE: 'LIMIT',
  ENFILE: 'LIMIT',
  ENOBUFS: 'LIMIT',
  ENOMEM: 'LIMIT',
};

/** Of several failures the one that got furthest is reported. */
const BY_TELLING: readonly ErrorCode[] = [
  'REFUSED',
  'TIMEOUT',
  'HOST_UNREACHABLE',
  'NET_UNREACHABLE',
  'POLICY',
  'LIMIT',
];

export interface ConnectOptions {
  readonly clock: Clock;
  readonly limits: Pick<EgressLimits, 'connectStaggerMs' | 'addressesTried'>;
  /** Ends all attempts; the promise then rejects with TIMEOUT. */
  readonly signal: AbortSignal;
  /** For tests: sockets that do not reach out. */
  readonly newSocket?: () => Socket;
}

/** Connects to whichever of `addresses` answers first. Rejects with a MixError. */
export function connectToAny(
  addresses: readonly ParsedAddress[],
  port: number,
  options: ConnectOptions,
): Promise<Socket> {
  return new Promise((resolve, reject) => new Race(addresses, port, options, resolve, reject).start());
}

class Race {
  readonly #waiting: ParsedAddress[];
  readonly #running = new Set<Socket>();
  readonly #failures: ErrorCode[] = [];
  #stagger: Timer | undefined;
  #over = false;

  constructor(
    addresses: readonly ParsedAddress[],
    readonly port: number,
    readonly options: ConnectOptions,
    readonly resolve: (socket: Socket) => void,
    readonly reject: (error: MixError) => void,
  ) {
    this.#waiting = addresses.slice(0, options.limits.addressesTried);
  }

  start(): void {
    const { signal } = this.options;
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort);
    this.#next();
  }

  readonly #onAbort = (): void => {
    this.#failures.push('TIMEOUT');
    this.#waiting.length = 0;
    this.#fail();
  };

  /** Begins the next attempt; without one left and none running the race is lost. */
  #next(): void {
    if (this.#over) return;
    this.#stagger?.cancel();
    const address = this.#waiting.shift();
    if (address === undefined) {
      if (this.#running.size === 0) this.#fail();
      return;
    }
    this.#attempt(address);
    const { clock, limits } = this.options;
    if (this.#waiting.length > 0) this.#stagger = clock.after(limits.connectStaggerMs, () => this.#next());
  }

  #attempt(address: ParsedAddress): void {
    const socket = this.options.newSocket?.() ?? newSocket();
    this.#running.add(socket);
    socket.once('connect', () => this.#win(socket));
    socket.on('error', (error) => {
      if (!this.#running.delete(socket)) return;
      socket.destroy();
      this.#failures.push(CODE_OF_SYSTEM_ERROR[systemCode(error) ?? ''] ?? 'HOST_UNREACHABLE');
      this.#next();
    });
    socket.pause(); // until the relay takes what comes
    socket.connect({ host: address.text, port: this.port, family: address.family, lookup: refuseLookup });
  }

  #win(socket: Socket): void {
    if (!this.#running.delete(socket)) return;
    this.#end();
    this.resolve(socket);
  }

  #fail(): void {
    this.#end();
    const code = BY_TELLING.find((candidate) => this.#failures.includes(candidate)) ?? this.#failures[0] ?? 'INTERNAL';
    this.reject(new MixError(code, 'no address could be connected to'));
  }

  #end(): void {
    this.#over = true;
    this.#stagger?.cancel();
    this.options.signal.removeEventListener('abort', this.#onAbort);
    const losers = [...this.#running];
    this.#running.clear();
    for (const socket of losers) socket.destroy();
  }
}

/** What all sockets read into: who takes bytes copies them before the next are read. */
const readBuffer = Buffer.allocUnsafeSlow(65_536);

/**
 * A socket that reads into the one buffer, and emits what it has read as `data`. Else each read takes memory of its own, for the
 * collector of garbage to find: more, at a high rate, than all queues together.
 */
function newSocket(): Socket {
  // Documented for `connect`, which hands it to the constructor.
  const onread = {
    buffer: readBuffer,
    callback: (length: number): boolean => socket.emit('data', readBuffer.subarray(0, length)),
  };
  const options: SocketConstructorOpts & { readonly onread: typeof onread } = { allowHalfOpen: true, onread };
  const socket = new Socket(options);
  return socket;
}

function refuseLookup(): never {
  throw new MixError('INTERNAL', 'a checked address was about to be resolved again');
}
