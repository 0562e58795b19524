/**
 * Which IP addresses a stream may reach. Used twice: by the proxy, so that a private address never leaves the user's
 * machine, and by the requester, on the very address it is about to connect to.
 *
 * IPv6 works by allow list: only 2000::/3 is global unicast (RFC 4291 section 2.4), whatever else is not named here is
 * refused. Addresses that carry an IPv4 address inside are judged by that one as well, or a NAT64 or a 6to4 relay
 * near the exit would be a way around every rule.
 * @module
 */
import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** `public`: always reachable; `private`: with `allowPrivate` only; `never`: refused in any case. */
export type AddressScope = 'public' | 'private' | 'never';

export interface ParsedAddress {
  /** Canonical text: dotted quad, or RFC 5952 for IPv6; an IPv4-mapped address appears as IPv4. */
  readonly text: string;
  readonly family: 4 | 6;
  readonly scope: AddressScope;
}

/**
 * Services of clouds for their machines outside the link-local range: metadata, which hand out credentials to whoever asks
 * from the machine, and agents of the host. The first is on no internet but looks as if it were.
 */
const CLOUD_SERVICES = [
  '168.63.129.16', // Azure: host agent, name server
  '100.100.100.200', // Alibaba
  '192.0.0.192', // Oracle, classic
  'fd00:ec2::/32', // Amazon
  'fd20:ce::254', // Google
  'fd00:c1::a9fe:a9fe', // Oracle
  'fd00:42::42', // Scaleway
  'fd00:a9fe:a9fe::1', // Akamai
  'fd00:100::100:200', // Alibaba
].flatMap((text) => parseRange(text) ?? []);

const SCOPE_OF_IPV4: Readonly<Record<string, AddressScope>> = {
  unicast: 'public',
  as112: 'public',
  loopback: 'private',
  private: 'private',
  carrierGradeNat: 'private',
};

/** Documentation and benchmarking networks: never on the internet, sometimes in a laboratory. */
const LABORATORY_IPV4 = ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '198.18.0.0/15'].map((range) =>
  ipaddr.IPv4.parseCIDR(range),
);

const SCOPE_OF_IPV6: Readonly<Record<string, AddressScope>> = {
  unicast: 'public',
  as112v6: 'public',
  // These two stand for what they carry, which is judged separately.
  rfc6052: 'public',
  '6to4': 'public',
  loopback: 'private',
  uniqueLocal: 'private',
  deprecatedSiteLocal: 'private',
  benchmarking: 'private',
};

const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');
const DOCUMENTATION_IPV6 = ['2001:db8::/32', '3fff::/20'].map((range) => ipaddr.IPv6.parseCIDR(range));
const NAT64_LOCAL = ipaddr.IPv6.parseCIDR('64:ff9b:1::/48');

/** The canonical form and scope of an address in its usual textual form; undefined if `text` is not one. */
export function parseAddress(text: string): ParsedAddress | undefined {
  if (isIPv4(text)) return describeIpv4(ipaddr.IPv4.parse(text));
  if (!isIPv6(text) || text.includes('%')) return undefined;
  // Through URL, because ipaddr.js reads `::1.2.3.4` as if it were IPv4-mapped.
  const hex = new URL(`http://[${text}]`).hostname.slice(1, -1);
  return describeIpv6(ipaddr.IPv6.parse(hex));
}

/** The IPv4 addresses that `address` carries inside for a translator or tunnel, in canonical form; mostly none. */
export function embeddedAddresses({ text, family }: ParsedAddress): ParsedAddress[] {
  return family === 4 ? [] : embeddedIpv4(ipaddr.IPv6.parse(text)).map(describeIpv4);
}

/** An address range: first address and length of the prefix. */
export interface AddressRange {
  readonly first: ipaddr.IPv4 | ipaddr.IPv6;
  readonly bits: number;
}

/** Reads an address, or a prefix as `192.0.2.0/24`; IPv4-mapped ones are IPv4. Undefined when it is neither. */
export function parseRange(text: string): AddressRange | undefined {
  const [host = '', length, ...more] = text.split('/');
  if (!(isIPv4(host) || isIPv6(host)) || host.includes('%') || more.length > 0) return undefined;
  const address = ipaddr.parse(host);
  const most = address.kind() === 'ipv4' ? 32 : 128;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return undefined;
  const bits = Number(length ?? most);
  if (bits > most) return undefined;
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96) {
    return { first: address.toIPv4Address(), bits: bits - 96 };
  }
  return { first: address, bits };
}

/** Whether an address in canonical text lies in a range. */
export function isInRange(text: string, range: AddressRange): boolean {
  return matches(ipaddr.parse(text), range);
}

function matches(address: ipaddr.IPv4 | ipaddr.IPv6, { first, bits }: AddressRange): boolean {
  return address.kind() === first.kind() && address.match(first, bits);
}

function isCloudService(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  return CLOUD_SERVICES.some((range) => matches(address, range));
}

/** Whether an address, however it is written, or `localhost`, is this machine's own to itself. */
export function isLoopback(host: string): boolean {
  const text = parseAddress(host)?.text ?? host;
  return text === 'localhost' || text === '::1' || (isIPv4(text) && text.startsWith('127.'));
}

/** Whether an address of this scope may be connected to. */
export function isPermitted(scope: AddressScope, allowPrivate: boolean): boolean {
  return scope === 'public' || (scope === 'private' && allowPrivate);
}

function describeIpv4(address: ipaddr.IPv4): ParsedAddress {
  const text = address.toString();
  return { text, family: 4, scope: isCloudService(address) ? 'never' : scopeOfIpv4(address) };
}

function scopeOfIpv4(address: ipaddr.IPv4): AddressScope {
  if (LABORATORY_IPV4.some((range) => address.match(range))) return 'private';
  return SCOPE_OF_IPV4[address.range()] ?? 'never';
}

function describeIpv6(address: ipaddr.IPv6): ParsedAddress {
  if (address.isIPv4MappedAddress()) return describeIpv4(address.toIPv4Address());
  const text = address.toRFC5952String();
  if (isCloudService(address)) return { text, family: 6, scope: 'never' };
  const scopes = embeddedIpv4(address).map((inner) => describeIpv4(inner).scope);
  return { text, family: 6, scope: strictest([outerScope(address), ...scopes]) };
}

function outerScope(address: ipaddr.IPv6): AddressScope {
  if (DOCUMENTATION_IPV6.some((range) => address.match(range))) return 'private';
  // Local-use translation (RFC 8215) leads into somebody's own network.
  if (address.match(NAT64_LOCAL)) return 'private';
  const range = address.range() as string;
  if (range === 'unicast' && !address.match(GLOBAL_UNICAST)) return 'never';
  return SCOPE_OF_IPV6[range] ?? 'never';
}

/** The IPv4 addresses that a translator or tunnel could read out of `address`. */
function embeddedIpv4(address: ipaddr.IPv6): ipaddr.IPv4[] {
  const bytes = address.toByteArray();
  const at = (...positions: number[]) => new ipaddr.IPv4(positions.map((position) => bytes[position] ?? 0));
  const range = address.range() as string;
  // ISATAP (RFC 5214 section 6.1), whatever the prefix.
  if ((bytes[8] === 0 || bytes[8] === 2) && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe) {
    return [at(12, 13, 14, 15)];
  }
  if (range === '6to4') return [at(2, 3, 4, 5)];
  if (address.match(NAT64_LOCAL)) {
    // The prefix length is the operator's choice; RFC 6052 section 2.2 places the address accordingly. A place that
    // holds zeros is not where the address stands.
    const candidates = [at(6, 7, 9, 10), at(7, 9, 10, 11), at(9, 10, 11, 12), at(12, 13, 14, 15)];
    return candidates.filter((candidate) => candidate.range() !== 'unspecified');
  }
  return range === 'rfc6052' ? [at(12, 13, 14, 15)] : [];
}

function strictest(scopes: readonly AddressScope[]): AddressScope {
  if (scopes.includes('never')) return 'never';
  return scopes.includes('private') ? 'private' : 'public';
}
