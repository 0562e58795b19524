/**
 * Results as text: tables, and what they mean in plain words.
 * @module
 */
import type { EntropyPoint, EpsilonFigure, EpsilonPoint } from './figures.ts';
import type { OwnNetwork, OwnNetworkResult } from './own-network.ts';
import type { PaperNetworkResult } from './paper-network.ts';
import type { EpsilonResult, UnlinkabilityOptions } from './unlinkability.ts';

/** A table in plain text that is a Markdown table too. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padStart(widths[i]!)).join(' | ')} |\n`;
  const rule = `|${widths.map((width) => `${'-'.repeat(width + 1)}:`).join('|')}|\n`;
  return line(head) + rule + rows.map(line).join('');
}

function verdict(within: boolean | undefined): string {
  if (within === undefined) return '';
  return within ? 'ok' : 'OFF';
}

export function figure4Report(points: readonly EntropyPoint[]): string {
  const rows = points.map(({ arrivalRate, delayRate, bits, poolMean, target, withinTarget }) => [
    String(arrivalRate),
    String(delayRate),
    (arrivalRate / delayRate).toFixed(1),
    poolMean.toFixed(1),
    bits.mean.toFixed(3),
    bits.sd.toFixed(3),
    target === undefined ? '' : target.toFixed(3),
    verdict(withinTarget),
  ]);
  const head = ['λ', 'μ', 'λ/μ', 'pool', 'entropy (bits)', 'sd', 'target', 'within 0.05'];
  return `Entropy of a single mix (figure 4)\n\n${table(head, rows)}`;
}

export function epsilonReport(figure: EpsilonFigure, points: readonly EpsilonPoint[]): string {
  const rows = points.map(({ x, result, target, deviation, withinTarget }) => [
    String(x),
    result.mean.toFixed(3),
    result.sd.toFixed(3),
    result.standardError.toFixed(3),
    `${result.undefinedSamples}/${result.undefinedSamples + result.samples}`,
    target === undefined ? '' : target.toFixed(3),
    deviation === undefined ? '' : deviation.toFixed(1),
    verdict(withinTarget),
  ]);
  const head = [figure.xLabel, 'mean ε', 'sd', 'std error', 'undefined', 'target', 'off by (std errors)', 'within 3'];
  return `${figure.title}\n\n${table(head, rows)}`;
}

/** ε with its spread, for one line. */
export function epsilonText(result: EpsilonResult): string {
  const skipped = result.undefinedSamples === 0 ? '' : `, ${result.undefinedSamples} samples undefined and left out`;
  if (result.samples === 0) return `undefined (in all ${result.undefinedSamples} samples one of the two cannot be it)`;
  return `${result.mean.toFixed(3)} (sd ${result.sd.toFixed(3)}, ${result.samples} samples${skipped})`;
}

/** Lines of names and values. */
function listing(lines: readonly (readonly [string, string])[]): string {
  return lines.map(([name, value]) => `${name.padEnd(20)}${value}\n`).join('');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

export function paperNetworkReport(setting: UnlinkabilityOptions, result: PaperNetworkResult): string {
  const { packet, sender, epsilon } = result;
  return listing([
    [
      'senders',
      `${setting.users}, each λ = ${setting.ratePerUser}, so λ/μ = ${(setting.ratePerUser / setting.delayRate).toFixed(2)}`,
    ],
    ['corrupt mixes', `${setting.corruptMixes} of ${setting.layers * setting.mixesPerLayer}`],
    ['pool of a mix', `${result.pool.toFixed(2)} packets (simulated ${result.simulatedPool.toFixed(2)})`],
    ['single-mix entropy', `${result.singleMixBits.toFixed(3)} bits`],
    ['end-to-end entropy', `${packet.any.mean.toFixed(3)} bits (sd ${packet.any.sd.toFixed(3)})`],
    ['traced', `${percent(packet.tracedShare)} of packets, with less than one bit`],
    ['sender entropy', `${sender.mean.toFixed(3)} of at most ${Math.log2(setting.users).toFixed(3)} bits`],
    ['unlinkability ε', epsilonText(epsilon)],
    ['packets simulated', `${((packet.packets + epsilon.packets) / 1e6).toFixed(2)} million`],
  ]);
}

/** Pool of the paper's setting that it calls good: 100 senders at λ = 2, 3 mixes per layer, μ = 1. */
const GOOD_POOL = (100 * 2) / 3;
/** The ratio of a sender's own rate and μ that the paper calls good. */
const GOOD_SENDER_RATIO = 2;
/** Under this, an observer often finds a mix with hardly anything in it: a mix of mean pool 10 holds less than 4 packets 1 % of the time. */
const SMALL_POOL = 10;

function poolVerdict(pool: number): string {
  if (pool < SMALL_POOL) return 'too few to hide among';
  return pool < GOOD_POOL ? 'a fair number' : 'many, as in the setting the Loopix paper calls good';
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

function bitsAsCrowd(bits: number): string {
  const crowd = 2 ** bits;
  return crowd < 10 ? crowd.toFixed(1) : String(Math.round(crowd));
}

/** What the numbers of a network mean for its users. */
export function meaning(network: OwnNetwork, result: OwnNetworkResult): string {
  const { packet, sender, pool, arrivalsPerMix } = result;
  const sentences = [
    `A mix holds ${pool.toFixed(1)} packets at a time: ${poolVerdict(pool)}.`,
    `Someone who records every link and sees a proxy send a packet is left with about ${bitsAsCrowd(packet.sameKind.mean)} packets to requesters, any of which it could be.`,
  ];
  if (packet.tracedShare > 0)
    sentences.push(`${percent(packet.tracedShare)} of packets are traced: less than one bit is left.`);
  if (network.proxies === 1) {
    sentences.push('A single proxy has nobody to hide among: all that reaches a requester is from it.');
  } else if (sender !== undefined) {
    sentences.push(
      `A packet that reaches a requester could be from ${bitsAsCrowd(sender.mean)} of the ${network.proxies} proxies: mixing cannot hide a user among more users than there are.`,
    );
  }
  const goodDelayMs = (1000 * GOOD_POOL) / arrivalsPerMix;
  if (pool < GOOD_POOL)
    sentences.push(
      `A pool of ${GOOD_POOL.toFixed(0)} would need a mean delay of ${goodDelayMs.toFixed(0)} ms per mix.`,
    );
  const ratio = (network.traffic.mainRate * network.meanDelayMs) / 1000;
  if (ratio < GOOD_SENDER_RATIO) {
    const delayMs = (1000 * GOOD_SENDER_RATIO) / network.traffic.mainRate;
    sentences.push(
      `A proxy's main rate times the mean delay is ${ratio.toFixed(2)}; the paper calls 2 or more good, here from ${delayMs.toFixed(0)} ms on, whatever the number of users.`,
    );
  }
  return sentences.join(' ');
}

export function ownNetworkReport(network: OwnNetwork, result: OwnNetworkResult): string {
  const { traffic } = network;
  const most = Math.log2(Math.max(1, network.proxies));
  const clocks = `main ${traffic.mainRate}, reply ${traffic.replyRate}, loop ${traffic.loopRate}, drop ${traffic.dropRate}`;
  const lines: [string, string][] = [
    [
      'network',
      [
        counted(network.proxies, 'proxy', 'proxies'),
        counted(network.requesters, 'requester'),
        counted(network.gateways, 'gateway'),
      ].join(', '),
    ],
    [
      'mixes',
      `${network.layers} layers x ${network.mixesPerLayer}, mean delay ${network.meanDelayMs} ms, ${network.corruptMixes} corrupt`,
    ],
    ['clocks per second', `${clocks}; loops of each node ${network.nodeLoopRate}`],
    ['arrivals per mix', `${result.arrivalsPerMix.toFixed(0)}/s`],
    ['pool of a mix', `${result.pool.toFixed(1)} packets (simulated ${result.simulatedPool.toFixed(1)})`],
    ['single-mix entropy', `${result.singleMixBits.toFixed(2)} bits`],
    ['end-to-end entropy', `${result.packet.any.mean.toFixed(2)} bits over all packets that come out`],
    ['', `${result.packet.sameKind.mean.toFixed(2)} bits over those that go to requesters`],
    [
      'sender entropy',
      result.sender === undefined
        ? 'not computed for so many'
        : `${result.sender.mean.toFixed(2)} of at most ${most.toFixed(2)} bits`,
    ],
    ['ε of two senders', result.epsilon === undefined ? 'needs two proxies' : epsilonText(result.epsilon)],
  ];
  return `${listing(lines)}\n${meaning(network, result)}\n`;
}

/** Several networks, a row each. */
export function ownNetworksReport(measured: readonly (readonly [OwnNetwork, OwnNetworkResult])[]): string {
  const rows = measured.map(([network, { pool, singleMixBits, packet, sender, epsilon }]) => [
    String(network.proxies),
    String(network.meanDelayMs),
    pool.toFixed(1),
    singleMixBits.toFixed(2),
    packet.any.mean.toFixed(2),
    packet.sameKind.mean.toFixed(2),
    bitsAsCrowd(packet.sameKind.mean),
    sender === undefined ? '' : sender.mean.toFixed(2),
    Math.log2(network.proxies).toFixed(2),
    epsilon === undefined ? '' : epsilon.mean.toFixed(2),
  ]);
  const entropies = ['one mix (bits)', 'end to end (bits)', 'to requesters (bits)', 'crowd'];
  return table(['proxies', 'delay (ms)', 'pool', ...entropies, 'sender (bits)', 'at most', 'ε'], rows);
}
