/**
 * The HTTP API of an authority, without HTTP: requests in, answers out.
 *
 *     POST /descriptor          an envelope; header mixsocks-join-proof; 200, or an error of one line
 *     GET  /consensus           the newest consensus in force; ETag
 *     GET  /consensus/EPOCH     that of one epoch, the next one included; ETag
 *     GET  /descriptors[?role=ROLE]
 * @module
 */
import { isIPv6 } from 'node:net';
import { DocumentRefused, JOIN_PROOF_HEADER, type Refusal, type VerifiedConsensus } from '../lib/directory/index.ts';
import { TokenBucket } from '../lib/mixing/index.ts';
import type { Admission } from './admission.ts';
import type { Authority } from './authority.ts';

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly header: (name: string) => string | undefined;
  readonly body: string;
  /** IP address of the sender. */
  readonly address: string;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
  readonly type: 'application/json' | 'text/plain; charset=utf-8';
  readonly headers?: Readonly<Record<string, string>>;
}

/** Announcements one address may send per second, on average and at once. Behind one address there may be many nodes. */
export const ANNOUNCEMENTS_PER_SECOND = 5;
export const ANNOUNCEMENT_BURST = 200;
/** Addresses whose rate is remembered; beyond, the one seen longest ago is forgotten. */
export const MAX_RATED_ADDRESSES = 10_000;

const STATUS: Readonly<Partial<Record<Refusal, number>>> = {
  'not-a-member': 403,
  'prefix-collision': 409,
  stale: 409,
  oversize: 413,
  full: 503,
};

export interface ApiOptions {
  readonly authority: Pick<Authority, 'announce' | 'consensus' | 'current'>;
  readonly admission: Pick<Admission, 'held'>;
  readonly nowMs: () => number;
  /** Told how each announcement ended. */
  readonly onAnnouncement: (result: 'accepted' | 'rate' | Refusal) => void;
}

export class Api {
  readonly #rates = new Map<string, TokenBucket>();

  constructor(readonly options: ApiOptions) {}

  async handle(request: ApiRequest): Promise<ApiAnswer> {
    const reading = request.method === 'GET' || request.method === 'HEAD';
    const epoch = /^\/consensus\/(\d{1,15})$/.exec(request.path)?.[1];
    if (request.path === '/descriptor') return request.method === 'POST' ? this.#announce(request) : notAllowed('POST');
    if (request.path === '/consensus' || epoch !== undefined) {
      if (!reading) return notAllowed('GET, HEAD');
      const { authority } = this.options;
      const found = epoch === undefined ? authority.current() : authority.consensus(Number(epoch));
      return this.#consensus(found, request.header('if-none-match'));
    }
    if (request.path === '/descriptors') return reading ? this.#descriptors(request.query) : notAllowed('GET, HEAD');
    return problem(404, 'there is no such page');
  }

  async #announce(request: ApiRequest): Promise<ApiAnswer> {
    const { authority, onAnnouncement } = this.options;
    if (!this.#withinRate(request.address)) {
      onAnnouncement('rate');
      return { ...problem(429, 'too many announcements from this address'), headers: { 'Retry-After': '1' } };
    }
    try {
      await authority.announce(request.body, request.header(JOIN_PROOF_HEADER));
      onAnnouncement('accepted');
      return { status: 200, body: 'accepted\n', type: 'text/plain; charset=utf-8' };
    } catch (error) {
      if (!(error instanceof DocumentRefused)) throw error;
      onAnnouncement(error.reason);
      return problem(STATUS[error.reason] ?? 400, `${error.reason}: ${error.message}`);
    }
  }

  #consensus(found: VerifiedConsensus | undefined, known: string | undefined): ApiAnswer {
    if (found === undefined) return problem(404, 'there is no such consensus yet');
    const etag = `"${found.digest}"`;
    const headers = { ETag: etag, 'Cache-Control': 'no-cache' };
    if (known === etag) return { status: 304, body: '', type: 'application/json', headers };
    return { status: 200, body: found.text, type: 'application/json', headers };
  }

  #descriptors(query: URLSearchParams): ApiAnswer {
    const role = query.get('role');
    const texts = [...this.options.admission.held.values()]
      .filter(({ descriptor }) => role === null || descriptor.role === role)
      .map(({ text }) => text);
    return { status: 200, body: `{"descriptors":[${texts.join(',')}]}`, type: 'application/json' };
  }

  #withinRate(address: string): boolean {
    const key = rateKey(address);
    const nowMs = this.options.nowMs();
    const bucket = this.#rates.get(key) ?? new TokenBucket(ANNOUNCEMENTS_PER_SECOND, ANNOUNCEMENT_BURST, nowMs);
    this.#rates.delete(key); // in again at the end: the map is in order of last use
    this.#rates.set(key, bucket);
    const oldest = this.#rates.keys().next().value;
    if (this.#rates.size > MAX_RATED_ADDRESSES && oldest !== undefined) this.#rates.delete(oldest);
    return bucket.take(nowMs);
  }
}

/** One host has many IPv6 addresses: they count by /64, the least a site is given (RFC 6177). */
export function rateKey(address: string): string {
  if (!isIPv6(address) || /^::ffff:\d/i.test(address)) return address;
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array(Math.max(0, 8 - left.length - right.length)).fill('0');
  return [...left, ...zeros, ...right].slice(0, 4).join(':');
}

function problem(status: number, line: string): ApiAnswer {
  return { status, body: `${line}\n`, type: 'text/plain; charset=utf-8' };
}

function notAllowed(allow: string): ApiAnswer {
  return { ...problem(405, `only ${allow}`), headers: { Allow: allow } };
}
