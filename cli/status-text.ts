/**
 * status.json as text for a person.
 * @module
 */
import type { Status } from '../proxy/index.ts';

/** The whole page. */
export function formatStatus(status: Status): string {
  const parts = [head(status), troubles(status), clocks(status), nodes(status), streams(status)];
  return `${parts.map((part) => part.join('\n')).join('\n\n')}\n`;
}

function head(status: Status): string[] {
  const { network, gateway } = status;
  const state = status.ready ? 'ready' : 'NOT READY';
  const crypto = Object.entries(status.crypto).map(([primitive, library]) => `${primitive} ${library}`);
  return [
    `mixsocks ${status.version}: SOCKS5 on ${status.socks}, ${state}, up ${duration(status.uptimeSeconds)}`,
    ...(status.obstacle === null ? [] : [`missing  ${status.obstacle}`]),
    `network  ${network.name}${network.clients === 'invited' ? ', private (invited clients only)' : ''}, epoch ${status.epoch ?? 'unknown'}, class ${network.trafficClass}, downlink ${network.downlink}`,
    ...sources(status),
    `packets  ${network.payloadBytes ?? '?'} bytes, mean delay ${network.meanDelayMs ?? '?'} ms at each mix${chosenFor(network)}`,
    `gateway  ${gateway === null ? 'none' : gatewayLink(gateway)}`,
    ...(gateway?.seesBothEnds === true
      ? ['         it is the only gateway of your exit: it SEES BOTH ENDS, and can tell who uses which exit']
      : []),
    `loops    ${loops(status)}`,
    `crypto   ${crypto.join(', ')}`,
    ...mixing(status),
    ...memory(status),
  ];
}

function gatewayLink({ name, link, keyExchange }: NonNullable<Status['gateway']>): string {
  return `${name}, link ${link}${keyExchange === null ? '' : `, key exchange ${keyExchange}`}`;
}

/** Who is behind with the list of nodes, and who has signed two. */
function sources({ directory: { lagging, signedTwice } }: Status): string[] {
  const lines = lagging.map(({ words }) => `         ${words}`);
  if (signedTwice === null) return lines;
  const { epoch, authorities } = signedTwice;
  return [...lines, `         TWO LISTS of nodes for epoch ${epoch} were signed by ${authorities.join(', ')}`];
}

/** "Is it me?": the verdict, and each reason with what to do. */
function troubles({ troubles: { verdict, reasons } }: Status): string[] {
  const rows = reasons.flatMap(({ where, words: happened, remedy, what, secondsAgo }) => [
    `  ${where}: ${happened}`,
    `      ${what.join(', ')}; last ${duration(secondsAgo)} ago`,
    `      what to do: ${remedy}`,
  ]);
  return [`is it me? ${verdict}`, ...rows];
}

function loops({ loops: { sent, returned, alarm } }: Status): string {
  const counts = `${returned} of ${sent} own loops returned`;
  return alarm ? `${counts}: ALARM, too few lately; someone may hold back your packets` : counts;
}

function memory({ memory }: Status): string[] {
  const inMb = (bytes: number) => Math.round(bytes / 1e6);
  return memory === null ? [] : [`memory of queues: ${inMb(memory.usedBytes)} of ${inMb(memory.budgetBytes)} MB`];
}

/** The delay may be another in each epoch. */
function chosenFor({ mixingTarget }: Status['network']): string {
  return mixingTarget ? `, chosen each epoch for ${mixingTarget} packets in a mix` : '';
}

/** The estimated pool of a mix; a network that mixes little says so. */
function mixing({ mixing }: Status): string[] {
  if (mixing === null) return ['mixing   unknown'];
  const { poolPackets, othersPackets, enough, proxiesWanted, delayWantedMs } = mixing;
  const pool = `mixing   about ${number(poolPackets)} packets wait in a mix, ${number(othersPackets)} of them not yours`;
  const few = `: FEW; ${proxiesWanted} more users or a mean delay of ${delayWantedMs} ms would do (other users are not counted)`;
  if (mixing.perUserEnough) return [`${pool}${enough ? '' : few}`];
  const { perUserPackets, perUserDelayMs } = mixing;
  return [
    `${pool}${enough ? '' : few}`,
    `         of each user ${Number(perUserPackets.toFixed(2))} packets are in a layer at a time, where Loopix advises 2 or more, so that busy`,
    `         users cannot be told apart: --mean-delay-ms ${perUserDelayMs}, set by who runs the network, does it`,
  ];
}

function clocks({ rates, replies, lateness, slotsMissed }: Status): string[] {
  const rows = Object.entries(rates).map(([name, rate]) => [name, number(rate.set), number(rate.measured)]);
  const byExit = replies.map(({ requester, set, measured }) => [`  from ${requester}`, number(set), number(measured)]);
  const lines = table(['clock', 'set/s', 'measured/s'], [...rows, ...byExit]);
  if (lateness === null) return lines;
  const { p50Ms, p99Ms, maxMs } = lateness;
  const late = `median ${number(p50Ms)} ms, p99 ${number(p99Ms)} ms, longest ${number(maxMs)} ms`;
  return [...lines, `departures behind their clock: ${late}`, `ticks without a packet, seen as gaps: ${slotsMissed}`];
}

/** Mean over the mixes of a layer that are in use and have been seen. */
function layers({ nodes }: Status): string {
  const parts = [1, 2, 3].map((layer) => {
    const used = nodes.filter((node) => node.layer === layer && !node.excluded);
    const known = used.flatMap(({ health }) => (health === null ? [] : [health]));
    const mean = known.reduce((sum, health) => sum + health, 0) / known.length;
    return `layer ${layer} ${known.length === 0 ? 'not yet known' : `${Math.round(mean * 100)} %`}`;
  });
  return `path health: ${parts.join(', ')} of own loops returned`;
}

function nodes(status: Status): string[] {
  const rows = status.nodes.map((node) => [
    node.name,
    node.role,
    String(node.layer ?? '-'),
    `${node.health === null ? 'not yet known' : `${Math.round(node.health * 100)} %`}${node.excluded ? ', excluded' : ''}`,
    String(node.loopsSent),
    String(node.loopsReturned),
  ]);
  rows.sort(([a = ''], [b = '']) => a.localeCompare(b, 'en', { numeric: true }));
  return [layers(status), ...table(['node', 'role', 'layer', 'health', 'loops sent', 'returned'], rows)];
}

function streams(status: Status): string[] {
  const { stock, target, inFlight, created, used, expired } = status.surbs;
  const blocks = `stock ${number(stock)} of ${number(target)}, in flight ${inFlight}`;
  const sessions = status.sessions.map((session) => [
    session.state,
    session.requester,
    String(session.streamsOpen),
    `${number(session.roundTripMs)} ms`,
    `${(session.lossRatio * 100).toFixed(1)} %`,
    bytes(session.bytesSent),
    bytes(session.bytesDelivered),
  ]);
  const { opening, ...counts } = status.streams;
  return [
    `streams: ${countsOf(counts)}`,
    ...openingTimes(opening),
    `reply blocks: ${blocks}, created ${created}, used ${used}, expired ${expired}`,
    ...table(['session', 'requester', 'streams', 'round trip', 'loss', 'up', 'down'], sessions),
  ];
}

const BAR_LETTERS = 30;

/** The times to open of the last requests, as words and bars. */
function openingTimes({ upperMs, counts, medianMs, p90Ms }: Status['streams']['opening']): string[] {
  if (medianMs === null || p90Ms === null) return ['time to open: no request yet'];
  const top = Math.max(...counts);
  const last = counts.findLastIndex((count) => count > 0);
  const bars = counts.slice(0, last + 1).map((count, i) => {
    const upper = upperMs[i] ?? null;
    const bound = upper === null ? 'more' : `${upper / 1000} s`;
    return `  ${bound.padStart(6)}  ${'#'.repeat(Math.ceil((BAR_LETTERS * count) / top)).padEnd(BAR_LETTERS)}  ${count}`;
  });
  return [`time to open: half within ${Math.round(medianMs)} ms, 9 of 10 within ${Math.round(p90Ms)} ms`, ...bars];
}

/** Columns as wide as their longest cell; nothing for no rows. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** `open 3, refused (POLICY 1, TIMEOUT 2)` */
function countsOf(counts: object): string {
  const parts = Object.entries(counts).map(([what, count]) => {
    const inner = typeof count === 'object' && count !== null ? countsOf(count) : String(count);
    return `${words(what)} ${inner === '' ? '0' : inner === String(count) ? inner : `(${inner})`}`;
  });
  return parts.join(', ');
}

const words = (key: string): string => key.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
const number = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(1));

function bytes(count: number): string {
  if (count < 1e4) return `${count} B`;
  return count < 1e7 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(0)} MB`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
