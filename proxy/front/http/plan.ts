/**
 * What is to be done with a request, as a pure function of its header: pass it on (RFC 9112 section 3.2.2, absolute form),
 * or answer it here.
 * @module
 */
import type { IncomingMessage } from 'node:http';
import { isCrossOrigin } from '../../../lib/net/cross-origin.ts';
import { isLoopbackName } from '../../../lib/net/host-header.ts';
import type { HttpRequestHead } from '../../../lib/relay/http-request.ts';
import {
  CODING_NOT_CARRIED,
  EXPECTATION_NOT_MET,
  failureAnswer,
  type HttpAnswer,
  LAST_FORWARD,
  NOT_A_SITE,
  SCHEME_NOT_CARRIED,
  UPGRADE_NOT_CARRIED,
} from './answers.ts';
import { endToEndFields, listOf } from './fields.ts';

const HTTP_PORT = 80;

export type RequestHeader = Pick<IncomingMessage, 'method' | 'url' | 'headers' | 'rawHeaders' | 'httpVersion'>;

export interface HttpDestination {
  /** As the client wrote it; not checked yet. */
  readonly host: string;
  readonly port: number;
}

/** A request as it goes to the site. */
export interface ForwardedRequest extends HttpDestination, Omit<HttpRequestHead, 'maxHeaderBytes'> {}

export type RequestPlan =
  | { readonly kind: 'forward'; readonly forwarded: ForwardedRequest }
  | { readonly kind: 'answer'; readonly answer: HttpAnswer }
  /** Nothing that a web page may learn of: the connection ends without an answer. */
  | { readonly kind: 'silence' };

/** Decides about a request that is not CONNECT. */
export function planRequest(header: RequestHeader): RequestPlan {
  const target = parseAbsoluteForm(header.url ?? '');
  // Any web page can make a browser send a request for a path here: it shall not learn what listens. The fields of a
  // request for a site are about that site.
  if (target === undefined) return isForThePort(header) ? answer(NOT_A_SITE) : { kind: 'silence' };
  if (!/^100-continue$/i.test(header.headers.expect ?? '100-continue')) return answer(EXPECTATION_NOT_MET);
  if (target.scheme !== 'http') return answer(SCHEME_NOT_CARRIED);
  const destination = parseAuthority(target.authority, HTTP_PORT);
  if (destination === undefined) return answer(failureAnswer('ADDRESS_TYPE'));
  if (asksForUpgrade(header)) return answer(UPGRADE_NOT_CARRIED);
  const coding = header.headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') return answer(CODING_NOT_CARRIED);
  const method = header.method ?? 'GET';
  const forwardsLeft = maxForwards(header);
  if (forwardsLeft === 0) return answer(LAST_FORWARD);
  const fields = [
    ['Host', target.authority] as const,
    ...(forwardsLeft === undefined ? [] : [['Max-Forwards', String(forwardsLeft - 1)] as const]),
    ...fieldsFor(header, coding !== undefined),
  ];
  const path = target.path === '' && method === 'OPTIONS' ? '*' : target.path.replace(/^(?!\/)/, '/');
  return { kind: 'forward', forwarded: { ...destination, method, path, fields } };
}

/** Whether a request in origin form may be answered: no other page causes it, and no rebound name leads here. */
function isForThePort({ headers, rawHeaders }: RequestHeader): boolean {
  return isLoopbackName(headers.host) && !isCrossOrigin(rawHeaders);
}

const answer = (given: HttpAnswer): RequestPlan => ({ kind: 'answer', answer: given });

/** `host:port` or `[address]:port` of a CONNECT, whose port is not optional (RFC 9110 section 9.3.6). */
export function parseConnectTarget(target: string): HttpDestination | undefined {
  return parseAuthority(target);
}

interface AbsoluteForm {
  /** Lower case. */
  readonly scheme: string;
  /** Without user name and password, which are no part of what a site is asked (RFC 9110 section 4.2.4). */
  readonly authority: string;
  /** Path and query; may be empty. */
  readonly path: string;
}

function parseAbsoluteForm(url: string): AbsoluteForm | undefined {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(?:[^/?#@]*@)?([^/?#]*)([^#]*)/i.exec(url);
  return match === null
    ? undefined
    : { scheme: (match[1] ?? '').toLowerCase(), authority: match[2] ?? '', path: match[3] ?? '' };
}

function parseAuthority(authority: string, defaultPort?: number): HttpDestination | undefined {
  const match = /^(\[[^\]]*\]|[^:@/]*)(?::(\d{0,5}))?$/.exec(authority);
  const port = (match?.[2] ?? '') === '' ? defaultPort : Number(match?.[2]);
  if (match === null || port === undefined || port > 65_535) return undefined;
  return { host: match[1] ?? '', port };
}

/** h2c may be ignored, and is: the request is as good without (RFC 9110 section 7.8). Others need what they ask for. */
function asksForUpgrade({ headers }: RequestHeader): boolean {
  const wanted = listOf(headers.connection).includes('upgrade') ? listOf(headers.upgrade) : [];
  return wanted.some((protocol) => protocol !== 'h2c');
}

/** Of the methods that have it (RFC 9110 section 7.6.2); undefined without a number. */
function maxForwards({ method, headers }: RequestHeader): number | undefined {
  const text = headers['max-forwards'];
  const counts = (method === 'OPTIONS' || method === 'TRACE') && typeof text === 'string' && /^\d{1,9}$/.test(text);
  return counts ? Number(text) : undefined;
}

/** Methods whose requests have no body unless a field says so. */
const WITHOUT_BODY: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']);

function fieldsFor({ method = 'GET', headers, rawHeaders, httpVersion }: RequestHeader, chunked: boolean) {
  const replaced = ['host'];
  if (method === 'OPTIONS' || method === 'TRACE') replaced.push('max-forwards');
  // Nobody of HTTP/1.0 waits for a 100 (RFC 9110 section 10.1.1).
  if (httpVersion === '1.0') replaced.push('expect');
  const fields = endToEndFields(rawHeaders, replaced);
  if (chunked) fields.push(['Transfer-Encoding', 'chunked']);
  else if (headers['content-length'] === undefined && !WITHOUT_BODY.has(method)) fields.push(['Content-Length', '0']);
  return fields;
}
