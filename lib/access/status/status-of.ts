/**
 * Gathers the status of a running proxy or client from its parts.
 * @module
 */

import type { MonotonicMs } from '../../core/units.ts';
import { VERSION } from '../../core/version.ts';
import { epochMsOf, type NodeEntry } from '../../directory/index.ts';
import type { LaneStats } from '../../link/index.ts';
import type { Components } from '../../runtime/components.ts';
import type { ProxySession, SurbSupplyStats } from '../../session/index.ts';
import type { ProxyMixnet } from '../mixnet.ts';
import type { StreamCounts } from '../stream-counters.ts';
import type { MixnetTerms } from '../terms.ts';
import { directoryStatus } from './directory-status.ts';
import { mixingPool } from './mixing-pool.ts';
import type { ReplyMeter } from './reply-meter.ts';
import type { NodeStatus, RateStatus, ReplyRateStatus, SessionStatus, Status, SurbStatus } from './status.ts';

export interface StatusSources {
  readonly config: Pick<MixnetTerms, 'trafficClass' | 'downlink'>;
  readonly components: Components;
  readonly mixnet: ProxyMixnet;
  /** `host:port` of the SOCKS port; empty without one. */
  readonly socks: string;
  readonly streams: StreamCounts;
  readonly replies: ReplyMeter<ProxySession>;
  /** `clock.nowMs()` at the start. */
  readonly startedMs: MonotonicMs;
}

const STOPPED: RateStatus = { set: 0, measured: 0 };

/** The status as of now. */
export function statusOf(parts: StatusSources): Status {
  const { config, components, mixnet } = parts;
  const topology = mixnet.directory.topology();
  const sessions = mixnet.hub?.sessions() ?? [];
  const { troubles, ...streams } = parts.streams;
  const { memory } = components;
  const lateness = mixnet.endpoint?.stats().link?.lateness;
  return {
    ready: mixnet.ready,
    obstacle: mixnet.obstacle()?.message ?? null,
    version: VERSION,
    uptimeSeconds: (components.clock.nowMs() - parts.startedMs) / 1000,
    socks: parts.socks,
    network: {
      name: mixnet.network.name,
      trafficClass: config.trafficClass,
      downlink: config.downlink,
      payloadBytes: topology?.params.payloadBytes ?? null,
      meanDelayMs: topology?.params.meanDelayMs ?? null,
      mixingTarget: topology?.params.mixingTarget ?? null,
      clients: topology?.params.clients ?? null,
      accessFault: mixnet.accessFault ?? null,
      overCapacity: mixnet.isOverCapacity,
    },
    epoch: topology?.epoch ?? null,
    directory: directoryStatus(mixnet.directory.sources, epochMsOf(mixnet.network)),
    crypto: components.crypto.backends,
    gateway: gatewayStatus(mixnet),
    nodes: (topology?.nodes.map((node) => nodeStatus(node, mixnet)) ?? []).sort(byPosition),
    loops: mixnet.endpoint?.loops() ?? { sent: 0, returned: 0, alarm: false },
    rates: ratesOf(parts),
    replies: sessionsByRequester(sessions, mixnet).map(([name, of]) => replyRate(name, of, parts.replies)),
    lateness: lateness === undefined ? null : { p50Ms: lateness.p50Ms, p99Ms: lateness.p99Ms, maxMs: lateness.maxMs },
    slotsMissed: slotsMissed(mixnet),
    troubles,
    streams,
    sessions: sessions.map((session) => sessionStatus(session, mixnet)),
    surbs: surbStatus(sessions.map((session) => session.surbStats())),
    memory: memory === undefined ? null : { usedBytes: memory.usedBytes, budgetBytes: memory.limitBytes },
    mixing: (topology && mixingPool(topology, config.trafficClass, config.downlink)) ?? null,
  };
}

/** Ticks of the proxy's own clocks for which no packet stood ready. */
export function slotsMissed({ endpoint, hub }: Pick<ProxyMixnet, 'endpoint' | 'hub'>): number {
  const { loop, drop } = endpoint?.stats() ?? {};
  return [hub?.laneStats(), loop, drop].reduce((sum, lane) => sum + (lane?.missed ?? 0), 0);
}

function gatewayStatus({ endpoint, noCommonGroup, gatewaySeesBothEnds: seesBothEnds }: ProxyMixnet): Status['gateway'] {
  if (endpoint?.gateway === undefined) return null;
  const { gateway, linkState: link } = endpoint;
  const keyExchange = endpoint.stats().link?.group || null;
  return { name: gateway.name, link, keyExchange, noCommonGroup, seesBothEnds };
}

function nodeStatus(node: NodeEntry, { endpoint }: ProxyMixnet): NodeStatus {
  const { health, excluded, loopsSent, loopsReturned } = endpoint?.health(node.id) ?? NO_EVIDENCE;
  const { name, role, layer = null } = node;
  return { name, role, layer, health: knownHealth(health, loopsSent), excluded, loopsSent, loopsReturned };
}

/** Of fewer loops an honest mix beside a bad one may seem bad as well: one lost loop accuses all its hops. */
export const MIN_LOOPS_FOR_HEALTH = 20;
const NO_EVIDENCE = { health: 1, excluded: false, loopsSent: 0, loopsReturned: 0 };

/** The share of loops that returned, once it means something. */
export function knownHealth(health: number, loopsSent: number): number | null {
  return loopsSent < MIN_LOOPS_FOR_HEALTH ? null : health;
}

/** In the order of a packet's way: mixes by layer, gateways, requesters; by name within. */
function byPosition(a: NodeStatus, b: NodeStatus): number {
  const position = (node: NodeStatus) => node.layer ?? (node.role === 'gateway' ? 4 : 5);
  return position(a) - position(b) || a.name.localeCompare(b.name);
}

function ratesOf({ mixnet, config, replies }: StatusSources): Status['rates'] {
  const { endpoint, hub } = mixnet;
  if (endpoint === undefined) return { main: STOPPED, loop: STOPPED, drop: STOPPED, reply: STOPPED, delivery: STOPPED };
  const { loop, drop, delivered } = endpoint.stats();
  // In burst mode replies have no clock.
  const isSteady = config.downlink === 'steady';
  const replySet = isSteady ? endpoint.trafficClass.replyRate : 0;
  return {
    main: laneRate(hub?.laneStats()),
    loop: laneRate(loop),
    drop: laneRate(drop),
    reply: { set: replySet, measured: replies.perSecond() },
    delivery: { set: isSteady ? endpoint.trafficClass.deliveryRate : 0, measured: delivered },
  };
}

function sessionsByRequester(
  sessions: readonly ProxySession[],
  { hub }: ProxyMixnet,
): [requester: string, sessions: ProxySession[]][] {
  const byRequester = new Map<string, ProxySession[]>();
  for (const session of sessions) {
    const name = hub?.requesterOf(session)?.name ?? '';
    byRequester.set(name, [...(byRequester.get(name) ?? []), session]);
  }
  return [...byRequester].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }));
}

function replyRate(
  requester: string,
  sessions: readonly ProxySession[],
  meter: ReplyMeter<ProxySession>,
): ReplyRateStatus {
  const set = sessions.reduce((sum, session) => sum + session.replyRate, 0);
  return { requester, set, measured: meter.perSecondFrom(requester) };
}

function laneRate(stats: LaneStats | undefined): RateStatus {
  return stats === undefined ? STOPPED : { set: stats.set, measured: stats.measured };
}

function sessionStatus(session: ProxySession, { hub }: ProxyMixnet): SessionStatus {
  const stats = session.stats();
  return {
    state: session.state,
    requester: hub?.requesterOf(session)?.name ?? '',
    streamsOpen: stats.streamsOpen,
    roundTripMs: stats.smoothedRttMs,
    lossRatio: stats.lossRatio,
    packetsSent: stats.packetsSent,
    packetsReceived: stats.packetsReceived,
    bytesSent: stats.bytesSent,
    bytesDelivered: stats.bytesDelivered,
  };
}

function surbStatus(all: readonly SurbSupplyStats[]): SurbStatus {
  const sum = (pick: (stats: SurbSupplyStats) => number) => all.reduce((total, stats) => total + pick(stats), 0);
  return {
    created: sum((stats) => stats.created),
    used: sum((stats) => stats.used),
    expired: sum((stats) => stats.expired),
    inFlight: sum((stats) => stats.inFlight),
    stock: sum((stats) => stats.position),
    target: sum((stats) => stats.target),
  };
}
