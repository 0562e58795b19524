/**
 * Links by measure: how late a client's departures are, idle and under load, what its threads cost, and how many
 * frames a link between nodes carries. Everything runs in this process and its worker threads.
 *
 *     npm run build && npx tsx bench/link.ts [seconds]
 */
import { systemClock } from '../lib/clock.ts';
import { createIdentity, type InboundLink, type Lane } from '../lib/link/index.ts';
import { silentLog } from '../lib/log.ts';
import { systemRng } from '../lib/rng.ts';
import {
  builtLinks,
  NETWORK_ID,
  PACKET_BYTES,
  testListener,
  testPeerLinks,
  until,
} from '../test/support/link-fixtures.ts';

const seconds = Number(process.argv[2] ?? 20);
const say = (line: string) => process.stdout.write(`${line}\n`);
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const hop = new Uint8Array(32);
const packet = new Uint8Array(PACKET_BYTES);

type Load = 'idle' | 'bursts of 50 ms' | 'allocating';

/** Keeps the main thread busy until told to stop. */
function burden(load: Load): () => void {
  let running = load !== 'idle';
  const work = () => {
    if (!running) return;
    const endMs = performance.now() + 50;
    let kept: object[] = [];
    while (performance.now() < endMs) {
      if (load === 'allocating') kept.push({ bytes: new Uint8Array(100) });
      if (kept.length > 20_000) kept = [];
    }
    setTimeout(work, 10);
  };
  work();
  return () => {
    running = false;
  };
}

async function lateness(load: Load, rates: readonly number[]): Promise<void> {
  // The gateway is a process of its own in life; here a bare acceptor that reads and drops.
  const gateway = await testListener({
    onLink: (link: InboundLink) => link.kind === 'client' && link.onFrame(() => {}),
  });
  const { ClientLink } = await builtLinks();
  const identity = await createIdentity(systemRng);
  const client = new ClientLink({
    identity,
    gateway: gateway.target(),
    networkId: NETWORK_ID,
    packetBytes: PACKET_BYTES,
    log: silentLog,
  });
  await until(() => client.state === 'up');
  await wait(500);
  const slots = 64;
  const lanes: Lane[] = rates.map((rate) =>
    client.addLane({ name: `${rate}`, ratePerSecond: rate, contentSlots: slots, idleSlots: slots }),
  );
  const fill = () => {
    for (const lane of lanes) while (lane.idleRoom() > 0) lane.pushIdle(hop, packet);
  };
  client.onRoom(fill);
  fill();
  await wait(1000);
  const before = client.stats().lateness;
  const cpu = process.cpuUsage();
  const unburden = burden(load);
  await wait(seconds * 1000);
  unburden();
  const { user, system } = process.cpuUsage(cpu);
  const after = client.stats().lateness;
  const counts = after.counts.map((count, i) => count - (before.counts[i] ?? 0));
  const count = after.count - before.count;
  const quantile = (q: number) => {
    let rank = q * count;
    const bucket = counts.findIndex((inBucket) => {
      rank -= inBucket;
      return rank <= 0;
    });
    return after.upperMs[bucket] ?? 0;
  };
  const missed = lanes.reduce((sum, lane) => sum + lane.stats().missed, 0);
  const figures = [0.5, 0.9, 0.99, 0.999].map((q) => `p${q * 100} ${quantile(q).toFixed(2)}`).join('  ');
  say(`main ${load}, ${rates.join('+')}/s: lateness in ms: ${figures}  (${count} departures, ${missed} missed)`);
  if (load === 'idle')
    say(`  processor, gateway end included: ${((user + system) / seconds / 10_000).toFixed(2)} % of a core`);
  await client.stop();
  await gateway.close();
}

async function throughput(): Promise<void> {
  let received = 0;
  const node = await testListener({
    onLink: (link: InboundLink) => link.kind === 'node' && link.onFrame(() => (received += 1)),
  });
  const peers = await testPeerLinks({ queueFrames: 1024 });
  peers.setPeers([node.target()]);
  await until(() => peers.status()[0]?.state === 'up');
  const { addressKey } = node.target();
  const startMs = systemClock.nowMs();
  while (systemClock.nowMs() - startMs < seconds * 250) {
    for (let i = 0; i < 64 && peers.send(addressKey, packet) === 'sent'; i++);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const perSecond = received / ((systemClock.nowMs() - startMs) / 1000);
  say(`one link between nodes, both ends on one thread: ${Math.round(perSecond)} frames/s`);
  await peers.stop();
  await node.close();
}

await throughput();
for (const load of ['idle', 'bursts of 50 ms', 'allocating'] as const) await lateness(load, [50, 5, 1]);
await lateness('bursts of 50 ms', [500, 100, 5, 1]);
