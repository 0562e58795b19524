/**
 * A connection through the proxy, as HTTP CONNECT: its answer names the error code, where SOCKS5 has a byte for several.
 * @module
 */
import { type ClientRequest, request } from 'node:http';
import type { Socket } from 'node:net';
import { ERRORS, isErrorCode, MixError } from '../../lib/core/errors.ts';
import { joinHostPort } from '../../lib/net/address.ts';
import { ERROR_FIELD } from '../../proxy/front/http/answers.ts';
import { dialProxy, type Login, type ProxyPlace } from '../proxy-use/address.ts';

/** Longer than a proxy waits by default for its requester: its answer has the reason. */
export const ANSWER_TIMEOUT_MS = 120_000;

export interface TunnelRequest {
  readonly place: ProxyPlace;
  readonly login: Login | undefined;
  readonly host: string;
  readonly port: number;
}

export interface Tunnel {
  /** Paused; both halves close on their own. */
  readonly socket: Socket;
  /** What came behind the answer. */
  readonly early: Uint8Array;
}

/** Opens a connection to `host:port`. Rejects with a MixError of what the proxy answered, REFUSED without one, TIMEOUT. */
export async function openTunnel(
  { place, login, host, port }: TunnelRequest,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<Tunnel> {
  const socket = await dialProxy(place);
  const target = joinHostPort(host, port);
  const asked = request({
    method: 'CONNECT',
    path: target,
    headers: { Host: target, ...(login === undefined ? {} : { 'Proxy-Authorization': basic(login) }) },
    createConnection: () => socket,
  });
  const timer = setTimeout(() => asked.destroy(new MixError('TIMEOUT', 'the proxy does not answer')), timeoutMs);
  try {
    return await answered(asked, socket);
  } finally {
    clearTimeout(timer);
  }
}

function answered(asked: ClientRequest, socket: Socket): Promise<Tunnel> {
  return new Promise((resolve, reject) => {
    asked.on('error', (error) => reject(error instanceof MixError ? error : notOurs(error)));
    asked.on('connect', ({ statusCode, headers }, _socket, early: Uint8Array) => {
      socket.pause();
      if (statusCode === 200) resolve({ socket, early });
      else {
        socket.destroy();
        const code = String(headers[ERROR_FIELD.toLowerCase()] ?? '');
        reject(isErrorCode(code) ? new MixError(code, ERRORS[code].meaning) : notOurs(`status ${statusCode}`));
      }
    });
    asked.end();
  });
}

function notOurs(cause: unknown): MixError {
  const reason = cause instanceof Error ? cause.message : cause;
  return new MixError('MALFORMED', `what was asked is no proxy of mixsocks: ${reason}`, cause);
}

function basic({ user, password }: Login): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}
