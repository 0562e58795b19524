/**
 * The rules of an exit policy, in the language of Tor's `torrc`: a line accepts or rejects an address pattern and ports,
 * the first line that matches decides.
 *
 *     accept 192.0.2.0/24:80,443      an address or prefix; ports, ranges of ports or *
 *     reject6 [2001:db8::]/32:*       accept6 and reject6 concern IPv6 only
 *     reject private:*                all addresses that are not on the internet
 *     accept *:8000-8999              *4 and *6 are the addresses of one family
 *
 * `#` starts a comment, a leading `ExitPolicy` is skipped, and several rules may stand on a line, with commas between.
 * @module
 */
import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { MixError } from '../../lib/core/errors.ts';
import { embeddedAddresses, type ParsedAddress } from '../../lib/net/address-policy.ts';
import { includesPort, MAX_PORT, type PortRange, parsePorts, portSummary } from '../../lib/net/port-list.ts';

/** What a rule matches: all addresses, those not on the internet, or the ones that begin with `bits` bits of `prefix`. */
type Pattern =
  | { readonly kind: 'any' }
  | { readonly kind: 'private' }
  | { readonly kind: 'prefix'; readonly prefix: readonly number[]; readonly bits: number };

export interface ExitRule {
  readonly accepts: boolean;
  /** Without a family a rule concerns both. */
  readonly family?: 4 | 6;
  readonly pattern: Pattern;
  readonly ports: readonly PortRange[];
}

/** Rules of one policy; each is looked at for every connection. */
export const MAX_RULES = 4096;
/** As much as a descriptor takes. */
const MAX_SUMMARY_CHARS = 1000;
/** A port counts as open while less than this share of all addresses is closed to it: Tor's 2^25 of 2^32. */
const CLOSED_SHARE = 1 / 128;

/**
 * What follows the rules of a file that does not end with a rule for everything: mail from an exit is spam in the eyes
 * of the world, and costs the address its reputation.
 */
export const DEFAULT_RULES: readonly ExitRule[] = parseRules('reject *:25,465,587,2525\naccept *:*');

/** The rules of a text. Throws MixError CONFIG that names the line. */
export function parseRules(text: string): ExitRule[] {
  const rules: ExitRule[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    for (const rule of rulesOfLine(line)) {
      if (rules.length >= MAX_RULES) throw new MixError('CONFIG', `a policy has at most ${MAX_RULES} rules`);
      const parsed = parseRule(rule);
      if (typeof parsed === 'string') throw new MixError('CONFIG', `line ${index + 1}: ${parsed}`);
      rules.push(parsed);
    }
  }
  return rules;
}

function rulesOfLine(line: string): string[] {
  const bare = (line.split('#', 1)[0] ?? '').trim().replace(/^ExitPolicy\s+/i, '');
  return bare === '' ? [] : bare.split(/\s*,\s*(?=[a-z])/i);
}

/** A rule, or what is wrong with it. */
function parseRule(text: string): ExitRule | string {
  const match = /^(accept|reject)(6?)\s+(.+)$/i.exec(text);
  if (match === null) return `'${text}' is no rule: write accept or reject, an address and ports, as reject *:25`;
  const [, action = '', six, rest = ''] = match;
  const parts = /^(\[[^\]]*\](?:\/[^:]*)?|[^:]*)(?::(.*))?$/.exec(rest.trim());
  const [, where = '', portText = '*'] = parts ?? [];
  if (parts === null || portText.includes(':')) {
    return `'${rest}': write an IPv6 address in brackets, as [2001:db8::]/32:443`;
  }
  const ports = parsePorts(portText.trim());
  if (ports === undefined) return `'${portText}' are no ports: write *, 80, 80,443 or 8000-8999`;
  const target = parseTarget(where.trim());
  if (typeof target === 'string') return target;
  if (six === '6' && target.family === 4) return `${action}6 concerns IPv6 only, and '${where}' is IPv4`;
  const family = six === '6' ? 6 : target.family;
  const accepts = action.toLowerCase() === 'accept';
  return { accepts, pattern: target.pattern, ports, ...(family === undefined ? {} : { family }) };
}

function parseTarget(text: string): { family?: 4 | 6; pattern: Pattern } | string {
  if (text === '*') return { pattern: { kind: 'any' } };
  if (text === '*4' || text === '*6') return { family: text === '*4' ? 4 : 6, pattern: { kind: 'any' } };
  if (text.toLowerCase() === 'private') return { pattern: { kind: 'private' } };
  const [host = '', length, ...more] = text.split('/');
  const literal = host.replace(/^\[(.*)\]$/, '$1');
  const family = isIPv4(literal) ? 4 : isIPv6(literal) ? 6 : undefined;
  if (family === undefined || more.length > 0) return `'${text}' is neither an address, nor a prefix, nor * or private`;
  const bits = length === undefined ? (family === 4 ? 32 : 128) : prefixBits(length, family);
  if (bits === undefined) return `'${length}' is no length of an IPv${family} prefix`;
  return prefixOf(ipaddr.parse(literal), family, bits);
}

/** A prefix length, for IPv4 also as a mask. */
function prefixBits(text: string, family: 4 | 6): number | undefined {
  if (/^\d{1,3}$/.test(text)) return Number(text) <= (family === 4 ? 32 : 128) ? Number(text) : undefined;
  if (family === 6 || !isIPv4(text)) return undefined;
  return ipaddr.IPv4.parse(text).prefixLengthFromSubnetMask() ?? undefined;
}

/** Addresses are judged in canonical form, where a mapped one is IPv4; so is a prefix of mapped ones. */
function prefixOf(
  address: ipaddr.IPv4 | ipaddr.IPv6,
  family: 4 | 6,
  bits: number,
): { family: 4 | 6; pattern: Pattern } {
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96) {
    return prefixOf(address.toIPv4Address(), 4, bits - 96);
  }
  if (bits === 0) return { family, pattern: { kind: 'any' } };
  return { family, pattern: { kind: 'prefix', prefix: address.toByteArray(), bits } };
}

/**
 * Whether the rules, and after them the default ones, let a connection through. An address that carries an IPv4
 * address inside (NAT64, 6to4) needs leave for both, or a translator near the exit would be a way around every rule.
 */
export function rulesAllow(rules: readonly ExitRule[], address: ParsedAddress, port: number): boolean {
  return [address, ...embeddedAddresses(address)].every((view) => verdict(rules, view, port));
}

function verdict(rules: readonly ExitRule[], address: ParsedAddress, port: number): boolean {
  const bytes = ipaddr.parse(address.text).toByteArray();
  const isMatch = (rule: ExitRule) => includesPort(rule.ports, port) && matches(rule, address, bytes);
  return (rules.find(isMatch) ?? DEFAULT_RULES.find(isMatch))?.accepts ?? false;
}

function matches({ family, pattern }: ExitRule, address: ParsedAddress, bytes: readonly number[]): boolean {
  if (family !== undefined && family !== address.family) return false;
  if (pattern.kind === 'any') return true;
  if (pattern.kind === 'private') return address.scope !== 'public';
  const whole = pattern.bits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== pattern.prefix[i]) return false;
  const restMask = 0xff & (0xff00 >> (pattern.bits & 7));
  return (((bytes[whole] ?? 0) ^ (pattern.prefix[whole] ?? 0)) & restMask) === 0;
}

/** The ports let through to nearly all IPv4 addresses, as the descriptor says it; those of IPv6 alone help few. */
export function summaryOf(rules: readonly ExitRule[]): string {
  const all = [...rules, ...DEFAULT_RULES];
  const edges = new Set([1, MAX_PORT + 1]);
  for (const { first, last } of all.flatMap(({ ports }) => ports)) edges.add(first).add(last + 1);
  const sorted = [...edges].sort((a, b) => a - b);
  const open: { first: number; last: number }[] = [];
  for (const [index, first] of sorted.slice(0, -1).entries()) {
    if (!isOpen(all, first)) continue;
    const last = (sorted[index + 1] ?? first + 1) - 1;
    const before = open.at(-1);
    if (before !== undefined && before.last === first - 1) before.last = last;
    else open.push({ first, last });
  }
  return portSummary(open, MAX_SUMMARY_CHARS);
}

function isOpen(rules: readonly ExitRule[], port: number): boolean {
  let closedShare = 0;
  for (const { accepts, family, pattern, ports } of rules) {
    if (family === 6 || pattern.kind === 'private' || !includesPort(ports, port)) continue;
    if (pattern.kind === 'any') return accepts && closedShare < CLOSED_SHARE;
    if (!accepts) closedShare += 2 ** -pattern.bits;
  }
  return closedShare < CLOSED_SHARE;
}
