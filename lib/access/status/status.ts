/**
 * What a running proxy or client knows of itself: a proxy serves it as `/status.json`. It names no destination, no session
 * id and no identity of ours.
 * @module
 */
import type { EpochNumber } from '../../core/units.ts';
import type { StreamCounts } from '../stream-counters.ts';
import type { TroublesStatus } from '../troubles/recent-troubles.ts';
import type { DirectoryStatus } from './directory-status.ts';
import type { MixingStatus } from './mixing-pool.ts';

/** A Poisson clock: packets per second as set and as counted over about ten seconds. */
export interface RateStatus {
  readonly set: number;
  readonly measured: number;
}

export interface NodeStatus {
  readonly name: string;
  readonly role: 'mixnode' | 'gateway' | 'requester';
  /** Of mixes; null for the others. */
  readonly layer: number | null;
  /** Share of our loops through it that returned lately, 0 to 1; null until there were enough of them to tell. */
  readonly health: number | null;
  readonly excluded: boolean;
  readonly loopsSent: number;
  readonly loopsReturned: number;
}

export interface SessionStatus {
  readonly state: string;
  readonly requester: string;
  readonly streamsOpen: number;
  readonly roundTripMs: number;
  readonly lossRatio: number;
  readonly packetsSent: number;
  readonly packetsReceived: number;
  readonly bytesSent: number;
  readonly bytesDelivered: number;
}

/** Replies from one requester, over all sessions with it. */
export interface ReplyRateStatus extends RateStatus {
  readonly requester: string;
}

/** Reply blocks, summed over the sessions. */
export interface SurbStatus {
  readonly created: number;
  readonly used: number;
  readonly expired: number;
  readonly inFlight: number;
  /** What the requester has or will have, and what it should have. */
  readonly stock: number;
  readonly target: number;
}

/** Own loops, which show whether packets get through. */
export interface LoopStatus {
  readonly sent: number;
  readonly returned: number;
  /** Whether more are lost or late than chance explains, without a node that is known to be the reason. */
  readonly alarm: boolean;
}

export interface GatewayStatus {
  readonly name: string;
  readonly link: string;
  /** Group of the link's key exchange, `X25519MLKEM768` or `X25519`; null while the link is down. */
  readonly keyExchange: string | null;
  /** Whether the link cannot come up because the gateway takes none of our groups. */
  readonly noCommonGroup: boolean;
  /**
   * Whether the exit in use has no other gateway than this one, so that it sees both ends of the traffic: it can tell by times
   * and counts who is at which exit.
   */
  readonly seesBothEnds: boolean;
}

export interface Status {
  /** Whether a SOCKS request made now would find a way. */
  readonly ready: boolean;
  /** What is missing, in words; null when ready. */
  readonly obstacle: string | null;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly socks: string;
  readonly network: {
    readonly name: string;
    readonly trafficClass: string;
    readonly downlink: string;
    readonly payloadBytes: number | null;
    /** In force. */
    readonly meanDelayMs: number | null;
    /** Packets that a mix is to hold, by which the network chooses that delay; 0: the delay is fixed. */
    readonly mixingTarget: number | null;
    /** Whom its gateways let in: everybody, or invited clients only; null before there is a list of nodes. */
    readonly clients: 'open' | 'invited' | null;
    /** Why its gateways do not let this proxy in, and what to do; null where none said so. */
    readonly accessFault: string | null;
    /** Whether more is asked of it than it carries: its gateways are full, or its nodes shed packets. */
    readonly overCapacity: boolean;
  };
  readonly epoch: EpochNumber | null;
  /** Where the list of nodes comes from, and who is behind with it. */
  readonly directory: DirectoryStatus;
  /** Primitive → library that does it. */
  readonly crypto: Readonly<Record<string, string>>;
  readonly gateway: GatewayStatus | null;
  readonly nodes: readonly NodeStatus[];
  readonly loops: LoopStatus;
  readonly rates: Readonly<Record<'main' | 'loop' | 'drop' | 'reply' | 'delivery', RateStatus>>;
  /** `rates.reply` by requester. */
  readonly replies: readonly ReplyRateStatus[];
  /** How late packets leave against their clock. */
  readonly lateness: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number } | null;
  /** Ticks of own clocks for which no packet stood ready, since the start: gaps that an observer can see. */
  readonly slotsMissed: number;
  /** What was refused, slow or broken off in the last minutes, and why: the answer to "is it me?". */
  readonly troubles: TroublesStatus;
  readonly streams: Omit<StreamCounts, 'troubles'>;
  readonly sessions: readonly SessionStatus[];
  readonly surbs: SurbStatus;
  /** What the queues of the process take, as counted, and may take; null where nobody counts. */
  readonly memory: { readonly usedBytes: number; readonly budgetBytes: number } | null;
  /** How many packets wait in a mix, as far as can be known from here. */
  readonly mixing: MixingStatus | null;
}
