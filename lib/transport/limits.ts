/**
 * Default bounds and constants of the transport. Every one is listed in docs/LIMITS.md.
 * @module
 */
import { DEFAULT_SESSION_PARAMS, type SessionParams } from '../core/session-params.ts';
import type { VersionRange } from '../core/version-range.ts';
import type { SessionLimits } from './types.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

export const DEFAULT_SESSION_LIMITS: SessionLimits = {
  maxStreams: 256,
  minStreamWindowBytes: DEFAULT_SESSION_PARAMS.minStreamWindowBytes,
  streamWindowBytes: DEFAULT_SESSION_PARAMS.streamWindowBytes,
  maxStreamWindowBytes: 4 * MIB,
  sessionWindowBytes: DEFAULT_SESSION_PARAMS.sessionWindowBytes,
  maxSessionWindowBytes: 16 * MIB,
  unsentHighWaterBytes: 128 * KIB,
  datagramQueueBytes: 64 * KIB,
  maxInFlightPackets: 4096,
  maxStockSurbs: 8192,
  idleMs: 300_000,
  deadPeerMs: DEFAULT_SESSION_PARAMS.deadPeerMs,
};

/** Payload for whose packets the default windows are wide enough at any rate of a traffic class. */
const SMALL_PAYLOAD_BYTES = 2048;
/** Windows of networks with larger packets get wider by this factor at most. */
const MOST_WINDOW_FACTOR = 4;

/**
 * How wide windows may get, which follows from a network's packets: a round trip at the same clocks brings more of larger ones. All proxies
 * of a network have the same.
 */
function widestWindows(payloadBytes: number): Pick<SessionLimits, 'maxStreamWindowBytes' | 'maxSessionWindowBytes'> {
  const factor = Math.min(MOST_WINDOW_FACTOR, payloadBytes / SMALL_PAYLOAD_BYTES);
  const { maxStreamWindowBytes, maxSessionWindowBytes } = DEFAULT_SESSION_LIMITS;
  return {
    maxStreamWindowBytes: factor * maxStreamWindowBytes,
    maxSessionWindowBytes: factor * maxSessionWindowBytes,
  };
}

/** The limits of a proxy's session: `limits`, and what is not there as the network has it, or by default. */
export function proxyLimits(
  limits: Partial<SessionLimits> | undefined,
  payloadBytes: number,
  params: SessionParams = DEFAULT_SESSION_PARAMS,
): SessionLimits {
  const { minStreamWindowBytes, streamWindowBytes, sessionWindowBytes, deadPeerMs } = params;
  const ofNetwork = { minStreamWindowBytes, streamWindowBytes, sessionWindowBytes, deadPeerMs };
  const all = { ...DEFAULT_SESSION_LIMITS, ...widestWindows(payloadBytes), ...ofNetwork, ...limits };
  return { ...all, minStreamWindowBytes: Math.min(all.minStreamWindowBytes, all.streamWindowBytes) };
}

/** The same for a requester. The proxy may use the protocol's first windows at once: ours are never smaller. */
export function requesterLimits(limits: Partial<SessionLimits> | undefined, payloadBytes: number): SessionLimits {
  const all = { ...DEFAULT_SESSION_LIMITS, ...widestWindows(payloadBytes), ...limits };
  return {
    ...all,
    minStreamWindowBytes: INITIAL_STREAM_WINDOW_BYTES,
    streamWindowBytes: Math.max(all.streamWindowBytes, INITIAL_STREAM_WINDOW_BYTES),
    maxStreamWindowBytes: Math.max(all.maxStreamWindowBytes, INITIAL_STREAM_WINDOW_BYTES),
    sessionWindowBytes: Math.max(all.sessionWindowBytes, INITIAL_SESSION_WINDOW_BYTES),
  };
}

export const SESSION_ID_BYTES = 16;
/** A compact reply block: header 348, prefix of the first hop's identity 8, payload key seed 16. */
export const SURB_BYTES = 372;
/** Blocks in one packet, whatever its size: each costs the proxy a header. */
export const MAX_BLOCKS_PER_PACKET = 16;
/** Those of sessions that this program speaks. How earlier ones differ: docs/PROTOCOL.md section 6.10. */
export const SESSION_VERSIONS: VersionRange = { lowest: 3, highest: 3 };
/** The version in HELLO where nothing else is agreed on. */
export const PROTOCOL_VERSION = SESSION_VERSIONS.highest;
/** What a requester speaks that names no versions in the consensus. */
export const UNLISTED_VERSIONS: VersionRange = { lowest: 3, highest: 3 };
/** Frames in one packet, whatever its size: each costs the other end some microseconds. Of 2048 bytes no packet has as many. */
export const MAX_FRAMES_PER_PACKET = 1024;
export const CHALLENGE_BYTES = 8;
export const MAX_TOKEN_BYTES = 255;
export const MAX_HOST_BYTES = 255;

/** What a proxy may send before it hears of the requester's windows: part of the protocol, not a setting. */
export const INITIAL_STREAM_WINDOW_BYTES = 256 * KIB;
export const INITIAL_SESSION_WINDOW_BYTES = 1 * MIB;

/** The reply blocks that a requester keeps for ACK, MAX_*, OPENED, REFUSED, RESET and CLOSE. */
export const RESERVED_SURBS = 8;

/** The requester's `ackDelayMs`: a reply costs it a block, while a slot costs the proxy nothing. */
export const REQUESTER_ACK_DELAY_MS = 50;

/** Separate runs of numbers or bytes that are remembered; a peer that makes more is closed or forgotten in part. */
export const MAX_NUMBER_RANGES = 1024;
export const MAX_HELD_RANGES = 8192;
/** An ACK frame takes at most this share of a packet: five reply blocks still fit beside it in 2048 bytes. */
export const ACK_SHARE = 1 / 16;

/** Bytes handed to the application and not given back, above which the rest waits in one flat buffer. */
export const MAX_DELIVERED_BYTES = 128 * KIB;
/** The same as a count of pieces: many tiny pieces cost more than their bytes. */
export const MAX_DELIVERED_PIECES = 128;

/** The requester's stream table is this many times the proxy's, since it frees its entries later. */
export const ACCEPT_TABLE_FACTOR = 4;
