/**
 * Makes a consensus of descriptors. Pure and deterministic: the same descriptors give the same bytes, in whatever order
 * they came.
 * @module
 */

import type { IdentityHex } from '../lib/core/bytes.ts';
import { epochStartMs, type NetworkParams } from '../lib/core/params.ts';
import { type EpochNumber, laterMs } from '../lib/core/units.ts';
import {
  admitClients,
  type Consensus,
  type Descriptor,
  DOCUMENT_VERSION,
  epochMsOf,
  hasCapacity,
  MAX_NODES,
  meanDelayInForce,
  type NetworkFile,
  type NodeRecord,
  timing,
} from '../lib/directory/index.ts';
import { assignLayers, type LayeredDescriptor } from './layers.ts';
import { lossyNodes } from './loss-marks.ts';

/** How many nodes of each kind. */
export interface Minimums {
  readonly mixesPerLayer: number;
  readonly gateways: number;
  readonly requesters: number;
}

/** Without these no packet has a route. */
export const ROUTABLE: Minimums = { mixesPerLayer: 1, gateways: 1, requesters: 0 };

/**
 * The nodes of consensus `epoch`: announced for it, with keys for it and the epoch after (for as long it may be in use),
 * requesters only together with a gateway, and without gateways that are not listed; mixes and gateways only with the capacity that the
 * network asks for; of more than a consensus takes, those that `last` lists come first. Each mix has a layer. Marked are those at which, by the loops of the others, packets get lost; gateways get the number of clients that they may
 * admit. `last` is the consensus before this one.
 */
export function nodesFor(
  epoch: EpochNumber,
  descriptors: Iterable<Descriptor>,
  network: NetworkFile,
  params: NetworkParams,
  last: Consensus | undefined,
): NodeRecord[] {
  const fromMs = timing.announcedFromMs(epoch, epochMsOf(network));
  const fit = [...descriptors].filter((descriptor) => {
    const has = (wanted: number) => descriptor.sphinxKeys.some((key) => key.epoch === wanted);
    return (
      descriptor.publishedMs >= fromMs && has(epoch) && has(epoch + 1) && hasCapacity(descriptor, params.minCapacity)
    );
  });
  // Again after the cut, which may take the gateway of a requester.
  const fitting = withGateways(atMost(MAX_NODES, withGateways(fit), last));
  const gateways = gatewaysOf(fitting);
  const listed = assignLayers(fitting.sort(byIdentity), last);
  const { marked, maxClients } = admitClients(listed, lossyNodes(listed), params, last);
  return listed.map((node) => {
    const record = recordOf(node, epoch, gateways);
    if (record.role === 'requester') return record;
    const most = maxClients.get(node.identity);
    return {
      ...record,
      ...(marked.has(node.identity) ? { lossy: true as const } : {}),
      ...(most === undefined ? {} : { maxClients: most }),
    };
  });
}

const byIdentity = (a: Descriptor, b: Descriptor) => (a.identity < b.identity ? -1 : 1);

function gatewaysOf(nodes: readonly Descriptor[]): ReadonlySet<IdentityHex> {
  return new Set(nodes.filter((node) => node.role === 'gateway').map((node) => node.identity));
}

/** Without requesters of which no gateway is among `nodes`. */
function withGateways(nodes: readonly Descriptor[]): Descriptor[] {
  const gateways = gatewaysOf(nodes);
  return nodes.filter(
    (node) => node.role !== 'requester' || node.gateways.some(({ gateway }) => gateways.has(gateway)),
  );
}

/**
 * Each authority has seats for no more, but several may agree on more, of their seats together: then newcomers push out nobody,
 * whatever identities they have drawn.
 */
function atMost(most: number, nodes: readonly Descriptor[], last: Consensus | undefined): readonly Descriptor[] {
  if (nodes.length <= most) return nodes;
  const before = new Set(last?.nodes.map(({ identity }) => identity));
  const newness = ({ identity }: Descriptor) => (before.has(identity) ? 0 : 1);
  return [...nodes].sort((a, b) => newness(a) - newness(b) || byIdentity(a, b)).slice(0, most);
}

/** What `nodes` lack of the minimums, in words; empty when nothing. */
export function lacking(nodes: readonly NodeRecord[], minimums: Minimums): string {
  const count = (match: (node: NodeRecord) => boolean) => nodes.filter(match).length;
  const inLayer = (layer: number) => count((node) => node.role === 'mixnode' && node.layer === layer);
  const needs: [string, number, number][] = [
    ...[1, 2, 3].map((layer): [string, number, number] => [
      `mixes in layer ${layer}`,
      inLayer(layer),
      minimums.mixesPerLayer,
    ]),
    ['gateways', count((node) => node.role === 'gateway'), minimums.gateways],
    ['requesters', count((node) => node.role === 'requester'), minimums.requesters],
  ];
  const unmet = needs.filter(([, has, least]) => has < least);
  return unmet.map(([what, has, least]) => `${has} of ${least} ${what}`).join(', ');
}

/**
 * The consensus that lists `nodes`. Where the network sets a mixing target, the mean delay follows from what the nodes say in their
 * `descriptors`, and from the `last` consensus.
 */
export function buildConsensus(
  epoch: EpochNumber,
  nodes: NodeRecord[],
  params: NetworkParams,
  networkIdHex: string,
  descriptors: Iterable<Descriptor>,
  last: Consensus | undefined,
): Consensus {
  const startMs = epochStartMs(epoch, params.epochMs);
  const listed = new Map(nodes.map((node) => [node.identity, node]));
  const described = [...descriptors].flatMap((descriptor) => {
    const record = listed.get(descriptor.identity);
    if (record === undefined) return [];
    return record.role === 'mixnode' ? { ...descriptor, layer: record.layer } : descriptor;
  });
  const meanDelayMs = meanDelayInForce(described, params, last?.params);
  return {
    version: DOCUMENT_VERSION,
    network: networkIdHex,
    epoch,
    validAfterMs: startMs,
    freshUntilMs: laterMs(startMs, params.epochMs),
    validUntilMs: laterMs(startMs, 2 * params.epochMs),
    params: { ...params, meanDelayMs, classes: { ...params.classes }, session: { ...params.session } },
    nodes,
  };
}

/**
 * What of a descriptor goes into the consensus: keys for two epochs, those of its gateways that are `listed`, no time of making,
 * no loop results, no capacity, no arrivals, no countersignatures.
 */
function recordOf(descriptor: LayeredDescriptor, epoch: EpochNumber, listed: ReadonlySet<IdentityHex>): NodeRecord {
  const { version: _version, network: _network, publishedMs: _publishedMs, ...published } = descriptor;
  const sphinxKeys = descriptor.sphinxKeys.filter((key) => key.epoch === epoch || key.epoch === epoch + 1);
  if (published.role === 'requester') {
    const gateways = published.gateways.map(({ gateway }) => gateway).filter((gateway) => listed.has(gateway));
    return { ...published, gateways, sphinxKeys };
  }
  const { loops: _loops, capacity: _capacity, shed = 0, ...rest } = published;
  const { arrivalsPerSecond: _arrivals, ...record } = { arrivalsPerSecond: 0, ...rest };
  return { ...record, ...(shed === 0 ? {} : { shed }), sphinxKeys };
}
