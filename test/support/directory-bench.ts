/**
 * A member of a network on a virtual clock, and authorities that answer as the test says.
 * @module
 */
import type { Test } from 'tap';
import { MixError } from '../../lib/core/errors.ts';
import {
  DirectoryClient,
  type HttpReply,
  type HttpRequest,
  type NetworkFile,
  signDocument,
  type Transport,
} from '../../lib/directory/index.ts';
import { type Log, silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { seededRng } from './seeded-rng.ts';
import { consensusOf, crypto, epochOf, keys } from './signed-documents.ts';
import { VirtualClock } from './virtual-clock.ts';

export type Answer = (request: HttpRequest, signal: AbortSignal) => HttpReply | Promise<HttpReply>;

/** A member whose requests `answers` serves by host name. */
export class Bench {
  readonly clock = new VirtualClock();
  readonly warnings: string[] = [];
  readonly asked: { url: string; atMs: number; etag: string | undefined }[] = [];
  readonly metrics = new Metrics();
  readonly client: DirectoryClient;

  constructor(
    readonly network: NetworkFile,
    readonly answers: Record<string, Answer>,
    cacheFile?: string,
  ) {
    const note = (fields: object, message: string) => this.warnings.push(`${message} ${JSON.stringify(fields)}`);
    const log: Log = { ...silentLog, warn: note, error: note, child: () => log };
    const components = { clock: this.clock, rng: seededRng(1), crypto, log, metrics: this.metrics };
    const transport: Transport = { send: (request, signal) => this.#send(request, signal), close: async () => {} };
    this.client = new DirectoryClient({ network, components, transport, ...(cacheFile ? { cacheFile } : {}) });
  }

  get epoch(): number {
    return epochOf(this.network, this.clock.wallMs());
  }

  async run(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      this.clock.advance(Math.min(100, left));
      for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #send(request: HttpRequest, signal: AbortSignal): Promise<HttpReply> {
    const { host } = new URL(request.url);
    this.asked.push({ url: request.url, atMs: this.clock.wallMs(), etag: request.headers?.['if-none-match'] });
    const answer = this.answers[host];
    if (answer === undefined) throw new MixError('HOST_UNREACHABLE', `${host} is down`);
    return answer(request, signal);
  }
}

export function bench(t: Test, network: NetworkFile, answers: Record<string, Answer>, cacheFile?: string): Bench {
  const made = new Bench(network, answers, cacheFile);
  t.teardown(() => made.client.stop());
  return made;
}

export const absent: Answer = () => ({ status: 404, text: 'not yet' });
export const epochAsked = (request: HttpRequest) => Number(/\/consensus\/(\d+)$/.exec(request.url)?.[1]);

/** An authority that has a consensus for any epoch it is asked for. */
export const willing =
  (network: NetworkFile, n = 1000, extra: (epoch: number) => object = () => ({})): Answer =>
  (request) => {
    const epoch = epochAsked(request);
    const text = signDocument('consensus', consensusOf(network, epoch, extra(epoch)), keys(n).seed, crypto);
    const payload = (JSON.parse(text) as { payload: string }).payload;
    const etag = `"${Buffer.from(crypto.sha256(Buffer.from(payload))).toString('hex')}"`;
    return request.headers?.['if-none-match'] === etag ? { status: 304, text: '' } : { status: 200, text };
  };
