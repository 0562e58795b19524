/**
 * The HTTP API of an authority, without HTTP: requests in, answers out.
 *
 *     POST /descriptor          an envelope; header mixsocks-join-proof; 200, or an error of one line
 *     GET  /consensus           the newest consensus in force; ETag; 226 with a difference where one is asked for
 *     GET  /consensus/EPOCH     that of one epoch, the next one included; likewise
 *                               both: 406 where header mixsocks-documents names no version that it has
 *     GET  /descriptors[?role=ROLE]
 *     GET  /voting/EPOCH        what this authority shows the others of its voting (voting/sheet.ts)
 *     GET  /voting/EPOCH/HASH   a ballot, the payload of a consensus or a descriptor in it
 * @module
 */
import { type EpochNumber, epochNumber, type MonotonicMs } from '../lib/core/units.ts';
import { speaks, versionsText } from '../lib/core/version-range.ts';
import {
  DIFFERENCE_NAME,
  DOCUMENT_VERSIONS_HEADER,
  DocumentRefused,
  JOIN_PROOF_HEADER,
  type Refusal,
  type VerifiedConsensus,
  versionsOfField,
} from '../lib/directory/index.ts';
import type { Admission } from './admission.ts';
import type { Authority } from './authority.ts';
import { Differences } from './differences.ts';
import { SourceRates } from './source-rates.ts';

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
  /** Long answers are bytes made once and shared: a thousand slow readers must not take a thousand copies. */
  readonly body: string | Buffer;
  readonly type: 'application/json' | 'application/octet-stream' | 'text/plain; charset=utf-8';
  readonly headers?: Readonly<Record<string, string>>;
}

/** Announcements one address may send per second, on average and at once. Behind one address there may be many nodes. */
export const ANNOUNCEMENTS_PER_SECOND = 5;
export const ANNOUNCEMENT_BURST = 200;

/** What `?role=` may say; empty for all. */
const LISTED_ROLES: readonly string[] = ['', 'mixnode', 'gateway', 'requester'];

const STATUS: Readonly<Partial<Record<Refusal, number>>> = {
  'not-a-member': 403,
  'token-unknown': 403,
  'token-used': 403,
  'token-expired': 403,
  'token-role': 403,
  'token-revoked': 403,
  expelled: 403,
  capacity: 403,
  unreachable: 403,
  'prefix-collision': 409,
  stale: 409,
  oversize: 413,
  rate: 429,
  full: 503,
  untried: 503,
};

export interface ApiOptions {
  readonly authority: Pick<Authority, 'announce' | 'consensus' | 'current'> & { readonly voting?: Authority['voting'] };
  readonly admission: Pick<Admission, 'held' | 'revision'>;
  readonly nowMs: () => MonotonicMs;
  /** Called with the outcome of each announcement. */
  readonly onAnnouncement: (result: 'accepted' | Refusal) => void;
}

export class Api {
  readonly #rates = new SourceRates(ANNOUNCEMENTS_PER_SECOND, ANNOUNCEMENT_BURST);
  readonly #differences = new Differences((epoch) => this.options.authority.consensus(epoch));
  readonly #consensusBytes = new WeakMap<VerifiedConsensus, Buffer>();
  readonly #listBytes = new Map<string, { readonly revision: number; readonly bytes: Buffer }>();

  constructor(readonly options: ApiOptions) {}

  async handle(request: ApiRequest): Promise<ApiAnswer> {
    const reading = request.method === 'GET' || request.method === 'HEAD';
    const epoch = /^\/consensus\/(\d{1,15})$/.exec(request.path)?.[1];
    if (request.path === '/descriptor') return request.method === 'POST' ? this.#announce(request) : notAllowed('POST');
    if (request.path === '/consensus' || epoch !== undefined) {
      if (!reading) return notAllowed('GET, HEAD');
      const { authority } = this.options;
      const found = epoch === undefined ? authority.current() : authority.consensus(epochNumber(Number(epoch)));
      return this.#consensus(found, request);
    }
    const [, voted, hash] = /^\/voting\/(\d{1,15})(?:\/([0-9a-f]{64}))?$/.exec(request.path) ?? [];
    if (voted !== undefined) return reading ? this.#voting(epochNumber(Number(voted)), hash) : notAllowed('GET, HEAD');
    if (request.path === '/descriptors') return reading ? this.#descriptors(request.query) : notAllowed('GET, HEAD');
    return problem(404, 'there is no such page');
  }

  async #announce(request: ApiRequest): Promise<ApiAnswer> {
    const { authority, onAnnouncement } = this.options;
    if (!this.#rates.take(request.address, this.options.nowMs())) {
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

  #consensus(found: VerifiedConsensus | undefined, { header }: Pick<ApiRequest, 'header'>): ApiAnswer {
    if (found === undefined) return problem(404, 'there is no such consensus yet');
    const reads = versionsOfField(header(DOCUMENT_VERSIONS_HEADER));
    const { version } = found.consensus;
    if (reads !== undefined && !speaks(reads, version)) {
      const line = `version: the consensus has version ${version}, and its reader reads version ${versionsText(reads)}`;
      return problem(406, `${line}; update ${version > reads.highest ? 'the reader' : 'the authority'}`);
    }
    const etag = `"${found.digest}"`;
    const known = header('if-none-match') ?? '';
    const headers = { ETag: etag, 'Cache-Control': 'no-cache' };
    if (known === etag) return { status: 304, body: '', type: 'application/json', headers };
    const difference = header('a-im') === DIFFERENCE_NAME ? this.#differences.to(found, known) : undefined;
    if (difference !== undefined) {
      const delta = { ETag: etag, 'Cache-Control': 'no-store', IM: DIFFERENCE_NAME, 'Delta-Base': known };
      return { status: 226, body: difference, type: 'application/octet-stream', headers: delta };
    }
    const body = this.#consensusBytes.get(found) ?? Buffer.from(found.text, 'utf8');
    this.#consensusBytes.set(found, body);
    return { status: 200, body, type: 'application/json', headers };
  }

  #voting(epoch: EpochNumber, hash: string | undefined): ApiAnswer {
    const { voting } = this.options.authority;
    const body = hash === undefined ? voting?.sheet(epoch) : voting?.content(epoch, hash);
    return body === undefined ? problem(404, 'nothing of that') : { status: 200, body, type: 'application/json' };
  }

  #descriptors(query: URLSearchParams): ApiAnswer {
    const role = query.get('role') ?? '';
    if (!LISTED_ROLES.includes(role)) return problem(400, 'there is no such role');
    return { status: 200, body: this.#list(role), type: 'application/json' };
  }

  #list(role: string): Buffer {
    const { held, revision } = this.options.admission;
    const made = this.#listBytes.get(role);
    if (made?.revision === revision) return made.bytes;
    const texts = [...held.values()]
      .filter(({ descriptor }) => role === '' || descriptor.role === role)
      .map(({ text }) => text);
    const bytes = Buffer.from(`{"descriptors":[${texts.join(',')}]}`, 'utf8');
    this.#listBytes.set(role, { revision, bytes });
    return bytes;
  }
}

function problem(status: number, line: string): ApiAnswer {
  return { status, body: `${line}\n`, type: 'text/plain; charset=utf-8' };
}

function notAllowed(allow: string): ApiAnswer {
  return { ...problem(405, `only ${allow}`), headers: { Allow: allow } };
}
