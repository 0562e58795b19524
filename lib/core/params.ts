/**
 * The parameters a network fixes for all its members in the consensus, and the sizes and times that follow from them.
 * @module
 */
import { DEFAULT_SESSION_PARAMS, type SessionParams } from './session-params.ts';
import type { EpochNumber, UnixMs } from './units.ts';

/** Rates of the Poisson clocks, per second. Members of one class look alike on the wire. */
export interface TrafficClass {
  /** λP: the proxy's main clock; a packet to the session's requester. */
  readonly mainRate: number;
  /** λR: replies per second, summed over the sessions of a proxy. */
  readonly replyRate: number;
  /** λL: loops of a client to itself. */
  readonly loopRate: number;
  /** λD: packets to a random gateway, which discards them. */
  readonly dropRate: number;
  /** Frames per second from its gateway to a proxy in steady mode: packets, and padding where none waits. */
  readonly deliveryRate: number;
}

/** The delivery clock is at least so much faster than what it is to deliver; else packets would wait without end. */
export const MIN_DELIVERY_RATIO = 1.2;
const DEFAULT_DELIVERY_RATIO = 1.25;

/** The least delivery rate of a class with these rates, per second. */
export function minDeliveryRate({ replyRate, loopRate }: Pick<TrafficClass, 'replyRate' | 'loopRate'>): number {
  return MIN_DELIVERY_RATIO * (replyRate + loopRate);
}

/** The delivery rate of a class whose network sets none, per second. */
export function defaultDeliveryRate({ replyRate, loopRate }: Pick<TrafficClass, 'replyRate' | 'loopRate'>): number {
  return Math.ceil(DEFAULT_DELIVERY_RATIO * (replyRate + loopRate));
}

/** Frames per second that the clocks of a proxy of this class send. */
export function uplinkRate({ mainRate, loopRate, dropRate }: TrafficClass): number {
  return mainRate + loopRate + dropRate;
}

export interface NetworkParams {
  /** Plaintext bytes of every packet. */
  readonly payloadBytes: number;
  /** 1/μ: mean of the exponential delay at each mix. */
  readonly meanDelayMs: number;
  /** A node cuts longer delays to this; far in the tail of the law. */
  readonly maxDelayMs: number;
  readonly epochMs: number;
  /** λM: own loops per second of each mix and gateway. */
  readonly nodeLoopRate: number;
  /** Mixes and gateways that say that they carry fewer packets per second are not listed. */
  readonly minCapacity: number;
  /** Packets that a mix is to hold at a time, by which the authorities choose `meanDelayMs` each epoch; 0: it is fixed. */
  readonly mixingTarget: number;
  /** Whom gateways let in as clients: everybody, or whom one of them has invited. Exits of the consensus need no invitation. */
  readonly clients: 'open' | 'invited';
  readonly classes: Readonly<Record<string, TrafficClass>>;
  /** How proxies run their sessions, as far as an exit sees it. */
  readonly session: SessionParams;
}

export const DEFAULT_PARAMS: NetworkParams = {
  payloadBytes: 2048,
  /** λ/μ is 2 for class standard (docs/ANONYMITY.md). */
  meanDelayMs: 40,
  maxDelayMs: 10_000,
  epochMs: 3_600_000,
  nodeLoopRate: 10,
  minCapacity: 0,
  mixingTarget: 0,
  clients: 'open',
  classes: {
    standard: { mainRate: 50, replyRate: 100, loopRate: 5, dropRate: 1, deliveryRate: 132 },
    fast: { mainRate: 200, replyRate: 500, loopRate: 5, dropRate: 1, deliveryRate: 632 },
  },
  session: DEFAULT_SESSION_PARAMS,
};

/** Below this a node would notice that its loops are held back (n-1 attack) only after more than 5 s. */
const LEAST_NODE_LOOP_RATE = 2;

/**
 * Own loops per second of each node where an authority sets none: fewer of larger packets. At ten a second with packets of 32,768 bytes
 * they were a third of all that a busy network of eight nodes carried.
 */
export function defaultNodeLoopRate(payloadBytes: number): number {
  const { nodeLoopRate, payloadBytes: usual } = DEFAULT_PARAMS;
  return Math.max(LEAST_NODE_LOOP_RATE, (nodeLoopRate * usual) / payloadBytes);
}

/** The plaintext sizes a network may choose. */
export const PAYLOAD_SIZES: readonly number[] = [2048, 8192, 16384, 32768];

/** Sphinx header (348), zero prefix and marker (17): SPHINX section 1. */
export const SPHINX_OVERHEAD_BYTES = 348 + 17;
export const ADDRESS_BYTES = 32;

/** Bytes of a Sphinx packet, which is the frame between nodes. */
export function packetBytes(payloadBytes: number): number {
  return payloadBytes + SPHINX_OVERHEAD_BYTES;
}

/** Bytes of a frame between a client and its gateway: next hop and packet, padded to the same both ways. */
export function clientFrameBytes(payloadBytes: number): number {
  return packetBytes(payloadBytes) + ADDRESS_BYTES;
}

export function epochAt(wallMs: UnixMs, epochMs: number): EpochNumber {
  return Math.floor(wallMs / epochMs) as EpochNumber;
}

export function epochStartMs(epoch: EpochNumber, epochMs: number): UnixMs {
  return (epoch * epochMs) as UnixMs;
}

/** Δ: a key is accepted this long before its epoch starts and after it ends. */
export function keyGraceMs(epochMs: number): number {
  return epochMs / 6;
}

/**
 * How long after its making a reply block may be used. Counted so that it never outlives the keys in it: made at the
 * very end of its epoch, it is still unwrapped by the last hop within Δ. Short test epochs shrink the margins.
 */
export function surbLifeMs(params: NetworkParams): number {
  const graceMs = keyGraceMs(params.epochMs);
  return graceMs - Math.min(30_000, graceMs / 4) - Math.min(params.maxDelayMs, graceMs / 4);
}
