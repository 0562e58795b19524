/**
 * A client of the mixnet inside a program: streams without a local port.
 * @module
 */

import { addAbortSignal } from 'node:stream';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { ProxyMixnet } from '../lib/access/mixnet.ts';
import type { ReplyMeter } from '../lib/access/status/reply-meter.ts';
import { StreamCounters } from '../lib/access/stream-counters.ts';
import { every, systemClock } from '../lib/core/clock.ts';
import { MixError } from '../lib/core/errors.ts';
import { systemRng } from '../lib/core/rng.ts';
import type { MonotonicMs } from '../lib/core/units.ts';
import { loadCrypto, missingLibrary } from '../lib/crypto/index.ts';
import { loadNetworkFile, type NetworkFile, parseNetworkFile } from '../lib/directory/index.ts';
import { joinHostPort } from '../lib/net/address.ts';
import { checkDestination } from '../lib/net/destination.ts';
import type { Components } from '../lib/runtime/components.ts';
import { clientMemory } from '../lib/runtime/process-memory.ts';
import type { ProxySession } from '../lib/session/index.ts';
import { silentLog } from '../lib/telemetry/log.ts';
import { Metrics } from '../lib/telemetry/metrics.ts';

export type { Status } from '../lib/access/status/status.ts';
export { MixnetStream } from '../lib/relay/mixnet-stream.ts';

import type { Status } from '../lib/access/status/status.ts';
import { statusOf } from '../lib/access/status/status-of.ts';
import type { AccessTerms } from '../lib/access/terms.ts';
import { Diagnosis } from '../lib/access/troubles/diagnosis.ts';
import { MixnetStream } from '../lib/relay/mixnet-stream.ts';
import { lookUp } from './lookup.ts';
import { type MixnetOptions, termsOf } from './options.ts';

/** Where a stream leads. */
export interface Target {
  /** A name, which the exit resolves, or an address. */
  readonly host: string;
  readonly port: number;
  /** Streams with different tokens share no session, so that the exit cannot link them. */
  readonly isolation?: string;
  /** Breaks the stream off when aborted, before it is open or later. */
  readonly signal?: AbortSignal;
}

/** How a look-up is made. */
export interface LookUpOptions {
  /** As of a stream: the exit cannot link what has different tokens. */
  readonly isolation?: string;
  /** Default: the client's `connectTimeoutMs`, once it is ready. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface WaitOptions {
  /** Default: the client's `connectTimeoutMs`. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const READY_POLL_MS = 50;

export class MixnetClient {
  readonly #terms: AccessTerms;
  readonly #components: Components;
  readonly #mixnet: ProxyMixnet;
  readonly #counters: StreamCounters;
  readonly #replies: ReplyMeter<ProxySession>;
  readonly #startedMs: MonotonicMs;
  readonly #streams = new Set<MixnetStream>();
  /** Aborted when the client closes, with the reason: it was closed, or it has failed. */
  readonly #closing: AbortController;
  /** An open port keeps the process alive, as a listening socket would; the clock's timers do not. */
  #anchor: MessagePort | undefined;
  #closed: Promise<void> | undefined;

  private constructor(terms: AccessTerms, components: Components, mixnet: ProxyMixnet, closing: AbortController) {
    this.#closing = closing;
    this.#terms = terms;
    this.#components = components;
    this.#mixnet = mixnet;
    this.#startedMs = components.clock.nowMs();
    const { clock, metrics } = components;
    const diagnosis = new Diagnosis(mixnet);
    this.#counters = new StreamCounters(metrics, clock, () => this.#streams.size, diagnosis.situation);
    this.#replies = mixnet.replyMeter(() => diagnosis.look(this.#counters.troubles, clock.nowMs()));
  }

  /**
   * Begins to join the network; cover traffic starts as soon as there is a way. Resolves without waiting for that (see
   * `ready`). Throws MixError CONFIG or DOCUMENT when the options or the network file are wrong.
   */
  static async join(options: MixnetOptions): Promise<MixnetClient> {
    const terms = termsOf(options);
    const network = await networkOf(options.network);
    const closing = new AbortController();
    const log = options.log ?? silentLog;
    const crypto = await loadCrypto(terms.crypto);
    const missing = missingLibrary(crypto);
    if (missing !== undefined) log.warn({ backends: crypto.backends }, missing);
    const components: Components = {
      clock: systemClock,
      rng: systemRng,
      crypto,
      log,
      metrics: new Metrics(),
      outboundAddress: terms.outboundAddress,
      memory: clientMemory(),
      onFatal: (error) => closing.abort(error),
    };
    const mixnet = await ProxyMixnet.join(network, terms, components, options);
    const client = new MixnetClient(terms, components, mixnet, closing);
    client.#start();
    return client;
  }

  /**
   * Resolves when a stream opened now would go out at once. Rejects with a MixError that says what is missing
   * (NO_CONSENSUS, NO_GATEWAY, NO_REQUESTER, TIMEOUT) when that takes too long.
   */
  ready({ timeoutMs = this.#terms.connectTimeoutMs, signal }: WaitOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const { clock } = this.#components;
      const deadlineMs = clock.nowMs() + timeoutMs;
      const settle = (error?: unknown) => {
        poll.cancel();
        signal?.removeEventListener('abort', look);
        if (error === undefined) resolve();
        else reject(error);
      };
      const look = () => {
        if (signal?.aborted) settle(signal.reason);
        else if (this.#closing.signal.aborted) settle(this.#closing.signal.reason);
        else if (this.#mixnet.ready) settle();
        else if (clock.nowMs() >= deadlineMs) settle(this.#mixnet.obstacle());
      };
      const poll = every(clock, READY_POLL_MS, look);
      signal?.addEventListener('abort', look);
      look();
    });
  }

  /** Opens a stream and resolves when the exit has connected; waits until the client is ready first. */
  async connect(target: Target): Promise<MixnetStream> {
    await this.ready(target.signal === undefined ? {} : { signal: target.signal });
    const stream = this.open(target);
    return new Promise((resolve, reject) => {
      stream.once('error', reject);
      stream.once('connect', () => {
        stream.off('error', reject);
        resolve(stream);
      });
    });
  }

  /**
   * A stream that is only being opened: what is written now travels with the request, which saves a round trip. What
   * becomes of it comes as `connect` or `error`.
   */
  open(target: Target): MixnetStream {
    const { host, port, isolation, signal } = target;
    const stream = new MixnetStream({
      clock: this.#components.clock,
      target: joinHostPort(host, port),
      connectTimeoutMs: this.#terms.connectTimeoutMs,
      observer: this.#counters.begin('connection', port),
      open: (handlers) => {
        this.#closing.signal.throwIfAborted();
        const checked = this.#check(host, port);
        const kept = isolation === undefined ? {} : { isolation };
        return this.#mixnet.open({ kind: 'tcp', host: checked, port, ...kept }, handlers);
      },
    });
    this.#streams.add(stream);
    stream.start();
    stream.once('close', () => this.#streams.delete(stream));
    if (signal !== undefined) addAbortSignal(signal, stream);
    return stream;
  }

  /**
   * The addresses of a name, at least one, in the order of the exit's name servers: nothing asks yours. Waits until the
   * client is ready. Rejects with NOT_FOUND, HOST_UNREACHABLE, POLICY and the like.
   */
  resolve(name: string, options: LookUpOptions = {}): Promise<string[]> {
    return this.#lookUp(name, false, options);
  }

  /** The names of an address (PTR), at least one. */
  reverse(address: string, options: LookUpOptions = {}): Promise<string[]> {
    return this.#lookUp(address, true, options);
  }

  /** What the client sees of itself and of the network: the same as a proxy's status.json; `socks` is empty. */
  status(): Status {
    const status = statusOf({
      config: this.#terms,
      components: this.#components,
      mixnet: this.#mixnet,
      socks: '',
      streams: this.#counters.counts(),
      replies: this.#replies,
      startedMs: this.#startedMs,
    });
    const { aborted, reason } = this.#closing.signal;
    return aborted ? { ...status, ready: false, obstacle: reason.message } : status;
  }

  /** Time for `ready` and for a stream to open. */
  get connectTimeoutMs(): number {
    return this.#terms.connectTimeoutMs;
  }

  /**
   * Breaks all streams off and leaves the network. The process can end then. A client that cannot go on (INTERNAL, such as the end of
   * its thread) closes by itself: its streams, and calls from then on, fail with that error.
   */
  close(): Promise<void> {
    this.#closing.abort(new MixError('SESSION_CLOSED', 'the client is closed'));
    this.#closed ??= this.#stop();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #start(): void {
    const { signal } = this.#closing;
    const end = () => {
      this.close().catch((error: unknown) => this.#components.log.warn({ reason: String(error) }, 'closing failed'));
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    this.#replies.start();
    this.#anchor = new MessageChannel().port1;
    this.#anchor.ref();
  }

  async #stop(): Promise<void> {
    for (const stream of this.#streams) stream.destroy(this.#closing.signal.reason);
    this.#replies.stop();
    await this.#mixnet.stop();
    this.#anchor?.close();
  }

  async #lookUp(host: string, reverse: boolean, options: LookUpOptions): Promise<string[]> {
    const { isolation, timeoutMs = this.#terms.connectTimeoutMs, signal } = options;
    await this.ready({ timeoutMs, ...(signal === undefined ? {} : { signal }) });
    const answers = await lookUp(
      { host, reverse, ...(isolation === undefined ? {} : { isolation }) },
      {
        opener: this.#mixnet,
        clock: this.#components.clock,
        allowPrivate: this.#terms.allowPrivate,
        timeoutMs,
        observer: this.#counters.begin('look-up'),
        signals: [this.#closing.signal, ...(signal === undefined ? [] : [signal])],
      },
    );
    return [...answers];
  }

  /** The host in its canonical form; throws POLICY, ADDRESS_TYPE or CONFIG. */
  #check(host: string, port: number): string {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new MixError('CONFIG', `${port} is not a port`);
    const verdict = checkDestination(host, this.#terms.allowPrivate);
    if (verdict.ok) return verdict.destination.host;
    const why = verdict.code === 'POLICY' ? 'is private; `allowPrivate` lets it through' : 'is no host';
    throw new MixError(verdict.code, `${host} ${why}`);
  }
}

function networkOf(network: MixnetOptions['network']): Promise<NetworkFile> | NetworkFile {
  if (typeof network === 'string') return loadNetworkFile(network);
  return parseNetworkFile(JSON.stringify(network ?? null), 'network');
}
