/**
 * An undici dispatcher whose connections go through the mixnet: `fetch(url, { dispatcher: new MixnetAgent(…) })`.
 * TLS is spoken with the site, over the stream: the exit carries ciphertext.
 * @module
 */
import { isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { Agent, type buildConnector, Dispatcher } from 'undici';
import { MixError } from '../lib/core/errors.ts';
import type { MixnetStream } from '../lib/relay/mixnet-stream.ts';
import { MixnetClient } from './client.ts';
import type { MixnetOptions } from './options.ts';

/** How requests are made; undici's options of the same names. */
export interface AgentTerms {
  /** Streams with different tokens share no session, so that the exit cannot link them. */
  readonly isolation?: string;
  /** Terms of TLS with sites, as `node:tls` has them: `ca`, `rejectUnauthorized`, … */
  readonly tls?: Omit<ConnectionOptions, 'socket' | 'host' | 'port' | 'path' | 'ALPNProtocols' | 'session'>;
  /** Streams to one origin at a time; further requests wait. Default 16. */
  readonly connections?: number;
  readonly pipelining?: number;
  readonly keepAliveTimeout?: number;
  readonly headersTimeout?: number;
  readonly bodyTimeout?: number;
}

/** What the agent needs of a client. */
export type StreamSource = Pick<MixnetClient, 'ready' | 'open' | 'connectTimeoutMs' | 'close'>;

/** A client of your own, which stays yours to close; or the options of one that lives as long as the agent. */
export type MixnetAgentOptions = AgentTerms & ({ readonly client: StreamSource } | MixnetOptions);

/** Streams to one origin. */
export const DEFAULT_CONNECTIONS = 16;

export class MixnetAgent extends Dispatcher {
  /** Yours, or the agent's own from the first request on. */
  #client: Promise<StreamSource> | undefined;
  readonly #join: () => Promise<StreamSource>;
  readonly #ownsClient: boolean;
  readonly #agent: Agent;

  constructor(options: MixnetAgentOptions) {
    super();
    const { isolation, tls = {}, connections = DEFAULT_CONNECTIONS, ...others } = options;
    const { pipelining, keepAliveTimeout, headersTimeout, bodyTimeout, ...rest } = others;
    this.#ownsClient = !('client' in rest);
    this.#join = () => ('client' in rest ? Promise.resolve(rest.client) : MixnetClient.join(rest));
    const terms = { connections, pipelining, keepAliveTimeout, headersTimeout, bodyTimeout };
    const given = Object.fromEntries(Object.entries(terms).filter(([, value]) => value !== undefined));
    this.#agent = new Agent({ ...given, connect: (to, callback) => this.#connect(to, callback, tls, isolation) });
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return this.#agent.dispatch(options as Agent.DispatchOptions, handler);
  }

  /** Lets requests under way finish, then closes; the client too, unless it is yours. */
  override close(): Promise<void>;
  override close(callback: () => void): void;
  override close(callback?: () => void): Promise<void> | undefined {
    const closed = this.#agent.close().then(() => this.#closeClient());
    return settle(closed, callback);
  }

  /** Breaks requests under way off with `error` and closes. */
  override destroy(): Promise<void>;
  override destroy(error: Error | null): Promise<void>;
  override destroy(callback: () => void): void;
  override destroy(error: Error | null, callback: () => void): void;
  override destroy(first?: Error | null | (() => void), second?: () => void): Promise<void> | undefined {
    const callback = typeof first === 'function' ? first : second;
    const error = typeof first === 'function' ? null : (first ?? null);
    const destroyed = this.#agent.destroy(error).then(() => this.#closeClient());
    return settle(destroyed, callback);
  }

  async #closeClient(): Promise<void> {
    if (!this.#ownsClient) return;
    const client = await this.#client?.catch(() => undefined);
    await client?.close();
  }

  #connect(
    to: buildConnector.Options,
    callback: buildConnector.Callback,
    tls: ConnectionOptions,
    isolation: string | undefined,
  ): void {
    this.#open(to, tls, isolation).then(
      // undici asks of a socket what every Duplex has, and a few calls that MixnetStream answers.
      (socket) => callback(null, socket as Socket | TLSSocket),
      (error: Error) => callback(error, null),
    );
  }

  async #open(to: buildConnector.Options, tls: ConnectionOptions, isolation?: string): Promise<unknown> {
    this.#client ??= this.#join();
    const client = await this.#client;
    await client.ready();
    const secure = to.protocol === 'https:';
    const port = Number(to.port) || (secure ? 443 : 80);
    const stream = client.open({ host: to.hostname, port, ...(isolation === undefined ? {} : { isolation }) });
    stream.on('error', () => {}); // undici, or TLS, reports it
    if (stream.errored !== null) throw stream.errored;
    // The request travels with the opening of the stream, and so does the ClientHello below: a round trip less.
    if (!secure) return stream;
    const servername = to.servername || (isIP(unbracketed(to.hostname)) ? '' : to.hostname);
    const socket = connectTls({
      servername,
      ...tls,
      socket: stream,
      host: unbracketed(to.hostname),
      ALPNProtocols: ['http/1.1'],
    });
    const late = client.connectTimeoutMs;
    const timeout = AbortSignal.timeout(late);
    const onLate = () => stream.destroy(new MixError('TIMEOUT', `no TLS with ${to.hostname} within ${late} ms`));
    timeout.addEventListener('abort', onLate);
    return secured(socket, stream).finally(() => timeout.removeEventListener('abort', onLate));
  }
}

/** Resolves with `socket` when TLS stands; rejects with what went wrong with it, or with the stream below. */
function secured(socket: TLSSocket, stream: MixnetStream): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => reject(stream.errored ?? error);
    stream.once('error', fail);
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      stream.off('error', fail);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

const unbracketed = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');

function settle(done: Promise<void>, callback: (() => void) | undefined): Promise<void> | undefined {
  if (callback === undefined) return done;
  done.then(callback, callback);
  return undefined;
}
