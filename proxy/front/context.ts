/**
 * What the connections of one listener share, and what of a request is decided by it: whether its destination may be
 * asked for, and with whom it may share a session.
 * @module
 */
import type { Socket } from 'node:net';
import type { LookupContext } from '../../lib/access/lookup.ts';
import type { StreamCounters } from '../../lib/access/stream-counters.ts';
import type { ErrorCode } from '../../lib/core/errors.ts';
import type { MemoryBudget } from '../../lib/core/memory-budget.ts';
import { parseAddress } from '../../lib/net/address-policy.ts';
import type { ConnectionBounds } from '../../lib/net/connection-bounds.ts';
import { checkDestination } from '../../lib/net/destination.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { FrontLimits } from '../config.ts';
import type { ClientRequest, Protocol } from './handshake/steps.ts';
import type { IsolationTokens } from './isolation.ts';
import type { LeakWarning } from './leak-warning.ts';
import { describeAddress, type ListenerOptions } from './listener.ts';

/** `allowPrivate` is as the listener has it. */
export interface ConnectionContext extends LookupContext {
  readonly log: Log;
  readonly limits: FrontLimits;
  readonly memory?: MemoryBudget;
  readonly counters: StreamCounters;
  readonly tokens: IsolationTokens;
  readonly leaks: LeakWarning;
  readonly listener: ListenerOptions;
  /** Of a listener that other machines can reach. */
  readonly bounds?: ConnectionBounds;
}

export type ConnectVerdict =
  | { readonly ok: true; readonly host: string }
  | { readonly ok: false; readonly code: ErrorCode };

/** Whether a connection to the destination may be asked for; with its host in canonical form. */
export function checkConnect(
  { host, port, protocol }: Pick<ClientRequest, 'host' | 'port' | 'protocol'>,
  context: ConnectionContext,
): ConnectVerdict {
  const verdict = checkDestination(host, context.allowPrivate);
  if (!verdict.ok) return verdict;
  if (port === 0) return { ok: false, code: 'REFUSED' };
  const { destination } = verdict;
  if (destination.kind === 'address' && isLeak(destination.host, protocol, context))
    return { ok: false, code: 'UNSAFE' };
  return { ok: true, host: destination.host };
}

/**
 * Who sends the address of a public site may have asked a resolver for it; that Chromium sends addresses as names does
 * not make them safer. True when this listener refuses such requests, else they are only noted.
 */
export function isLeak(address: string, protocol: Protocol, context: ConnectionContext): boolean {
  const { listener, leaks, counters } = context;
  if (listener.safeSocks) return true;
  if (parseAddress(address)?.scope !== 'public') return false;
  counters.addresses.inc({ protocol });
  leaks.note(describeAddress(listener.address), protocol);
  return false;
}

/** The isolation token of a request on `socket`. */
export function isolationOf(
  { protocol, isolation: credentials }: Pick<ClientRequest, 'protocol' | 'isolation'>,
  socket: Pick<Socket, 'remoteAddress'>,
  { listener, tokens }: ConnectionContext,
): string {
  return tokens.tokenOf({ listener, clientAddress: socket.remoteAddress, protocol, credentials });
}
