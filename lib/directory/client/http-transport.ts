/**
 * Exchanges with authorities over HTTP, by Node's own client: every process of a network has one, and others take 18 MB of it.
 * @module
 */
import * as http from 'node:http';
import * as https from 'node:https';
import { httpDateMs, systemClock } from '../../core/clock.ts';
import { MixError, systemCode, systemReason } from '../../core/errors.ts';
import { type HttpReply, type HttpRequest, IM_USED, type Transport } from './transport.ts';

/** Connecting takes no longer than this; the whole exchange is bounded by the epoch (timing.ts). */
const CONNECT_TIMEOUT_MS = 5_000;
/** An unused connection is closed before the authority does so: what is asked in that moment would be lost. */
const KEEP_ALIVE_MS = 4_000;
/** Connections to an authority. */
const MAX_CONNECTIONS = 2;
const MAX_HEADER_BYTES = 16 * 1024;

/** Few connections, no redirects, answers bounded while they are read. `localAddress`: where to connect from. */
export function httpTransport(localAddress?: string): Transport {
  const options = { keepAlive: true, maxSockets: MAX_CONNECTIONS, timeout: KEEP_ALIVE_MS };
  const agents = { 'http:': new http.Agent(options), 'https:': new https.Agent(options) };
  const running = new Set<http.ClientRequest>();

  function open({ url, method, headers = {} }: HttpRequest, signal: AbortSignal): http.ClientRequest {
    const isHttps = new URL(url).protocol === 'https:';
    const agent = agents[isHttps ? 'https:' : 'http:'];
    const { request } = isHttps ? https : http;
    const from = localAddress === undefined ? {} : { localAddress };
    const opened = request(url, { method, headers, agent, signal, maxHeaderSize: MAX_HEADER_BYTES, ...from });
    running.add(opened);
    opened.once('close', () => running.delete(opened));
    return opened;
  }

  return {
    send: (request, signal) => exchange(() => open(request, signal), request, signal),
    async close() {
      for (const request of running) request.destroy();
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

async function exchange(
  open: () => http.ClientRequest,
  { url, body, maxBytes }: HttpRequest,
  signal: AbortSignal,
): Promise<HttpReply> {
  try {
    const reply = await firstAnswer(open, body);
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of reply) {
      bytes += part.length;
      if (bytes > maxBytes) throw new MixError('LIMIT', `${url} sends more than ${maxBytes} bytes`);
      parts.push(part);
    }
    const dateMs = httpDateMs(reply.headers.date);
    const { statusCode: status = 0 } = reply;
    const got = Buffer.concat(parts);
    return status === IM_USED
      ? { status, text: '', bytes: got, dateMs }
      : { status, text: got.toString('utf8'), dateMs };
  } catch (error) {
    if (error instanceof MixError) throw error;
    if (signal.aborted && signal.reason instanceof MixError) throw signal.reason;
    throw new MixError('HOST_UNREACHABLE', `${new URL(url).origin} can not be reached (${systemReason(error)})`, error);
  }
}

/**
 * Sends the request; resolves with the head of the answer. An unused connection may have been closed at the other end when it is
 * taken; then another one is. All that is asked may be asked twice: announcements too (docs/PROTOCOL.md section 4.3, rule 5).
 */
async function firstAnswer(open: () => http.ClientRequest, body: string | undefined): Promise<http.IncomingMessage> {
  for (let again = MAX_CONNECTIONS; ; again--) {
    const request = open();
    try {
      return await answerTo(request, body);
    } catch (error) {
      if (again === 0 || !request.reusedSocket || systemCode(error) !== 'ECONNRESET') throw error;
    }
  }
}

function answerTo(request: http.ClientRequest, body: string | undefined): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    request
      .once('response', resolve)
      .on('error', reject)
      // Of an answer that changes the protocol (101) nothing else comes: the request is closed without response and error.
      .once('close', () => reject(new Error('closed without an answer')))
      .once('socket', (socket) => {
        if (!socket.connecting) return;
        const late = () => request.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`));
        const timer = systemClock.after(CONNECT_TIMEOUT_MS, late);
        request.once('close', () => timer.cancel());
        socket.once('connect', () => timer.cancel());
      });
    request.end(body);
  });
}
