/**
 * What the rest of the system sees of links.
 * @module
 */
import type { AddressKey, IdentityHex } from '../core/bytes.ts';
import type { HostPort } from '../net/address.ts';
import type { AccessProof } from './access.ts';
import type { AnsweredRefusal } from './refusals.ts';

/** Who dialled: a node (frames are packets) or a client of a gateway (frames are next hop and packet). */
export type LinkKind = 'node' | 'client';

/** What a dialler wants: a link, the acceptor's countersignature, which comes with its hello, or (an authority) that hello alone. */
export type HelloKind = LinkKind | 'countersign' | 'probe';

/** What a client tells its gateway of itself. */
export interface ClientTerms {
  /** Its traffic class. */
  readonly trafficClass: string;
  /** Whether the gateway delivers by the class' clock, with padding, or packets as they come. */
  readonly clocked: boolean;
  /** What it shows of an invitation: at its gateway, where it shows some. */
  readonly access?: AccessProof;
}

/** Whether a peer may connect, or why not, where it learns that. */
export type AdmitVerdict = boolean | AnsweredRefusal;

/** Where a node listens and who must answer there. */
export interface LinkTarget {
  readonly id: IdentityHex;
  readonly host: string;
  readonly port: number;
  /** Where it listens besides, over IPv6; `host` is an IPv4 address then. */
  readonly ipv6?: HostPort;
}

/** What of a node says where it listens: alone, as threads can be given it. */
export function linkTargetOf({ id, host, port, ipv6 }: LinkTarget): LinkTarget {
  return { id, host, port, ...(ipv6 === undefined ? {} : { ipv6 }) };
}

/** Whether both listen at the same addresses. */
export function isSamePlace(a: Omit<LinkTarget, 'id'>, b: Omit<LinkTarget, 'id'>): boolean {
  return a.host === b.host && a.port === b.port && a.ipv6?.host === b.ipv6?.host && a.ipv6?.port === b.ipv6?.port;
}

/** A peer to keep a link to, found by its `addressKey`. */
export interface PeerTarget extends LinkTarget {
  readonly addressKey: AddressKey;
}

interface InboundLinkBase {
  readonly peer: IdentityHex;
  /** Of the link protocol: the highest that both ends speak. */
  readonly version: number;
  /** Queues one packet and takes ownership of it; says, and counts, what became of it. */
  send(packet: Uint8Array): SendResult;
  /** Packets queued and not yet taken by the kernel. */
  queued(): number;
  /** The handler gets the reason why the link ended; at once if it has ended already. */
  onClose(handler: (reason: string) => void): void;
  close(): void;
}

/** A link that a node dialled to us. */
export interface NodeInboundLink extends InboundLinkBase {
  readonly kind: 'node';
  /** The handler owns `packet`. Set it before `onLink` returns: frames without a handler are dropped. */
  onFrame(handler: (packet: Uint8Array) => void): void;
}

/** A link that a client dialled to us. */
export interface ClientInboundLink extends InboundLinkBase {
  readonly kind: 'client';
  readonly client: ClientTerms;
  /** Queues a frame that carries nothing; says, and counts, what became of it. */
  sendPadding(): SendResult;
  /** Queues a frame of `downlinkFrame` with a piece of a consensus; says, and counts, what became of it. */
  sendConsensus(frame: Uint8Array): SendResult;
  /** The handler owns both views. Set it before `onLink` returns: frames without a handler are dropped. */
  onFrame(handler: (nextHop: Uint8Array, packet: Uint8Array) => void): void;
}

export type InboundLink = NodeInboundLink | ClientInboundLink;

/** Bounds of a listener; each has a default and a row in docs/LIMITS.md. */
export interface LinkLimits {
  /** Links open at a time, handshakes included. */
  readonly maxConnections: number;
  /** Connections that have not finished TLS and hello. */
  readonly maxPendingHandshakes: number;
  /** Connections of one source (an IPv4 address, an IPv6 /64); 0: no bound. */
  readonly maxConnectionsPerSource: number;
  /** Of both, kept for neighbours. */
  readonly reservedConnections: number;
  /** Time from the TCP connection to the end of the hello. */
  readonly handshakeTimeoutMs: number;
  /** Frames queued per link towards the peer. */
  readonly queueFrames: number;
  /** A queue that does not shrink for this long belongs to a dead peer. */
  readonly stallTimeoutMs: number;
}

/** What became of a packet for a link: handed to TLS, or dropped because the link is down or its queue full. */
export type SendResult = 'sent' | 'link-down' | 'link-queue-full';

export interface PeerStatus {
  readonly id: IdentityHex;
  readonly state: 'up' | 'connecting' | 'waiting';
  readonly queued: number;
  /** Failed attempts since the link was last up for a while. */
  readonly attempts: number;
  /** Why the last attempt or link ended; empty when none did. */
  readonly lastReason: string;
  /** Of the key exchange; empty while the link is down. */
  readonly group: string;
  /** Of the link protocol; undefined while the link is down. */
  readonly version: number | undefined;
}

export type LinkState = 'up' | 'down';

export interface LaneOptions {
  readonly name: string;
  /** Ticks per second of the lane's Poisson clock; 0 stops it. Meaningless for immediate lanes. */
  readonly ratePerSecond: number;
  readonly contentSlots: number;
  readonly idleSlots: number;
  /** Sends content as soon as it is pushed and has no clock: the caller paces it. */
  readonly immediate?: boolean;
}

export interface LaneStats {
  /** Rate as set, per second. */
  readonly set: number;
  /** Departures per second over about the last ten seconds (fewer after a start). */
  readonly measured: number;
  readonly sentContent: number;
  readonly sentIdle: number;
  /** Ticks that found both rings empty. */
  readonly missed: number;
  /** Frames taken at their tick while the link was down or its queue full. */
  readonly discarded: number;
}

/** One Poisson clock of a client with the frames that wait for its ticks. */
export interface Lane {
  readonly name: string;
  /** Free slots. */
  contentRoom(): number;
  idleRoom(): number;
  /** Copies a frame into the ring; false when it is full. */
  pushContent(nextHop32: Uint8Array, packet: Uint8Array): boolean;
  pushIdle(nextHop32: Uint8Array, packet: Uint8Array): boolean;
  /** Has about `count` of the oldest idle frames forgotten, soon: their room shows that they are gone. */
  dropIdle(count: number): void;
  setRate(perSecond: number): void;
  /** Stops the clock and forgets what is in the rings. */
  remove(): void;
  stats(): LaneStats;
}

/** How late departures were against their deadlines, over the life of the link thread. */
export interface LatenessSnapshot {
  readonly count: number;
  /** Upper bounds of the buckets, ascending; the last is Infinity. */
  readonly upperMs: readonly number[];
  /** Departures per bucket (not cumulative). */
  readonly counts: readonly number[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface ClientLinkStats {
  readonly state: LinkState;
  /** Of the key exchange; empty while the link is down. */
  readonly group: string;
  /** Whether the gateway was last found to take none of our groups. */
  readonly noCommonGroup: boolean;
  /** Packets; padding is not among them. */
  readonly received: number;
  /** Frames that carried no packet: nothing, or a piece of a consensus. */
  readonly padding: number;
  /** Frames of no known kind. */
  readonly unknownFrames: number;
  /** Inbound packets dropped because the main thread did not fetch them in time. */
  readonly inboundDropped: number;
  readonly reconnects: number;
  readonly lateness: LatenessSnapshot;
}
