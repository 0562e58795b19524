/**
 * What a network for a number of users takes, and what anonymity that buys. Pure: costs of the machine come in.
 * docs/PLANNING.md has the arithmetic.
 * @module
 */
import {
  clientFrameBytes,
  type NetworkParams,
  packetBytes,
  type TrafficClass,
  uplinkRate,
} from '../../lib/core/params.ts';
import { MAX_CONSENSUS_BYTES, MAX_NODES } from '../../lib/directory/documents.ts';
import { DEFAULT_LINK_LIMITS } from '../../lib/link/index.ts';
import { FILTER_BYTES_PER_TAG } from '../../lib/mixing/index.ts';
import { keyLifeMs } from '../../lib/mixing/key-window.ts';
import { type MachineCosts, packetsAt, processorTime } from '../localnet/capacity.ts';
import { type Anonymity, anonymityOf } from './anonymity.ts';
import { type Demand, ratesOf, type Sizes, shapeOf, sizesFor } from './sizing.ts';

export interface PlanRequest {
  readonly users: number;
  readonly traffic: TrafficClass;
  readonly params: NetworkParams;
  readonly costs: MachineCosts;
  /** Packets that each pool is to hold; without it the network has its fixed delay. */
  readonly mixingTarget?: number | undefined;
}

/** One node of a role, and how many there are. */
export interface RolePlan {
  readonly count: number;
  /** Packets that it unwraps per second. */
  readonly packetsPerSecond: number;
  /** Its links, both directions of each; what exits exchange with sites is not in it. */
  readonly inBitsPerSecond: number;
  readonly outBitsPerSecond: number;
  /** In thirty days, in and out together. */
  readonly monthlyBytes: number;
  /** Processors that are busy all the time. */
  readonly processors: number;
  readonly memoryBytes: number;
}

export interface Plan {
  readonly users: number;
  readonly nodes: number;
  readonly mixesPerLayer: number;
  readonly mixes: RolePlan;
  readonly gateways: RolePlan;
  readonly exits: RolePlan;
  /** Of one user. */
  readonly user: Pick<RolePlan, 'inBitsPerSecond' | 'outBitsPerSecond' | 'monthlyBytes' | 'processors'>;
  readonly meanDelayMs: number;
  /** Whether pools hold the mixing target; null without one. */
  readonly targetReached: boolean | null;
  readonly anonymity: Anonymity;
  readonly usersPerGateway: number;
  /** Links of a mix of the first layer, which gateways and the last layer send to. */
  readonly linksOfMix: number;
  readonly consensusBytes: number;
  /** Bounds that such a network is beyond, one line each. */
  readonly beyond: readonly string[];
}

/** The mean delays that a mixing target chooses from. */
export const LEAST_TARGET_DELAY_MS = 40;
export const MOST_TARGET_DELAY_MS = 200;

const MONTH_S = 30 * 86_400;
const LAYERS = 3;
/** Of a node in a consensus, with three Sphinx keys, name, address and family. */
export const RECORD_BYTES = 450;
/** TLS record: header, type and tag. IPv4 and TCP with time stamps, for each segment of an Ethernet. */
const TLS_BYTES = 22;
const SEGMENT_BYTES = 1448;
const SEGMENT_HEADER_BYTES = 52;
/** Memory (docs/LIMITS.md): the program, a connection, and what a packet or reply block that waits takes beside its own bytes. */
const PROGRAM_BYTES = 100e6;
const LINK_BYTES = 80 * 1024;
const POOLED_BYTES = 320;
const WAITING_BYTES = 256;
const SESSION_BYTES = 4096;
const REPLY_BLOCK_BYTES = 448;
/** A gateway keeps half a second of a client's frames; an exit four times what a round trip and a second of replies need. */
const QUEUE_S = 0.5;
const STOCK_FACTOR = 4;
const DELAYS_OF_ROUND_TRIP = 6;

export function planFor(request: PlanRequest): Plan {
  const { users, traffic, params, costs } = request;
  const { nodeLoopRate, payloadBytes, epochMs } = params;
  const demand: Demand = { users, traffic, nodeLoopRate, payloadBytes, epochMs };
  const sizes = sizesFor(demand, costs);
  const perMix = packetsAt(ratesOf(demand), shapeOf(demand, sizes)).mixnode;
  const meanDelayMs = delayFor(request, perMix);
  const anonymity = anonymityOf({
    ...{ users, perMix, meanDelayMs },
    perLayer: perMix * sizes.mixesPerLayer,
    mainRate: traffic.mainRate,
    toRequesters: users * traffic.mainRate + sizes.requesters * traffic.loopRate,
  });
  const nodes = LAYERS * sizes.mixesPerLayer + sizes.gateways + sizes.requesters;
  const usersPerGateway = users / sizes.gateways;
  const linksOfMix = 2 * sizes.mixesPerLayer + sizes.gateways;
  const consensusBytes = nodes * RECORD_BYTES;
  const { mixingTarget } = request;
  return {
    ...{ users, nodes, mixesPerLayer: sizes.mixesPerLayer },
    ...rolesOf(demand, sizes, costs, meanDelayMs),
    ...{ meanDelayMs, anonymity, usersPerGateway, linksOfMix, consensusBytes },
    targetReached: mixingTarget === undefined ? null : anonymity.poolPackets >= mixingTarget * (1 - 1e-9),
    beyond: beyondOf({ nodes, consensusBytes, linksOfMix }),
  };
}

/** The least delay at which the pools hold the target, within its bounds. */
function delayFor({ params, mixingTarget }: PlanRequest, perMix: number): number {
  if (mixingTarget === undefined) return params.meanDelayMs;
  return Math.min(MOST_TARGET_DELAY_MS, Math.max(LEAST_TARGET_DELAY_MS, (1000 * mixingTarget) / perMix));
}

function rolesOf(demand: Demand, sizes: Sizes, costs: MachineCosts, meanDelayMs: number) {
  const { users, traffic, nodeLoopRate, payloadBytes, epochMs } = demand;
  const { mainRate, replyRate, loopRate, dropRate, deliveryRate } = traffic;
  const { mixesPerLayer, gateways, requesters } = sizes;
  const shape = shapeOf(demand, sizes);
  const time = processorTime(ratesOf(demand), shape, costs);
  const packets = packetsAt(ratesOf(demand), shape);
  const nodeFrame = wireBytes(packetBytes(payloadBytes));
  const clientFrame = wireBytes(clientFrameBytes(payloadBytes));
  const tagBytes = (perSecond: number) => (perSecond * keyLifeMs(epochMs) * FILTER_BYTES_PER_TAG) / 1000;

  const ofMix = packets.mixnode + nodeLoopRate; // own loops come back, and leave
  const poolBytes = ((packets.mixnode * meanDelayMs) / 1000) * (packetBytes(payloadBytes) + POOLED_BYTES);
  const mixes: RolePlan = {
    count: LAYERS * mixesPerLayer,
    packetsPerSecond: packets.mixnode,
    ...trafficOf(ofMix * nodeFrame, ofMix * nodeFrame),
    processors: time.mixnode,
    memoryBytes: PROGRAM_BYTES + poolBytes + tagBytes(packets.mixnode) + (2 * mixesPerLayer + gateways) * LINK_BYTES,
  };

  const fromExits = (users * replyRate + requesters * (loopRate + dropRate)) / gateways;
  const fromUsers = (users * uplinkRate(traffic)) / gateways;
  const toExits = (users * mainRate + requesters * loopRate) / gateways;
  const toUsers = (users * deliveryRate) / gateways;
  const ofGateway = packets.gateway + nodeLoopRate;
  const sentToMixes = fromUsers + fromExits + nodeLoopRate;
  const clients = users / gateways;
  const queueBytes = QUEUE_S * deliveryRate * (clientFrameBytes(payloadBytes) + WAITING_BYTES);
  const gateway: RolePlan = {
    count: gateways,
    packetsPerSecond: packets.gateway,
    ...trafficOf(
      ofGateway * nodeFrame + (fromUsers + fromExits) * clientFrame,
      sentToMixes * nodeFrame + (toUsers + toExits) * clientFrame,
    ),
    processors: time.gateway,
    memoryBytes:
      PROGRAM_BYTES + clients * (LINK_BYTES + queueBytes) + tagBytes(packets.gateway) + 2 * mixesPerLayer * LINK_BYTES,
  };

  const sessions = users / requesters;
  const atExit = sessions * mainRate + loopRate;
  const fromExit = sessions * replyRate + loopRate + dropRate;
  const blocks = STOCK_FACTOR * replyRate * (1 + (DELAYS_OF_ROUND_TRIP * meanDelayMs) / 1000);
  const exit: RolePlan = {
    count: requesters,
    packetsPerSecond: atExit,
    ...trafficOf(atExit * clientFrame, fromExit * clientFrame),
    processors: time.requester,
    memoryBytes: PROGRAM_BYTES + sessions * (SESSION_BYTES + blocks * REPLY_BLOCK_BYTES) + tagBytes(atExit),
  };
  const user = { ...trafficOf(deliveryRate * clientFrame, uplinkRate(traffic) * clientFrame), processors: time.proxy };
  return { mixes, gateways: gateway, exits: exit, user };
}

/** Of bytes per second in and out. */
function trafficOf(inBytes: number, outBytes: number) {
  return {
    inBitsPerSecond: 8 * inBytes,
    outBitsPerSecond: 8 * outBytes,
    monthlyBytes: MONTH_S * (inBytes + outBytes),
  };
}

/** Bytes of a frame on an Ethernet, its headers included. */
export function wireBytes(frameBytes: number): number {
  const bytes = frameBytes + TLS_BYTES;
  return bytes + SEGMENT_HEADER_BYTES * Math.ceil(bytes / SEGMENT_BYTES);
}

function beyondOf({
  nodes,
  consensusBytes,
  linksOfMix,
}: Pick<Plan, 'nodes' | 'consensusBytes' | 'linksOfMix'>): string[] {
  const { maxConnections } = DEFAULT_LINK_LIMITS;
  const beyond: string[] = [];
  if (nodes > MAX_NODES) beyond.push(`${whole(nodes)} nodes: a consensus lists ${whole(MAX_NODES)} at most`);
  if (consensusBytes > MAX_CONSENSUS_BYTES)
    beyond.push(
      `a consensus of ${whole(consensusBytes / 2 ** 20)} MiB: it has ${whole(MAX_CONSENSUS_BYTES / 2 ** 20)} MiB at most`,
    );
  if (linksOfMix > maxConnections)
    beyond.push(`${whole(linksOfMix)} links at a mix of layer 1: it takes ${whole(maxConnections)} at most`);
  return beyond;
}

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');
