/**
 * Networks of many nodes: what a client needs to draw a route and make a packet, and to take a consensus in.
 * @module
 */
import { DEFAULT_PARAMS, epochAt, epochStartMs } from '../../lib/core/params.ts';
import { systemRng } from '../../lib/core/rng.ts';
import type { EpochNumber, UnixMs } from '../../lib/core/units.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { DOCUMENT_VERSION, parseConsensus, Topology } from '../../lib/directory/index.ts';
import { RouteDrawer } from '../../lib/endpoint/routes.ts';
import { toSphinxHops } from '../../lib/mixing/index.ts';
import { Sphinx } from '../../lib/sphinx/index.ts';
import { type Case, FULL, measure, QUICK } from '../harness/cpu-time.ts';
import { type Figure, figure } from '../harness/figure.ts';

const LAYERS = [1, 2, 3] as const;
/** One node in six is a gateway or requester, as in a network where each layer has as many. */
const GATEWAYS_PER_NODES = 6;

export function nodeFigures({
  nodes,
  quick,
}: {
  readonly nodes: readonly number[];
  readonly quick: boolean;
}): Figure[] {
  const cases = nodes.flatMap((count) => casesOf(count));
  const times = measure(
    cases.map(({ one }) => one),
    quick ? QUICK : FULL,
  );
  return cases.map(({ one, name, count }) => figure(name, 'us', times.get(one.name) ?? NaN, { nodes: count }));
}

interface SizedCase {
  readonly name: string;
  readonly count: number;
  readonly one: Case;
}

function casesOf(count: number): SizedCase[] {
  const payload = consensusOf(count);
  const topology = new Topology(parseConsensus(payload));
  const drawer = new RouteDrawer(systemRng);
  const sphinx = new Sphinx(createCrypto('fastest'), systemRng);
  const identifier = systemRng.bytes(16);
  const message = systemRng.bytes(DEFAULT_PARAMS.payloadBytes);
  const make = () => {
    const gateway = topology.gateways[Math.floor(systemRng.uniform() * topology.gateways.length)];
    const requester = topology.requesters[0];
    if (gateway === undefined || requester === undefined) throw new Error('a network without gateways');
    const route = toSphinxHops(drawer.draw(topology, [gateway, requester], 'forward') ?? [], topology.epoch);
    if (route === undefined) throw new Error('a node without a key');
    const { payloadBytes } = topology.params;
    sphinx.createPacket({ route, destination: requester.address, identifier, message, payloadBytes });
  };
  const named = (name: string, run: () => void): SizedCase => ({ name, count, one: { name: `${name} ${count}`, run } });
  return [
    named('scale.nodes.create', make),
    named('scale.nodes.consensus', () => new Topology(parseConsensus(payload))),
  ];
}

/** A consensus with `count` nodes, unsigned. */
function consensusOf(count: number): string {
  const { epochMs } = DEFAULT_PARAMS;
  const epoch = epochAt(Date.now() as UnixMs, epochMs);
  const others = Math.max(1, Math.floor(count / GATEWAYS_PER_NODES));
  const gateways = Array.from({ length: others }, (_, i) => ({
    role: 'gateway',
    ...nodeOf(`gateway-${i}`, epoch),
    ...listening,
  }));
  const requesters = Array.from({ length: others }, (_, i) => ({
    role: 'requester',
    ...nodeOf(`requester-${i}`, epoch),
    gateways: [gateways[i]?.identity],
  }));
  const mixes = Array.from({ length: Math.max(3, count - 2 * others) }, (_, i) => ({
    role: 'mixnode',
    layer: LAYERS[i % LAYERS.length],
    ...nodeOf(`mix-${i}`, epoch),
    ...listening,
  }));
  const nodes = [...mixes, ...gateways, ...requesters].sort((a, b) => (a.identity < b.identity ? -1 : 1));
  return JSON.stringify({
    version: DOCUMENT_VERSION,
    network: hex32(),
    epoch,
    validAfterMs: epochStartMs(epoch, epochMs),
    freshUntilMs: epochStartMs((epoch + 1) as EpochNumber, epochMs),
    validUntilMs: epochStartMs((epoch + 2) as EpochNumber, epochMs),
    params: DEFAULT_PARAMS,
    nodes,
  });
}

const listening = { host: '127.0.0.1', port: 1 };
const hex32 = () => Buffer.from(systemRng.bytes(32)).toString('hex');

function nodeOf(name: string, epoch: number) {
  return { identity: hex32(), name, sphinxKeys: [{ epoch, key: hex32() }] };
}
