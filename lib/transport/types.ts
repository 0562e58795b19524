/**
 * What the transport shows to the code around it: streams, handlers, options, counters.
 *
 * Everything here is a pure machine. Time comes in as `nowMs` (any monotonic clock), bytes go in and out, and the
 * caller owns clocks, sockets and Sphinx. A `Uint8Array` given to `receive` belongs to the machine from then on:
 * delivered data may be views of it.
 * @module
 */

import type { DelayLaws } from '../core/delay-law.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { MemoryBudget } from '../core/memory-budget.ts';
import type { Rng } from '../core/rng.ts';
import type { SessionParams } from '../core/session-params.ts';
import type { MonotonicMs } from '../core/units.ts';
import type { VersionRange } from '../core/version-range.ts';
import type { SessionMemory } from './session-memory.ts';
import type { OwnPath } from './surbs/surb-ledger.ts';

export type StreamKind = 'tcp' | 'udp' | 'resolve';

export interface StreamTarget {
  readonly kind: StreamKind;
  /** A name or an address as text, at most 255 bytes of UTF-8. */
  readonly host: string;
  readonly port: number;
}

export interface BoundAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * What happens on a stream. A handler may call the stream and the session again. After `onRefused` or `onReset`
 * nothing more comes; after `onFin` only `onReset` and `onDrain` can.
 */
export interface StreamHandlers {
  /** The requester has connected. */
  onOpened(bound: BoundAddress): void;
  /** The requester could not or would not connect, or the session ended before it did. */
  onRefused(code: ErrorCode): void;
  /** The next bytes, in order. Give the credit back with `consume` once they have gone on. */
  onData(bytes: Uint8Array): void;
  /** The peer will send no more; our direction goes on. */
  onFin(): void;
  /** Broken off, behind all bytes that the peer had sent: both directions are dead, ours with what was unsent. */
  onReset(code: ErrorCode): void;
  /** `write` returned false before; there is room again. */
  onDrain(): void;
  /** A datagram came: once at most, or never, in any order. */
  onDatagram?(host: string, port: number, bytes: Uint8Array): void;
}

/** The handlers of a stream on the side that accepts it. */
export type AcceptedHandlers = Pick<StreamHandlers, 'onData' | 'onFin' | 'onReset' | 'onDrain' | 'onDatagram'>;

/** One side of a stream. Calls after the end are harmless. */
export interface SessionStream {
  readonly id: number;
  /**
   * Queues bytes (copied). They are always taken; false asks to wait for `onDrain` before the next write. After
   * `end`, a reset or a STOP of the peer they are discarded, and the result is true.
   */
  write(bytes: Uint8Array, nowMs: MonotonicMs): boolean;
  /**
   * Sends one datagram (copied) with the other end's address for it, once the stream is open: unreliable, unordered, and
   * when too many wait the oldest are lost. False when it is larger than a packet takes.
   */
  sendDatagram(host: string, port: number, bytes: Uint8Array, nowMs: MonotonicMs): boolean;
  /** No more bytes from us: half-close. What is queued is still sent. */
  end(nowMs: MonotonicMs): void;
  /**
   * Breaks off both directions. The peer gets the bytes that were sent already, then `code`; our handlers are called no more.
   */
  reset(code: ErrorCode, nowMs: MonotonicMs): void;
  /** As `reset`, but behind all bytes that are queued: they are still sent. After `end` as `stop`. */
  endWithReset(code: ErrorCode, nowMs: MonotonicMs): void;
  /** Tells the peer that we will read no more, and drops what still comes; our own direction goes on. */
  stop(code: ErrorCode, nowMs: MonotonicMs): void;
  /** Gives flow control credit back for `bytes` bytes of `onData`. A stream lives until all were given back or it was reset. */
  consume(bytes: number, nowMs: MonotonicMs): void;
}

/** The accepting side: says what became of the connection, once. */
export interface AcceptedStream extends SessionStream {
  opened(bound: BoundAddress, nowMs: MonotonicMs): void;
  refuse(code: ErrorCode, nowMs: MonotonicMs): void;
}

/**
 * Called for each new stream at the requester; bytes and events go to the handlers it returns. `session` is the key of
 * the stream's session: for limits per session, and nothing to be logged.
 */
export type AcceptHandler = (
  stream: AcceptedStream,
  kind: StreamKind,
  host: string,
  port: number,
  session: string,
) => AcceptedHandlers;

export type Downlink = 'steady' | 'burst';

/** `opening`: HELLO unanswered; `draining`: takes no new streams, or sends CLOSE; `closed`: nothing left. */
export type ProxySessionState = 'opening' | 'open' | 'draining' | 'closed';

/** Why a session ended. */
export type CloseReason =
  | 'done' // the proxy closed it
  | 'idle' // nothing received for the idle time (requester)
  | 'timeout' // the peer did not answer (proxy)
  | 'unknown' // the requester does not know this session (it restarted)
  | 'token' // access token missing or wrong
  | 'limit' // the requester has too many sessions
  | 'version' // no common version
  | 'protocol' // the peer broke the rules
  | 'shutdown' // the process ends
  | 'hoarding' // the requester keeps reply blocks back (proxy; never sent)
  | 'flooding'; // the requester sends more replies than it was asked for (proxy; never sent)

/** Bounds of a session; every one has a default (docs/LIMITS.md). */
export interface SessionLimits {
  /** Streams of one session at a time. */
  readonly maxStreams: number;
  /** The receive window that every stream has, whatever the others do: what its peer may send before MAX_STREAM_DATA. */
  readonly minStreamWindowBytes: number;
  /** First receive window of a stream, as long as the session has memory for it. */
  readonly streamWindowBytes: number;
  /** To what a stream's receive window may grow. */
  readonly maxStreamWindowBytes: number;
  /** First credit of a session; later what it has beyond that of its streams. */
  readonly sessionWindowBytes: number;
  /** Memory for receive windows beyond the least of each stream; also the bytes kept for a peer that acknowledges nothing. */
  readonly maxSessionWindowBytes: number;
  /** Unsent bytes of a stream above which `write` asks to wait. */
  readonly unsentHighWaterBytes: number;
  /** Datagrams of a stream that wait to be sent. */
  readonly datagramQueueBytes: number;
  /** Packets sent and neither acknowledged nor given up. */
  readonly maxInFlightPackets: number;
  /** Requester: reply blocks held for one session. */
  readonly maxStockSurbs: number;
  /** Requester: a session is dropped after this long without a packet. */
  readonly idleMs: number;
  /** Proxy: a session is dropped when the requester has left packets unanswered for this long. */
  readonly deadPeerMs: number;
}

export interface ProxySessionOptions {
  readonly rng: Rng;
  readonly payloadBytes: number;
  readonly delay: DelayLaws;
  /** Main slots per second that this session gets. */
  readonly mainRatePerSecond: number;
  /** Replies per second asked of the requester (steady downlink). */
  readonly replyRatePerSecond: number;
  readonly downlink: Downlink;
  /** How long after `mintSurb` a reply block may be used. */
  readonly surbLifeMs: number;
  readonly accessToken?: Uint8Array;
  /** Of HELLO, and so of all frames; PROTOCOL_VERSION by default. */
  readonly version?: number;
  /** What the client knows by itself of the ways that packets and replies take. */
  readonly ownPath: () => OwnPath;
  /** Makes a compact reply block (372 bytes) with a fresh route; undefined when there is no route now. */
  readonly mintSurb: (nowMs: MonotonicMs) => Uint8Array | undefined;
  /** Those of the network (default: of one that sets none). */
  readonly params?: SessionParams;
  readonly memory?: SessionMemory;
  readonly limits?: Partial<SessionLimits>;
}

export interface RequesterSessionOptions {
  readonly key: string;
  readonly rng: Rng;
  readonly payloadBytes: number;
  readonly delay: DelayLaws;
  readonly params?: SessionParams;
  readonly limits: SessionLimits;
  readonly accept: AcceptHandler;
  readonly memory?: SessionMemory;
  /** Whether a reply over this block has a chance, as far as its first hop tells. */
  readonly surbUsable?: (surb372: Uint8Array) => boolean;
}

/** What a session takes from its network. */
export interface SessionTerms {
  /** As they are at any time. */
  readonly delay: DelayLaws;
  /** As they are when it begins. Default: those of a network that sets none. */
  readonly params?: SessionParams;
}

export interface SessionTableOptions {
  /** For how long an ended session is remembered: as long as its packets can be read (default 1 min). */
  readonly memoryMs?: number;
  readonly rng: Rng;
  readonly payloadBytes: number;
  /** Those in force, for a session that begins. */
  readonly terms: () => SessionTerms;
  readonly accept: AcceptHandler;
  /** When set, sessions whose HELLO carries another token are refused. */
  readonly accessToken?: Uint8Array;
  readonly maxSessions?: number;
  /** What all sessions draw on. */
  readonly memory?: MemoryBudget;
  readonly limits?: Partial<SessionLimits>;
  /** Whether a reply over this block has a chance, as far as its first hop tells; the others are left unused. */
  readonly surbUsable?: (surb372: Uint8Array) => boolean;
  /** SESSION_VERSIONS by default. */
  readonly versions?: VersionRange;
  /** Called when a HELLO is refused for its version. */
  readonly onOtherVersion?: (proxyVersion: number) => void;
}

/** A reply ready to be put into a packet. */
export interface Reply {
  readonly surb372: Uint8Array;
  readonly plaintext: Uint8Array;
}

/** Counters and gauges of one end of a session. */
export interface SessionStats {
  readonly packetsSent: number;
  readonly packetsReceived: number;
  readonly elicitingSent: number;
  readonly packetsLost: number;
  /** Packets given up whose acknowledgement came later. */
  readonly packetsLostSpuriously: number;
  readonly probes: number;
  /** Packets whose frames were sent once more in a slot that was free, before their fate was known. */
  readonly repeats: number;
  readonly duplicatesReceived: number;
  readonly bytesSent: number;
  readonly bytesRetransmitted: number;
  readonly bytesDelivered: number;
  /** Datagrams that found no packet in time. */
  readonly datagramsDropped: number;
  readonly bytesQueued: number;
  readonly bytesHeldOutOfOrder: number;
  /** Bytes of streams that have come and were not consumed. */
  readonly bytesUnread: number;
  readonly streamsOpen: number;
  readonly streamsOpened: number;
  readonly inFlightPackets: number;
  readonly smoothedRttMs: number;
  readonly lossThresholdMs: number;
  readonly lossRatio: number;
}

/** The proxy's view of its reply blocks. */
export interface SurbSupplyStats {
  readonly created: number;
  /** Created in packets that are neither acknowledged nor given up. */
  readonly inFlight: number;
  /** The requester's cumulative counters, as last received. */
  readonly received: number;
  readonly used: number;
  readonly expired: number;
  readonly evicted: number;
  /** What the requester has or will have: what the controller steers by. */
  readonly position: number;
  readonly target: number;
  readonly floor: number;
}

/** The requester's reply blocks: received = used + expired + evicted + held. */
export interface SurbStockStats {
  readonly received: number;
  readonly used: number;
  readonly expired: number;
  readonly evicted: number;
  readonly held: number;
}
