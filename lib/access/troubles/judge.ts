/**
 * Judges why a request failed or was slow, from its error code and what is known of machine, network and exit at that
 * moment. Pure functions: whoever calls them reads clocks and counters.
 * @module
 */
import type { ErrorCode } from '../../core/errors.ts';
import type { AccessRefusal } from '../../link/index.ts';
import type { Reason } from './reasons.ts';
import type { RequestKind } from './recent-troubles.ts';

/** What is known at the moment of the judgement. */
export interface Situation {
  /** What is missing for streams to open; undefined when nothing is. */
  readonly obstacle: ErrorCode | undefined;
  readonly clockIsWrong: boolean;
  /** The gateway takes none of our groups of key exchange. */
  readonly noCommonGroup: boolean;
  /** Why gateways do not let this client in, where they said so. */
  readonly accessRefusal: AccessRefusal | undefined;
  /** Gateways are full, or nodes say that they shed packets. */
  readonly networkIsFull: boolean;
  /** The exit has refused our version of the protocol lately. */
  readonly versionsDiffer: boolean;
  /** No listed exit lets the port of the request through. */
  readonly portIsClosed: boolean;
  /** The last seconds found packets missing or unread because this machine was late. */
  readonly machineIsLate: boolean;
  /** Share of packets that got lost lately, 0 to 1. */
  readonly lossShare: number;
  /** The clients' own loops say that traffic is lost or held back. */
  readonly loopAlarm: boolean;
  /** Sessions with streams, which share the rates. */
  readonly sharing: number;
  /** Whether the stream has, had or never got a session. */
  readonly session: 'none' | 'open' | 'ended';
  /** For how long the stream waited for its session, and whether for one of the identities. */
  readonly waitedMs: number;
  readonly waitedForIdentity: boolean;
  /** A time that by the law of delays and the clocks of the class nearly every opening stays under. */
  readonly lawfulOpenMs: number;
}

/** Nothing is known but that all is well. */
export const UNTROUBLED: Situation = {
  obstacle: undefined,
  clockIsWrong: false,
  noCommonGroup: false,
  accessRefusal: undefined,
  networkIsFull: false,
  versionsDiffer: false,
  portIsClosed: false,
  machineIsLate: false,
  lossShare: 0,
  loopAlarm: false,
  sharing: 1,
  session: 'open',
  waitedMs: 0,
  waitedForIdentity: false,
  lawfulOpenMs: 1000,
};

/** An opening that takes this much longer than lawful is slow: the exit needs some time to resolve and connect. */
export const SLOW_OPEN_MS = 1_000;
/** From this share of packets on, loss is felt. */
export const LOSSY_SHARE = 0.05;
/** So many sessions make the share of each felt. */
const FELT_SHARING = 4;

/** Where the code alone decides. */
const BY_CODE: Readonly<Record<ErrorCode, Reason>> = {
  USAGE: 'defect',
  CONFIG: 'defect',
  IDENTITY: 'defect',
  DOCUMENT: 'no-route',
  LISTEN: 'defect',
  ENVIRONMENT: 'defect',
  NO_CONSENSUS: 'no-consensus',
  NO_GATEWAY: 'no-gateway',
  NO_REQUESTER: 'exit-silent',
  NO_ROUTE: 'no-route',
  LINK: 'no-route',
  POLICY: 'exit-refused',
  UNSAFE: 'address-for-name',
  NET_UNREACHABLE: 'exit-no-way',
  NOT_FOUND: 'no-such-name',
  HOST_UNREACHABLE: 'site-unreachable',
  REFUSED: 'site-refused',
  TIMEOUT: 'site-timeout',
  COMMAND: 'exit-refused',
  ADDRESS_TYPE: 'bad-request',
  LIMIT: 'exit-full',
  SESSION_CLOSED: 'session-ended',
  RESET: 'site-reset',
  MALFORMED: 'site-malformed',
  CRYPTO: 'defect',
  INTERNAL: 'defect',
};

/** What the proxy itself says of a request, without asking anybody. */
const BY_OWN_CODE: Readonly<Partial<Record<ErrorCode, Reason>>> = {
  POLICY: 'private-destination',
  REFUSED: 'bad-request',
  COMMAND: 'bad-request',
  LIMIT: 'connections-full',
  MALFORMED: 'not-a-request',
};

/** Why a request failed with `code`. `own`: the proxy said so, of the request itself or because its time was up. */
export function judgeFailure(code: ErrorCode, own: boolean, situation: Situation): Reason {
  if (own) return code === 'TIMEOUT' ? (judgeWait(situation) ?? 'no-answer') : (BY_OWN_CODE[code] ?? BY_CODE[code]);
  if (situation.session === 'ended') return judgeEndedSession(code, situation);
  if (situation.session === 'none') return judgeWithoutSession(code, situation);
  if (code === 'POLICY' && situation.portIsClosed) return 'no-exit-for-port';
  return code === 'NO_REQUESTER' ? judgeSilence(situation) : BY_CODE[code];
}

/** Why a stream that was open broke off with `code`; undefined where that is the site's or the program's business. */
export function judgeBreak(code: ErrorCode, situation: Situation): Reason | undefined {
  if (situation.session === 'ended') return judgeEndedSession(code, situation);
  if (code === 'RESET') return undefined;
  return code === 'TIMEOUT' ? 'idle' : BY_CODE[code];
}

/** Why a request was given up by its program after `waitedMs`; undefined when it was not long. */
export function judgeAbandoned(waitedMs: number, situation: Situation): Reason | undefined {
  if (waitedMs <= situation.lawfulOpenMs + SLOW_OPEN_MS) return undefined;
  return judgeWait(situation) ?? 'no-answer';
}

/** Why an opening that took `afterMs` was slow; undefined when it was not. */
export function judgeOpening(kind: RequestKind, afterMs: number, situation: Situation): Reason | undefined {
  const excessMs = afterMs - situation.lawfulOpenMs;
  if (excessMs <= SLOW_OPEN_MS) return undefined;
  if (situation.waitedMs >= excessMs / 2) return situation.waitedForIdentity ? 'identities-full' : 'no-session';
  return judgeDelay(situation) ?? (kind === 'association' ? 'exit-slow' : 'site-slow-connect');
}

/** What keeps a request waiting that has no answer yet. */
function judgeWait(situation: Situation): Reason | undefined {
  const { clockIsWrong, obstacle, session, waitedForIdentity, versionsDiffer } = situation;
  if (obstacle !== undefined && clockIsWrong) return 'clock-wrong';
  if (obstacle === 'NO_GATEWAY') return judgeGateway(situation);
  if (obstacle === 'NO_CONSENSUS') return 'no-consensus';
  if (obstacle === 'NO_REQUESTER') return 'no-exit';
  if (session === 'none' && waitedForIdentity) return 'identities-full';
  if (versionsDiffer) return 'exit-version';
  const delay = judgeDelay(situation);
  return delay === undefined && obstacle !== undefined ? 'exit-silent' : delay;
}

/** Why there is no gateway. */
function judgeGateway({ noCommonGroup, accessRefusal, networkIsFull }: Situation): Reason {
  if (noCommonGroup) return 'key-exchange';
  return accessRefusal ?? (networkIsFull ? 'network-full' : 'no-gateway');
}

/** What makes packets late: a late machine loses packets as well, so it is looked at first. */
function judgeDelay({ machineIsLate, networkIsFull, lossShare, loopAlarm, sharing }: Situation): Reason | undefined {
  if (machineIsLate) return 'machine-slow';
  if (loopAlarm || lossShare >= LOSSY_SHARE) return networkIsFull ? 'network-full' : 'path-lossy';
  return sharing >= FELT_SHARING ? 'rates-shared' : undefined;
}

function judgeSilence({ versionsDiffer, machineIsLate, loopAlarm }: Situation): Reason {
  if (versionsDiffer) return 'exit-version';
  if (machineIsLate) return 'machine-slow';
  return loopAlarm ? 'path-lossy' : 'exit-silent';
}

/** The stream ended with its session. */
function judgeEndedSession(code: ErrorCode, situation: Situation): Reason {
  if (code === 'POLICY') return 'exit-token';
  if (code === 'TIMEOUT') return judgeSilence(situation);
  if (code === 'SESSION_CLOSED' && situation.versionsDiffer) return 'exit-version';
  return BY_CODE[code];
}

/** The stream got no session. */
function judgeWithoutSession(code: ErrorCode, situation: Situation): Reason {
  const { obstacle, clockIsWrong, waitedForIdentity } = situation;
  if (code === 'NO_CONSENSUS') return clockIsWrong ? 'clock-wrong' : 'no-consensus';
  if (code === 'NO_GATEWAY') return judgeGateway(situation);
  if (code === 'LIMIT') return waitedForIdentity ? 'identities-full' : 'streams-full';
  if (code === 'NO_REQUESTER') return obstacle === 'NO_REQUESTER' ? 'no-exit' : judgeSilence(situation);
  return BY_CODE[code];
}
