/**
 * Sets of TCP and UDP ports as text: `80,443,8000-8100`, `*`. Exit policies are written with them, and the summary of
 * such a policy in a requester's descriptor, by which a proxy chooses (`accept 80,443`, `reject 25,465`).
 * @module
 */

/** Both ends inclusive. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export const MAX_PORT = 65_535;
export const ALL_PORTS: readonly PortRange[] = [{ first: 1, last: MAX_PORT }];

/** The ranges of a list such as `80,443,8000-8100` or `*`, as they are written; undefined if it is not one. */
export function parsePorts(text: string): readonly PortRange[] | undefined {
  if (text === '*') return ALL_PORTS;
  const ranges: PortRange[] = [];
  for (const item of text.split(',')) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(item.trim());
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (first < 1 || last < first || last > MAX_PORT) return undefined;
    ranges.push({ first, last });
  }
  return ranges;
}

export function includesPort(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some(({ first, last }) => first <= port && port <= last);
}

/** The ranges as text, in the given order. */
export function formatPorts(ranges: readonly PortRange[]): string {
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

/** The ports that are not in `ranges`, which must be in order and apart from each other. */
export function otherPorts(ranges: readonly PortRange[]): PortRange[] {
  const rest: PortRange[] = [];
  let next = 1;
  for (const { first, last } of ranges) {
    if (first > next) rest.push({ first: next, last: first - 1 });
    next = last + 1;
  }
  if (next <= MAX_PORT) rest.push({ first: next, last: MAX_PORT });
  return rest;
}

/**
 * What a descriptor says of the ports let through: the shorter of `accept LIST` and `reject LIST`. A text beyond
 * `maxChars` becomes an `accept` that leaves out the last ranges: it promises less than is true, never more.
 */
export function portSummary(accepted: readonly PortRange[], maxChars: number): string {
  const rejected = otherPorts(accepted);
  if (accepted.length === 0) return `reject ${formatPorts(ALL_PORTS)}`;
  const accept = `accept ${formatPorts(accepted)}`;
  const reject = `reject ${formatPorts(rejected)}`;
  const text = rejected.length > 0 && reject.length < accept.length ? reject : accept;
  if (text.length <= maxChars) return text;
  return accept.slice(0, accept.lastIndexOf(',', maxChars));
}

/** Whether a summary lets `port` through; one that cannot be read may come from a later version and excludes nothing. */
export function summaryAllows(summary: string | undefined, port: number): boolean {
  const match = /^(accept|reject) (\S+)$/.exec(summary ?? '');
  const ranges = parsePorts(match?.[2] ?? '');
  if (ranges === undefined) return true;
  return includesPort(ranges, port) === (match?.[1] === 'accept');
}
