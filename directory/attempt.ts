/**
 * Which addresses an authority dials, and how it tries one: a link that ends with the hello of the node.
 * @module
 */
import type { Clock } from '../lib/core/clock.ts';
import { FULL, type LinkTarget, NO_COMMON_GROUP, type NodeIdentity, tryLink } from '../lib/link/index.ts';
import { type HostPort, joinHostPort } from '../lib/net/address.ts';
import { isLoopback, isPermitted, parseAddress } from '../lib/net/address-policy.ts';
import { hasRoute } from '../lib/net/has-route.ts';
import type { Attempt } from './reachability.ts';

/** From the TCP connection to the hello. */
export const ATTEMPT_TIMEOUT_MS = 5_000;

export interface AttemptOptions {
  readonly identity: NodeIdentity;
  readonly networkId: Uint8Array;
  readonly packetBytes: number;
  readonly clock: Clock;
}

export function attemptBy(options: AttemptOptions): Attempt {
  const tryOne = (target: LinkTarget) => tryLink({ ...options, target, timeoutMs: ATTEMPT_TIMEOUT_MS });
  return attemptAll(tryOne, hasRoute);
}

/**
 * A node has to answer at each of its addresses: whoever has only the family of one of them must reach it. Of two, one that this authority
 * has no route to is left to the others. Whether it has one is decided by its own table of routes: an error that comes from outside could be
 * the node's. `tryOne`: undefined, or the reason of a failure.
 */
export function attemptAll(
  tryOne: (target: LinkTarget) => Promise<string | undefined>,
  isRouted: (host: string) => Promise<boolean>,
): Attempt {
  return async ({ id, host, port, ipv6 }) => {
    const all = [{ host, port }, ...(ipv6 === undefined ? [] : [ipv6])];
    const routed = await Promise.all(all.map((one) => isRouted(one.host)));
    const tried = routed.includes(true) ? all.filter((_, index) => routed[index]) : all;
    const problems = await Promise.all(
      tried.map(async (one) => {
        const reason = await tryOne({ id, ...one });
        return reason === undefined ? [] : [problemText(reason, one)];
      }),
    );
    return problems.flat().join('; ') || undefined;
  };
}

type Problem = (at: string, reason: string) => string;
const noAnswer: Problem = (at) => `no answer at ${at} within ${ATTEMPT_TIMEOUT_MS / 1000} s`;
const noRoute: Problem = (at, reason) => `the authority has no route to ${at} (${reason})`;
const closed: Problem = (at) => `what answers at ${at} closes the connection: it is no node of this network, or full`;
/** What reasons of `tryLink` mean to who runs the node. */
const PROBLEMS: Readonly<Record<string, Problem>> = {
  ECONNREFUSED: (at) => `connection refused at ${at}`,
  ...{ 'handshake-timeout': noAnswer, ETIMEDOUT: noAnswer },
  ...{ EHOSTUNREACH: noRoute, ENETUNREACH: noRoute, EADDRNOTAVAIL: noRoute },
  'foreign-key': (at) => `another identity answers at ${at}`,
  ...{ refused: closed, ECONNRESET: closed },
  'wrong-version': (at) => `what answers at ${at} speaks another version of links`,
  [NO_COMMON_GROUP]: (at) => `what answers at ${at} takes no key exchange that the authority has (linkKeyExchange)`,
  [FULL]: (at) => `the node at ${at} is full`,
};

export function problemText(reason: string, { host, port }: HostPort): string {
  const at = joinHostPort(host, port);
  return PROBLEMS[reason]?.(at, reason) ?? `no node answers at ${at} (${reason})`;
}

/**
 * Why an authority does not dial `host`, in one line. Addresses of its own machine and network are none of a stranger's: it
 * dials them where it is itself at such an address, or by option. `own`: the host of its URL.
 */
export function refusalBy(own: string, allowPrivate: boolean | undefined) {
  const dialsLoopback = isLoopback(own);
  const dialsPrivate = allowPrivate ?? (dialsLoopback || parseAddress(own)?.scope === 'private');
  return (host: string): string | undefined => {
    const scope = parseAddress(host)?.scope ?? 'never';
    if (isPermitted(scope, dialsPrivate) && (dialsLoopback || !isLoopback(host))) return undefined;
    const kind = isLoopback(host) ? 'an address of its own machine alone' : 'no address of the internet';
    return `${host} is ${kind}, which this authority does not dial: advertise another one`;
  };
}
