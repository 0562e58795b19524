/**
 * Which fields of a message go on (RFC 9110 section 7.6.1). Fields are those of Node's parser: names and values by turns,
 * with their case, order and repetitions. Nothing is added that names the client or this proxy: no Via, no Forwarded.
 * @module
 */
import { ERROR_FIELD } from './answers.ts';

/** Fields that are for the next hop only, named in Connection or not. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'proxy-authorization',
  'proxy-authenticate',
  'proxy-authentication-info',
]);

/** These frame and route a message: they stand whatever Connection says of them. */
const NEVER_NAMED: ReadonlySet<string> = new Set(['content-length', 'host']);

/** Would change how a message is framed, routed or authenticated, and must not come behind it (RFC 9110 section 6.5.1). */
const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  ...NEVER_NAMED,
  ERROR_FIELD.toLowerCase(),
  'authorization',
  'content-encoding',
  'content-range',
  'content-type',
  'expect',
  'max-forwards',
  'set-cookie',
]);

function pairsOf(raw: readonly string[]): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) pairs.push([raw[at] ?? '', raw[at + 1] ?? '']);
  return pairs;
}

/** The members of a list field, in lower case. */
export function listOf(value: string | undefined): string[] {
  const members = (value ?? '').split(',').map((member) => member.trim().toLowerCase());
  return members.filter((member) => member !== '');
}

/** The fields that go on, without those in `more` (lower case). */
export function endToEndFields(raw: readonly string[], more: readonly string[] = []): [name: string, value: string][] {
  const pairs = pairsOf(raw);
  const named = pairs.filter(([name]) => /^(proxy-)?connection$/i.test(name)).flatMap(([, value]) => listOf(value));
  const dropped = new Set([...named.filter((name) => !NEVER_NAMED.has(name)), ...HOP_BY_HOP, ...more]);
  return pairs.filter(([name]) => !dropped.has(name.toLowerCase()));
}

/** The trailer fields that go on. */
export function endToEndTrailers(raw: readonly string[]): [name: string, value: string][] {
  return pairsOf(raw).filter(([name]) => !NOT_IN_TRAILERS.has(name.toLowerCase()));
}
