/**
 * How many packets per second one mixnode process can unwrap: `npx tsx bench/pipeline.ts [packets]`.
 *
 * `pipeline`: header, MAC, replay filter, journal, payload, as `PacketPipeline` does it, tags flushed every 32 packets.
 * `engine`: the same through the pool and its timer, with delays of 15 ms, to a role that discards.
 * Both unwrap distinct packets made beforehand; making them is not measured.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../lib/clock.ts';
import { createCrypto } from '../lib/crypto/index.ts';
import { silentLog } from '../lib/log.ts';
import { Metrics } from '../lib/metrics.ts';
import { DelayQueue, PacketPipeline, SphinxKeyRing } from '../lib/mixing/index.ts';
import { NodeMetrics, PacketEngine } from '../lib/node/index.ts';
import { DEFAULT_PARAMS, epochAt, packetBytes } from '../lib/params.ts';
import { exponential, systemRng } from '../lib/rng.ts';
import { Sphinx } from '../lib/sphinx/index.ts';

const PACKETS = Number(process.argv[2] ?? 10_000);
const { payloadBytes, epochMs, meanDelayMs } = DEFAULT_PARAMS;
const BATCH = 32;

const print = (line: string) => process.stdout.write(`${line}\n`);
const crypto = createCrypto('fastest');
const sphinx = new Sphinx(crypto, systemRng);
const dir = mkdtempSync(join(tmpdir(), 'mixsocks-bench-'));
const keys = SphinxKeyRing.open(
  { dir, crypto, rng: systemRng, log: silentLog, epochMs, bootId: undefined },
  Date.now(),
);
const pipeline = new PacketPipeline({ sphinx, keys, packetBytes: packetBytes(payloadBytes) });

/** Packets for this node and one behind it. */
function makePackets(count: number): Uint8Array[] {
  const publicKey = keys.publicKey(epochAt(Date.now(), epochMs), Date.now()) as Uint8Array;
  const behind = { address: new Uint8Array(32), publicKey: crypto.x25519Base(systemRng.bytes(32)), delayNs: 0 };
  return Array.from({ length: count }, () => {
    const delayNs = Math.round(exponential(systemRng, meanDelayMs) * 1e6);
    const route = [{ address: new Uint8Array(32), publicKey, delayNs }, behind];
    const identifier = systemRng.bytes(16);
    return sphinx.createPacket({ route, destination: behind.address, identifier, message: identifier, payloadBytes });
  });
}

/** Starts a stopwatch; what it returns prints the result. Processor time holds on a busy machine too. */
function stopwatch(): (name: string, count: number) => void {
  const startMs = performance.now();
  const startCpu = process.cpuUsage();
  return (name, count) => {
    const elapsedMs = performance.now() - startMs;
    const { user, system } = process.cpuUsage(startCpu);
    const rate = Math.round((1000 * count) / elapsedMs);
    print(`${name}: ${rate} packets/s; processor ${((user + system) / count).toFixed(1)} µs each`);
  };
}

function benchPipeline(): void {
  const packets = makePackets(PACKETS);
  const report = stopwatch();
  packets.forEach((packet, i) => {
    if (typeof pipeline.process(packet, Date.now()) === 'string') throw new Error('dropped');
    if (i % BATCH === 0) keys.flush();
  });
  report('pipeline', PACKETS);
}

async function benchEngine(): Promise<void> {
  const packets = makePackets(PACKETS);
  let left = 0;
  let done = () => {};
  const finished = new Promise<void>((resolve) => {
    done = resolve;
  });
  const metrics = new NodeMetrics(new Metrics());
  metrics.drop = (reason) => {
    throw new Error(reason);
  };
  const engine = new PacketEngine({
    clock: systemClock,
    pipeline,
    flushTags: () => keys.flush(),
    loops: { receive: () => undefined },
    pool: new DelayQueue(PACKETS),
    maxDelayMs: () => 1000,
    role: {
      refuses: () => undefined,
      forward: () => {
        left += 1;
        if (left === PACKETS) done();
        return undefined;
      },
      ends: () => undefined,
    },
    metrics,
  });
  const keepAlive = setInterval(() => {}, 1000);
  const report = stopwatch();
  for (let i = 0; i < PACKETS; ) {
    for (const endBatch = i + BATCH; i < endBatch && i < PACKETS; i++) engine.receive(packets[i] as Uint8Array);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await finished;
  report('engine  ', PACKETS);
  clearInterval(keepAlive);
}

print(`backends: ${JSON.stringify(crypto.backends)}`);
benchPipeline(); // warms up
benchPipeline();
await benchEngine();
const use = keys.filterUse();
print(`replay filter: ${use.tags} tags, ${Math.round(use.bytes / 1024)} KiB`);
keys.close();
rmSync(dir, { recursive: true });
