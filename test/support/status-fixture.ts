import type { Status } from '../../lib/access/status/status.ts';
import type { Health } from '../../lib/telemetry/health.ts';
import type { History } from '../../proxy/status/page/history.ts';
import { epochNumber } from './units.ts';

const mix = { role: 'mixnode', health: 1, excluded: false, loopsSent: 20, loopsReturned: 20 } as const;

/** Of a role that lacks nothing. */
export const WELL: Health = { live: () => [], ready: () => [] };

/** A status of a proxy that runs well in a small network. */
export const STATUS: Status = {
  ready: true,
  obstacle: null,
  version: '1.2.3',
  uptimeSeconds: 300,
  socks: '127.0.0.1:1080',
  network: {
    name: 'testnet',
    trafficClass: 'standard',
    downlink: 'steady',
    payloadBytes: 2048,
    meanDelayMs: 15,
    mixingTarget: 0,
    clients: 'open',
    accessFault: null,
    overCapacity: false,
  },
  epoch: epochNumber(495_000),
  directory: { origin: 'authority', lagging: [], signedTwice: null },
  crypto: { x25519: 'sodium' },
  gateway: { name: 'gateway-1', link: 'up', keyExchange: 'X25519MLKEM768', noCommonGroup: false, seesBothEnds: false },
  nodes: [
    { ...mix, name: 'mix-1-1', layer: 1 },
    { ...mix, name: 'mix-2-1', layer: 2, health: 0.75, loopsReturned: 15 },
    { ...mix, name: 'mix-3-1', layer: 3, health: 0.1, excluded: true, loopsReturned: 2 },
    { ...mix, name: 'gateway-1', role: 'gateway', layer: null },
    { ...mix, name: 'gateway-2', role: 'gateway', layer: null, health: null, loopsSent: 0, loopsReturned: 0 },
    { ...mix, name: 'requester-1', role: 'requester', layer: null, health: null, loopsSent: 0, loopsReturned: 0 },
  ],
  rates: {
    main: { set: 50, measured: 49.8 },
    loop: { set: 5, measured: 5.1 },
    drop: { set: 1, measured: 1 },
    reply: { set: 100, measured: 61.2 },
    delivery: { set: 132, measured: 131.8 },
  },
  replies: [{ requester: 'requester-1', set: 100, measured: 61.2 }],
  loops: { sent: 1480, returned: 1469, alarm: false },
  lateness: { p50Ms: 0.1, p99Ms: 0.6, maxMs: 7.9 },
  slotsMissed: 0,
  memory: { usedBytes: 3_000_000, budgetBytes: 6_000_000_000 },
  troubles: { minutes: 10, verdict: 'Nothing was refused, slow or broken off in the last 10 minutes.', reasons: [] },
  streams: {
    connections: 3,
    open: 2,
    opened: 41,
    refused: { REFUSED: 2 },
    abandoned: 1,
    opening: {
      upperMs: [100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000, null],
      counts: [0, 9, 24, 6, 2, 0, 0, 0, 0, 0, 0, 0],
      medianMs: 231.5,
      p90Ms: 446,
    },
  },
  sessions: [
    {
      state: 'open',
      requester: 'requester-1',
      streamsOpen: 2,
      roundTripMs: 118.4,
      lossRatio: 0.004,
      packetsSent: 3000,
      packetsReceived: 6000,
      bytesSent: 12_345,
      bytesDelivered: 6_000_000,
    },
  ],
  surbs: { created: 9000, used: 8700, expired: 12, inFlight: 30, stock: 171, target: 180 },
  mixing: {
    arrivalsPerSecond: 111,
    poolPackets: 1.665,
    othersPackets: 0.495,
    aloneShare: 0.071,
    enough: false,
    proxiesWanted: 8,
    delayWantedMs: 91,
    perUserPackets: 0.75,
    perUserEnough: false,
    perUserDelayMs: 40,
  },
};

export const HISTORY: History = {
  periodSeconds: 1,
  room: 120,
  main: [50, 49, 51],
  loop: [5, 5, 5],
  drop: [1, 1, 1],
  reply: [99, 80, 61.2],
  sentBytes: [0, 100, 200],
  deliveredBytes: [0, 200_000, 190_000],
};
