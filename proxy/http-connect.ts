/**
 * HTTP CONNECT (RFC 9110 section 9.3.6) as a pure reader: the header of one request, then a tunnel. Other methods get a
 * page in plain text, since a browser that takes the port for an HTTP proxy or a web server is the commonest mistake.
 *
 * Who asks as if for a page must name this machine in `Host`: any web page can make a browser send such a request
 * through DNS rebinding, and shall not learn what listens here.
 * @module
 */
import { asBuffer } from '../lib/bytes.ts';
import type { ErrorCode } from '../lib/errors.ts';
import { isLoopbackName } from '../lib/http.ts';
import type { Handshake, HandshakeStep } from './handshake.ts';
import {
  HTTP_ESTABLISHED,
  HTTP_HEADER_TOO_LARGE,
  HTTP_NOT_A_PROXY,
  HTTP_NOT_A_SITE,
  httpFailure,
} from './http-replies.ts';

/** Bytes of request line and fields together. */
export const MAX_HTTP_HEADER_BYTES = 8192;

/** Field names in lower case with their values; a name given twice has both, as RFC 9110 section 5.3 joins them. */
type Fields = ReadonlyMap<string, string>;

interface Header {
  readonly method: string;
  readonly target: string;
  readonly fields: Fields;
}

export class HttpHandshake implements Handshake {
  #received: Buffer = Buffer.alloc(0);
  /** The end of the header is not before this. */
  #searched = 0;
  #done = false;

  push(bytes: Uint8Array): HandshakeStep[] {
    if (this.#done || bytes.byteLength === 0) return [];
    this.#received = this.#received.byteLength === 0 ? asBuffer(bytes) : Buffer.concat([this.#received, bytes]);
    const end = headerEnd(this.#received, this.#searched);
    this.#searched = Math.max(0, this.#received.byteLength - 3);
    if ((end ?? this.#received.byteLength) > MAX_HTTP_HEADER_BYTES) return this.#finish(TOO_LARGE);
    if (end === undefined) return [];
    const header = parseHeader(this.#received.toString('latin1', 0, end));
    return this.#finish(header === undefined ? refuse('MALFORMED') : stepFor(header, this.#received.subarray(end)));
  }

  openedReply(): Uint8Array {
    return HTTP_ESTABLISHED;
  }

  failureReply(code: ErrorCode): Uint8Array {
    return httpFailure(code);
  }

  #finish(step: HandshakeStep): HandshakeStep[] {
    this.#done = true;
    return [step];
  }
}

const TOO_LARGE: HandshakeStep = { kind: 'refuse', bytes: HTTP_HEADER_TOO_LARGE, reason: 'MALFORMED' };

/** Behind the empty line, or undefined. A bare LF ends a line too (RFC 9112 section 2.2). */
function headerEnd(bytes: Buffer, from: number): number | undefined {
  for (let at = bytes.indexOf(0x0a, from); at !== -1; at = bytes.indexOf(0x0a, at + 1)) {
    const next = bytes[at + 1] === 0x0d ? at + 2 : at + 1;
    if (bytes[next] === 0x0a) return next + 1;
  }
  return undefined;
}

/** Undefined when it is not HTTP/1. Lines folded over are obsolete and refused (RFC 9112 section 5.2). */
function parseHeader(text: string): Header | undefined {
  const [first = '', ...lines] = text.split(/\r?\n/);
  const start = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP\/1\.\d$/.exec(first);
  const fields = new Map<string, string>();
  for (const line of lines) {
    if (line === '') continue;
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    // A lone CR is no end of a line, and may be taken for one by the next reader (RFC 9112 section 2.2).
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) || line.includes('\r')) return undefined;
    const value = line.slice(colon + 1).trim();
    const before = fields.get(name);
    fields.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return start === null ? undefined : { method: start[1] ?? '', target: start[2] ?? '', fields };
}

function stepFor({ method, target, fields }: Header, early: Buffer): HandshakeStep {
  if (method === 'CONNECT') return tunnel(target, fields.get('proxy-authorization'), early);
  // Only a program that was told to use an HTTP proxy sends a whole URL.
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(target)) return page(HTTP_NOT_A_PROXY);
  return page(isLoopbackName(fields.get('host')) ? HTTP_NOT_A_SITE : new Uint8Array(0));
}

function page(bytes: Uint8Array): HandshakeStep {
  return { kind: 'refuse', bytes, reason: 'HTTP' };
}

/** `host:port` or `[address]:port`; the port is not optional (RFC 9110 section 9.3.6). */
function tunnel(target: string, credentials: string | undefined, early: Buffer): HandshakeStep {
  const match = /^(\[[^\]]*\]|[^:]*):(\d{1,5})$/.exec(target);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) return refuse('ADDRESS_TYPE');
  const host = Buffer.from(match[1] ?? '', 'latin1').toString('utf8');
  const isolation = credentials === undefined ? {} : { isolation: credentials };
  return { kind: 'request', request: { protocol: 'http', kind: 'tcp', host, port, ...isolation }, early };
}

function refuse(code: ErrorCode): HandshakeStep {
  return { kind: 'refuse', bytes: httpFailure(code), reason: code };
}
