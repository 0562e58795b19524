/**
 * TCP connections to checked addresses. The socket gets the address that the policy passed, and a lookup function that
 * throws: no name reaches it, so nothing can resolve differently the second time (DNS rebinding).
 * @module
 */
import { Socket } from 'node:net';
import type { ParsedAddress } from '../lib/address-policy.ts';
import type { Clock } from '../lib/clock.ts';
import { type ErrorCode, MixError, systemCode } from '../lib/errors.ts';
import type { EgressLimits } from './config.ts';

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

/** Of several failures the one is told that got furthest. */
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
  readonly limits: Pick<EgressLimits, 'connectPerAddressMs' | 'addressesTried'>;
  /** Ends all attempts; the promise then rejects with TIMEOUT. */
  readonly signal: AbortSignal;
  /** For tests: sockets that do not reach out. */
  readonly newSocket?: () => Socket;
}

/** Connects to the first of `addresses` that answers, trying them in turn. Rejects with a MixError. */
export async function connectToAny(
  addresses: readonly ParsedAddress[],
  port: number,
  options: ConnectOptions,
): Promise<Socket> {
  const failures: ErrorCode[] = [];
  const tried = addresses.slice(0, options.limits.addressesTried);
  for (const [index, address] of tried.entries()) {
    const last = index === tried.length - 1;
    const attempt = await connectOnce(
      address,
      port,
      options,
      last ? Number.POSITIVE_INFINITY : options.limits.connectPerAddressMs,
    );
    if (attempt instanceof Socket) return attempt;
    failures.push(attempt);
    if (options.signal.aborted) break;
  }
  const code = BY_TELLING.find((candidate) => failures.includes(candidate)) ?? failures[0] ?? 'INTERNAL';
  throw new MixError(code, 'no address could be connected to');
}

/** One attempt: the connected socket, or why not. */
function connectOnce(
  address: ParsedAddress,
  port: number,
  { clock, signal, newSocket }: ConnectOptions,
  limitMs: number,
): Promise<Socket | ErrorCode> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve('TIMEOUT');
      return;
    }
    const socket = newSocket?.() ?? new Socket({ allowHalfOpen: true });
    const finish = (result: Socket | ErrorCode) => {
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
      socket.off('connect', onConnect);
      if (!(result instanceof Socket)) socket.destroy();
      resolve(result);
    };
    const onConnect = () => finish(socket);
    const onAbort = () => finish('TIMEOUT');
    const timer = Number.isFinite(limitMs) ? clock.after(limitMs, onAbort) : undefined;
    signal.addEventListener('abort', onAbort);
    socket.on('connect', onConnect);
    socket.on('error', (error) => finish(CODE_OF_SYSTEM_ERROR[systemCode(error) ?? ''] ?? 'HOST_UNREACHABLE'));
    socket.connect({ host: address.text, port, family: address.family, lookup: refuseLookup });
  });
}

function refuseLookup(): never {
  throw new MixError('INTERNAL', 'a checked address was about to be resolved again');
}
