/**
 * What an exit sees of how a proxy runs its sessions, as far as a network may choose it: one value for all of a network, so that neither
 * implementations nor versions nor settings of proxies can be distinguished by it (docs/PROTOCOL.md section 6.12).
 * @module
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const HOUR_MS = 3_600_000;

/** One parameter: whole, from `least` to `most`; `value` where a network sets none. */
export interface SessionParam {
  readonly value: number;
  readonly least: number;
  readonly most: number;
  readonly about: string;
}

const param = (value: number, least: number, most: number, about: string): SessionParam => ({
  value,
  least,
  most,
  about,
});

export const SESSION_PARAMS = {
  ackDelayMs: param(20, 1, 1000, 'a proxy holds an acknowledgement back for at most so long'),
  ackEveryPackets: param(10, 1, 100, 'an acknowledgement is due with this many packets that ask for one'),
  skipEvery: param(32, 2, 1024, 'one packet number in this many is followed by a gap'),
  pingMs: param(5000, 1000, 60_000, 'silence after which a proxy with streams open sends the first PING'),
  deadPeerMs: param(120_000, 10_000, HOUR_MS, 'silence after which a proxy gives a session up'),
  minStreamWindowBytes: param(64 * KIB, 16 * KIB, MIB, 'window of each stream of a session, as HELLO names it'),
  streamWindowBytes: param(256 * KIB, 64 * KIB, 4 * MIB, 'first window of a tcp stream at the proxy'),
  sessionWindowBytes: param(MIB, 256 * KIB, 16 * MIB, 'window of a session, as HELLO names it'),
  openTimeoutMs: param(60_000, 1000, HOUR_MS, 'time for the requester to connect'),
  streamIdleMs: param(2 * HOUR_MS, 60_000, 24 * HOUR_MS, 'a stream without a byte for this long is reset'),
  halfClosedIdleMs: param(600_000, 10_000, 24 * HOUR_MS, 'the same for a stream with one direction closed'),
  rotationMs: param(600_000, 60_000, 24 * HOUR_MS, 'age of a session from which it takes no new streams'),
  identityIdleMs: param(180_000, 10_000, 24 * HOUR_MS, 'a session without a new stream for this long may be closed'),
} as const satisfies Readonly<Record<string, SessionParam>>;

export type SessionParamName = keyof typeof SESSION_PARAMS;

/** `least` times `less` is at most `more`, or what `otherwise` says happens. */
interface SessionOrder {
  readonly less: SessionParamName;
  readonly more: SessionParamName;
  readonly least: number;
  readonly otherwise: string;
}

const order = (less: SessionParamName, more: SessionParamName, otherwise: string, least = 1): SessionOrder => ({
  less,
  more,
  least,
  otherwise,
});

/** Parameters that contradict each other although each is in its range (docs/PROTOCOL.md section 6.12). */
export const SESSION_ORDERS: readonly SessionOrder[] = [
  order('pingMs', 'deadPeerMs', 'a silence would end a session before a PING could be answered', 2),
  order('minStreamWindowBytes', 'streamWindowBytes', 'a stream would begin below the least window'),
  order('streamWindowBytes', 'sessionWindowBytes', 'one stream would have a larger window than its session'),
  order(
    'openTimeoutMs',
    'halfClosedIdleMs',
    'a stream would be broken off before its requester had the time to connect',
  ),
  order(
    'halfClosedIdleMs',
    'streamIdleMs',
    'a stream would be kept for longer with one direction closed than with both open',
  ),
  order('identityIdleMs', 'rotationMs', 'a session would be too old for new streams before it counted as idle'),
];

export type SessionParams = Readonly<Record<SessionParamName, number>>;

/** Names of the parameters, in the order of the list above. */
export const SESSION_PARAM_NAMES = Object.keys(SESSION_PARAMS) as readonly SessionParamName[];

/** An object with a value for each parameter. */
export function perSessionParam<T>(
  make: (name: SessionParamName, param: SessionParam) => T,
): Record<SessionParamName, T> {
  return Object.fromEntries(SESSION_PARAM_NAMES.map((name) => [name, make(name, SESSION_PARAMS[name])])) as Record<
    SessionParamName,
    T
  >;
}

/** `ackDelayMs` as `sessionAckDelayMs`: the option of an authority. */
export type SessionOptionName = `session${Capitalize<SessionParamName>}`;

export function sessionOptionName(name: SessionParamName): SessionOptionName {
  return `session${name.charAt(0).toUpperCase()}${name.slice(1)}` as SessionOptionName;
}

/** Those of a network that sets none. */
export const DEFAULT_SESSION_PARAMS: SessionParams = perSessionParam((_name, { value }) => value);

/**
 * The first contradiction among `params` as one line: `deadPeerMs is 10000: a silence would end …; set it to 120000 or more (2
 * times pingMs)`; undefined without one. `nameOf` gives the names that stand in it.
 */
export function sessionContradiction(
  params: SessionParams,
  nameOf: (name: SessionParamName) => string = (name) => name,
): string | undefined {
  const broken = SESSION_ORDERS.find(({ less, more, least }) => params[more] < least * params[less]);
  if (broken === undefined) return undefined;
  const { less, more, least, otherwise } = broken;
  const bound = `${least === 1 ? '' : `${least} times `}${nameOf(less)}`;
  return `${nameOf(more)} is ${params[more]}: ${otherwise}; set it to ${least * params[less]} or more (${bound})`;
}
