/**
 * How much of a machine's processors the rates of a local network take: what each packet costs in each process on its way, from the
 * times of its Sphinx operations and of frames on this machine. Pure.
 * @module
 */
import { z } from 'zod';
import { defaultDeliveryRate, packetBytes } from '../../lib/core/params.ts';
import type { LocalnetConfig } from './config.ts';

const perSecond = z.number().min(0);

/** Clocks of one proxy, and of nodes, per second. The delivery clock follows from replies and loops (docs/PROTOCOL.md section 5.8). */
export const NetworkRates = z.strictObject({
  /** Packets from the proxy to its exit, and replies to it. */
  rate: perSecond,
  replyRate: perSecond,
  /** Loops and drop packets of the proxy, and of each exit. */
  loopRate: perSecond,
  dropRate: perSecond,
  /** Loops of each mix and gateway. */
  nodeLoopRate: perSecond,
});
export type NetworkRates = Readonly<z.infer<typeof NetworkRates>>;

export type NetworkShape = Pick<LocalnetConfig, 'mixesPerLayer' | 'gateways' | 'requesters' | 'packetSize'> & {
  /** One by default. */
  readonly proxies?: number;
};

/** What a machine is measured to need, in milliseconds of one processor. */
export interface MachineCosts {
  /** Processors that the network may use, a fraction where a quota says so. */
  readonly processors: number;
  /** An X25519 multiplication of the fastest library: the machine's speed, whatever crypto the network uses. */
  readonly scalarMs: number;
  /** Operations of Sphinx at the network's packet size, with its crypto. */
  readonly createMs: number;
  readonly createSurbMs: number;
  readonly useSurbMs: number;
  readonly unwrapMs: number;
  readonly openReplyMs: number;
}

/** Seconds of processor time per second, of one process of each role, and of the whole network. */
export type ProcessorTime = Readonly<Record<'mixnode' | 'gateway' | 'requester' | 'proxy' | 'all', number>>;

/** A network has as many layers of mixes. */
const LAYERS = 3;
/**
 * What comes on top of Sphinx, in multiplications: the processor time of the processes of networks at 50:100, 150:375 and 200:500
 * (and 50:100 with 32768 bytes) while they were downloaded through, less their Sphinx operations. First, a frame that a mix or
 * gateway receives or sends.
 */
const FRAME = 1;
/** A frame that a proxy or exit receives or sends, with its clock and session. */
const SESSION_FRAME = 5.5;
/** Each byte of a frame beyond those of a packet with 2048 bytes of plaintext. */
const FURTHER_BYTE = 1 / 5500;
const SMALL_PACKET_BYTES = packetBytes(2048);
/** Waking up for a packet: so much in a node, and in a proxy or exit, which have three threads … */
const NODE_WAKE = 7.5;
const ENDPOINT_WAKE = 15;
/** … but the more comes at a time, the more one waking serves: it takes no more than this share of a processor. */
const NODE_WAKE_SHARE = 0.03;
const ENDPOINT_WAKE_SHARE = 0.06;

/** Packets per second that a mix, and a gateway, has to unwrap: a loop of a node passes every position of the ring but its own. */
export function packetsAt(rates: NetworkRates, shape: NetworkShape): Readonly<Record<'mixnode' | 'gateway', number>> {
  const { mixesPerLayer, gateways, nodeLoopRate } = { ...rates, ...shape };
  const through = sentBy(rates, shape) + (LAYERS * mixesPerLayer + gateways) * nodeLoopRate;
  return {
    mixnode: through / mixesPerLayer - nodeLoopRate,
    gateway: through / gateways - nodeLoopRate,
  };
}

/** Packets per second that proxies and exits send. */
function sentBy({ rate, replyRate, loopRate, dropRate }: NetworkRates, { requesters, proxies = 1 }: NetworkShape) {
  return proxies * (rate + replyRate) + (proxies + requesters) * (loopRate + dropRate);
}

/** What `rates` take on a machine with `costs`. It grows with every rate. */
export function processorTime(rates: NetworkRates, shape: NetworkShape, costs: MachineCosts): ProcessorTime {
  const { rate, replyRate, loopRate, dropRate, nodeLoopRate } = rates;
  const { mixesPerLayer, gateways, requesters, proxies = 1 } = shape;
  const { scalarMs, createMs, createSurbMs, useSurbMs, unwrapMs, openReplyMs } = costs;
  const furtherBytes = packetBytes(shape.packetSize) - SMALL_PACKET_BYTES;
  const frameMs = (FRAME + FURTHER_BYTE * furtherBytes) * scalarMs;
  const sessionFrameMs = (SESSION_FRAME + FURTHER_BYTE * furtherBytes) * scalarMs;

  const sent = sentBy(rates, shape);
  const loopMs = createMs + openReplyMs + 2 * frameMs;
  const ownLoopsMs = nodeLoopRate * loopMs;
  const passMs = unwrapMs + 2 * frameMs;

  const { mixnode: inLayer, gateway: atGateway } = packetsAt(rates, shape);
  const nodeWakeMs = NODE_WAKE * scalarMs;
  const mixMs = ownLoopsMs + inLayer * passMs + wakingMs(inLayer, nodeWakeMs, NODE_WAKE_SHARE);
  const fromClients = sent / gateways;
  const toClients = (proxies * (defaultDeliveryRate(rates) + rate) + requesters * loopRate) / gateways;
  const gatewayMs =
    ownLoopsMs +
    atGateway * (unwrapMs + frameMs) +
    (2 * fromClients + toClients) * frameMs +
    wakingMs(atGateway, nodeWakeMs, NODE_WAKE_SHARE);

  const endpointWakeMs = ENDPOINT_WAKE * scalarMs;
  const coverMs = (loopRate + dropRate) * createMs + loopRate * openReplyMs;
  const proxyFrames = rate + loopRate + dropRate + defaultDeliveryRate(rates);
  const proxyMs =
    coverMs +
    rate * createMs +
    replyRate * (createSurbMs + openReplyMs) +
    proxyFrames * sessionFrameMs +
    wakingMs(proxyFrames, endpointWakeMs, ENDPOINT_WAKE_SHARE);
  const requesterFrames = (proxies * (rate + replyRate)) / requesters + 2 * loopRate + dropRate;
  const requesterMs =
    coverMs +
    (proxies * (rate * unwrapMs + replyRate * useSurbMs)) / requesters +
    requesterFrames * sessionFrameMs +
    wakingMs(requesterFrames, endpointWakeMs, ENDPOINT_WAKE_SHARE);
  const allMs = LAYERS * mixesPerLayer * mixMs + gateways * gatewayMs + requesters * requesterMs + proxies * proxyMs;
  return {
    mixnode: mixMs / 1000,
    gateway: gatewayMs / 1000,
    requester: requesterMs / 1000,
    proxy: proxyMs / 1000,
    all: allMs / 1000,
  };
}

/** Milliseconds per second of waking up for `packets` per second: `wakeMs` for each where they are few, `share` of all time where many. */
function wakingMs(packets: number, wakeMs: number, share: number): number {
  const mostMs = 1000 * share;
  return mostMs * (1 - Math.exp((-packets * wakeMs) / mostMs));
}
