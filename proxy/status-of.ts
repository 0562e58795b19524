/**
 * Gathers the status of a running proxy from its parts.
 * @module
 */
import type { Components } from '../lib/components.ts';
import type { NodeEntry } from '../lib/directory/index.ts';
import type { LaneStats } from '../lib/link/index.ts';
import type { ProxySession, SurbSupplyStats } from '../lib/session/index.ts';
import { VERSION } from '../lib/version.ts';
import type { ProxyConfig } from './config.ts';
import type { Front } from './front.ts';
import { mixingPool } from './mixing-pool.ts';
import type { ProxyMixnet } from './mixnet.ts';
import type { ReplyMeter } from './reply-meter.ts';
import type { NodeStatus, RateStatus, ReplyRateStatus, SessionStatus, Status, SurbStatus } from './status.ts';

export interface ProxyParts {
  readonly config: Pick<ProxyConfig, 'trafficClass' | 'downlink'>;
  readonly components: Components;
  readonly mixnet: ProxyMixnet;
  readonly front: Pick<Front, 'listen' | 'streams'>;
  readonly replies: ReplyMeter<ProxySession>;
  /** `clock.nowMs()` at the start. */
  readonly startedMs: number;
}

const STOPPED: RateStatus = { set: 0, measured: 0 };

/** The status as of now. */
export function statusOf(parts: ProxyParts): Status {
  const { config, components, mixnet, front } = parts;
  const topology = mixnet.directory.topology();
  const sessions = mixnet.hub?.sessions() ?? [];
  const lateness = mixnet.endpoint?.stats().link?.lateness;
  return {
    ready: mixnet.ready,
    obstacle: mixnet.obstacle()?.message ?? null,
    version: VERSION,
    uptimeSeconds: (components.clock.nowMs() - parts.startedMs) / 1000,
    socks: front.listen,
    network: {
      name: mixnet.network.name,
      trafficClass: config.trafficClass,
      downlink: config.downlink,
      payloadBytes: topology?.params.payloadBytes ?? null,
      meanDelayMs: topology?.params.meanDelayMs ?? null,
    },
    epoch: topology?.epoch ?? null,
    crypto: components.crypto.backends,
    gateway: gatewayStatus(mixnet),
    nodes: (topology?.nodes.map((node) => nodeStatus(node, mixnet)) ?? []).sort(byPlace),
    loops: mixnet.endpoint?.loops() ?? { sent: 0, returned: 0, alarm: false },
    rates: ratesOf(parts),
    replies: sessionsByRequester(sessions, mixnet).map(([name, of]) => replyRate(name, of, parts.replies)),
    lateness: lateness === undefined ? null : { p50Ms: lateness.p50Ms, p99Ms: lateness.p99Ms, maxMs: lateness.maxMs },
    slotsMissed: slotsMissed(mixnet),
    streams: front.streams(),
    sessions: sessions.map((session) => sessionStatus(session, mixnet)),
    surbs: surbStatus(sessions.map((session) => session.surbStats())),
    mixing: (topology && mixingPool(topology, config.trafficClass, config.downlink)) ?? null,
  };
}

/** Ticks of the proxy's own clocks for which no packet stood ready. */
export function slotsMissed({ endpoint, hub }: Pick<ProxyMixnet, 'endpoint' | 'hub'>): number {
  const { loop, drop } = endpoint?.stats() ?? {};
  return [hub?.laneStats(), loop, drop].reduce((sum, lane) => sum + (lane?.missed ?? 0), 0);
}

function gatewayStatus({ endpoint }: ProxyMixnet): Status['gateway'] {
  return endpoint?.gateway === undefined ? null : { name: endpoint.gateway.name, link: endpoint.linkState };
}

function nodeStatus(node: NodeEntry, { endpoint }: ProxyMixnet): NodeStatus {
  const { health, excluded, loopsSent, loopsReturned } = endpoint?.health(node.id) ?? {
    health: 1,
    excluded: false,
    loopsSent: 0,
    loopsReturned: 0,
  };
  const { name, role, layer = null } = node;
  return { name, role, layer, health, excluded, loopsSent, loopsReturned };
}

/** In the order of a packet's way: mixes by layer, gateways, requesters; by name within. */
function byPlace(a: NodeStatus, b: NodeStatus): number {
  const place = (node: NodeStatus) => node.layer ?? (node.role === 'gateway' ? 4 : 5);
  return place(a) - place(b) || a.name.localeCompare(b.name);
}

function ratesOf({ mixnet, config, replies }: ProxyParts): Status['rates'] {
  const { endpoint, hub } = mixnet;
  if (endpoint === undefined) return { main: STOPPED, loop: STOPPED, drop: STOPPED, reply: STOPPED };
  const { loop, drop } = endpoint.stats();
  // In burst mode replies have no clock.
  const replySet = config.downlink === 'steady' ? endpoint.trafficClass.replyRate : 0;
  return {
    main: laneRate(hub?.laneStats()),
    loop: laneRate(loop),
    drop: laneRate(drop),
    reply: { set: replySet, measured: replies.perSecond() },
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
