/**
 * What the running proxy knows of itself, as `/status.json`, and the local server that shows it next to the metrics.
 * The document names no destination, no session id and no identity of ours.
 * @module
 */
import type { Clock } from '../lib/clock.ts';
import { type LocalHttp, serveLocalHttp } from '../lib/http.ts';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { StreamCounts } from './front-counters.ts';
import type { MixingStatus } from './mixing-pool.ts';
import { StatusHistory } from './page/history.ts';
import { pageRoutes } from './page/index.ts';

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
  /** Share of our loops through it that returned lately, 0 to 1; 1 without evidence. */
  readonly health: number;
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

/** Own loops, by which the proxy tells whether packets get through. */
export interface LoopStatus {
  readonly sent: number;
  readonly returned: number;
  /** Whether they are lost or late beyond chance, without a node that is known to be the reason. */
  readonly alarm: boolean;
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
    readonly meanDelayMs: number | null;
  };
  readonly epoch: number | null;
  /** Primitive → library that does it. */
  readonly crypto: Readonly<Record<string, string>>;
  readonly gateway: { readonly name: string; readonly link: string } | null;
  readonly nodes: readonly NodeStatus[];
  readonly loops: LoopStatus;
  readonly rates: Readonly<Record<'main' | 'loop' | 'drop' | 'reply', RateStatus>>;
  /** `rates.reply` by requester. */
  readonly replies: readonly ReplyRateStatus[];
  /** How late packets leave against their clock. */
  readonly lateness: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number } | null;
  /** Ticks of own clocks for which no packet stood ready, since the start: gaps that an observer can see. */
  readonly slotsMissed: number;
  readonly streams: StreamCounts;
  readonly sessions: readonly SessionStatus[];
  readonly surbs: SurbStatus;
  /** How many packets wait in a mix, as far as can be known from here. */
  readonly mixing: MixingStatus | null;
}

export interface StatusServerOptions {
  /** `host:port`; port 0 takes any free one. */
  readonly listen: string;
  readonly status: () => Status;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Serves the page, `/status.json`, `/metrics` and `/proxy.pac` to this machine; rejects with LISTEN when the address
 * cannot be had.
 */
export async function startStatusServer(options: StatusServerOptions): Promise<LocalHttp> {
  const { listen, status, metrics, clock, log } = options;
  const history = new StatusHistory(clock, status);
  const server = serveLocalHttp({
    listen,
    log,
    routes: {
      ...pageRoutes({ status, history: () => history.series() }),
      '/status.json': () => ({ type: 'application/json', body: `${JSON.stringify(status(), roundNumbers, 2)}\n` }),
      '/metrics': async () => ({ type: metrics.registry.contentType, body: await metrics.text() }),
    },
  });
  server.catch(() => history.stop());
  const { url, port, close } = await server;
  return {
    url,
    port,
    close: () => {
      history.stop();
      return close();
    },
  };
}

/** Three decimals are more than any of these figures means. */
function roundNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'number' && Number.isFinite(value) ? Math.round(value * 1000) / 1000 : value;
}
