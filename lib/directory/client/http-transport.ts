/**
 * Exchanges with authorities over HTTP, through undici.
 * @module
 */

import { Agent } from 'undici';
import { httpDateMs } from '../../core/clock.ts';
import { MixError, systemReason } from '../../core/errors.ts';
import type { HttpReply, HttpRequest, Transport } from './transport.ts';

/** Connecting takes no longer than this; the whole exchange is bounded by the epoch (timing.ts). */
const CONNECT_TIMEOUT_MS = 5_000;

/** Few connections, no redirects, answers bounded while they are read. `localAddress`: where to connect from. */
export function httpTransport(localAddress?: string): Transport {
  const agent = new Agent({
    connections: 2,
    pipelining: 1,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    maxHeaderSize: 16 * 1024,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  return {
    send: (request, signal) => exchange(agent, request, signal),
    close: () => agent.destroy(),
  };
}

async function exchange(
  agent: Agent,
  { url, maxBytes, ...rest }: HttpRequest,
  signal: AbortSignal,
): Promise<HttpReply> {
  const { origin, pathname, search } = new URL(url);
  try {
    const { method, headers = {}, body = null } = rest;
    const reply = await agent.request({ origin, path: pathname + search, method, headers, body, signal });
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of reply.body) {
      bytes += part.length;
      if (bytes > maxBytes) throw new MixError('LIMIT', `${url} sends more than ${maxBytes} bytes`);
      parts.push(part);
    }
    const dateMs = httpDateMs(reply.headers.date);
    return { status: reply.statusCode, text: Buffer.concat(parts).toString('utf8'), dateMs };
  } catch (error) {
    if (error instanceof MixError) throw error;
    if (signal.aborted && signal.reason instanceof MixError) throw signal.reason;
    throw new MixError('HOST_UNREACHABLE', `${origin} can not be reached (${systemReason(error)})`, error);
  }
}
