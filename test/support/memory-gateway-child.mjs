/**
 * A gateway's links and clients as a process of its own, as built, without what comes before them: `node memory-gateway-child.mjs
 * BUDGET_MIB` (`none` switches the budget off). Prints its port and identity, reads the identity of a client that reads everything, sends packets to all, and
 * prints what it has found as JSON.
 * @module
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Clients } from '../../dist/gateway/clients.js';
import { ConsensusFrames } from '../../dist/gateway/consensus-frames.js';
import { addressKeyOf } from '../../dist/lib/core/bytes.js';
import { systemClock as clock } from '../../dist/lib/core/clock.js';
import { packetBytes } from '../../dist/lib/core/params.js';
import { systemRng as rng } from '../../dist/lib/core/rng.js';
import { createIdentity, listenLinks } from '../../dist/lib/link/index.js';
import { processMemory } from '../../dist/lib/runtime/process-memory.js';
import { silentLog as log } from '../../dist/lib/telemetry/log.js';
import { Metrics } from '../../dist/lib/telemetry/metrics.js';

const PACKET_BYTES = packetBytes(2048);
/** Packets for each client; a slow machine needs more until others have to let go. */
const ROUNDS = 60;
const MOST_ROUNDS = 600;
const ENOUGH_SHED = 200;
/** As fast as a gateway unwraps. */
const ROUND_MS = 100;
const CLIENTS = 1_001;
const [budget = ''] = process.argv.slice(2);
const memory = budget === 'none' ? undefined : processMemory(Number(budget), clock, new Metrics());
const results = {};
const clients = new Clients({
  memory,
  consensus: new ConsensusFrames(PACKET_BYTES),
  rng,
  limits: { maxClients: CLIENTS, maxRequesters: 1, maxDeliveryRate: 1, mailboxPackets: 1, mailboxTotalPackets: 1 },
  isRequester: () => false,
  seats: { taken: () => 1, most: () => Infinity },
  rateOf: () => ({ packetsPerSecond: 100, burst: 100 }),
  classRates: () => undefined,
  mailboxLifeMs: () => 1_000,
  onResult: (result) => {
    results[result] = (results[result] ?? 0) + 1;
  },
  onTick: () => {},
  onSilent: () => {},
});
const open = new Map();
const listener = await listenLinks({
  identity: await createIdentity(rng).then((identity) => {
    process.stdout.write(`${identity.id}\n`);
    return identity;
  }),
  host: '127.0.0.1',
  port: 0,
  networkId: new Uint8Array(32).fill(7),
  packetBytes: PACKET_BYTES,
  keyExchange: 'x25519',
  log,
  clock,
  memory,
  limits: { maxConnectionsPerSource: 0 },
  admit: (peer, _kind, client) => clients.admits(peer, client),
  onLink: (link) => {
    open.set(link.peer, link);
    link.onClose(() => {
      open.delete(link.peer);
      clients.disconnect(link, clock.nowMs());
    });
    link.onFrame(() => {});
    clients.connect(link, clock.nowMs());
  },
});
process.stdout.write(`${listener.port}\n`);
const [honest] = await once(createInterface(process.stdin), 'line');
const connected = open.size;
const targets = [...open.keys()];
const shed = () => memory?.kinds.reduce((sum, use) => sum + use.shed, 0) ?? 0;
let rounds = 0;
for (; rounds < ROUNDS || (memory !== undefined && shed() < ENOUGH_SHED && rounds < MOST_ROUNDS); rounds++) {
  for (const id of targets) clients.find(addressKeyOf(id))?.send(new Uint8Array(PACKET_BYTES), clock.nowMs());
  await sleep(ROUND_MS);
}
while ((open.get(honest)?.queued() ?? 0) > 0) await sleep(50);
const found = { connected, shed: shed(), left: open.size, results, honestSent: rounds, honestLives: open.has(honest) };
const sizes = { budgetBytes: memory?.limitBytes ?? 0, usedBytes: memory?.usedBytes ?? 0 };
process.stdout.write(`${JSON.stringify({ ...found, ...sizes })}\n`);
await once(process.stdin, 'end');
process.exit(0);
