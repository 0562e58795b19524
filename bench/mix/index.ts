/**
 * `mix`: what one mixnode process costs per packet, at saturation and at a low rate, how exactly it delays, and what it keeps
 * for packets that wait.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Figure, failure, figure, quantile } from '../harness/figure.ts';
import { until } from '../harness/localnet.ts';
import { metricsPage } from '../harness/metrics-page.ts';
import type { Run, RunTerms } from '../harness/paired.ts';
import { processSeconds, residentBytes } from '../harness/processor.ts';
import { progress } from '../harness/scope.ts';
import { MixLoad } from './load.ts';
import { type MixNetwork, startMixNetwork } from './network.ts';

const MEAN_DELAY_MS = 15;
/**
 * Packets under way at a time: the load follows what the mixnode can do. They are always enough to keep it busy, and never so many that the
 * last one waits for 200 ms, after which a node drops it: at 2,000 packets per second it waits for 150 ms.
 */
const WINDOW = 300;
/** With 2,000 the code was still being compiled while it was measured. */
const WARM_UP_PACKETS = 12_000;
/** The mix is given up when nothing comes for so long. */
const STALL_MS = 5000;
const LOW_RATE = 80;
/** Longer than it takes to send all that are to wait. */
const WAIT_MS = 590_000;
const FILL_TIMEOUT_MS = 300_000;
/** Packets whose fate is unknown, while those that are to wait are sent: fewer than a node accepts at once. */
const UNSETTLED = 2000;
/** Packets made before sockets get their turn. */
const MADE_AT_ONCE = 20;
const METRICS_PERIOD_MS = 100;
const DROPPED = 'mixsocks_packets_dropped_total';
const POOLED = 'mixsocks_pool_packets';

export function mixRun({ quick }: RunTerms): Run {
  const amounts = quick
    ? { saturated: 300, warmUp: 100, lowSeconds: 1, waiting: 500 }
    : { saturated: 15_000, warmUp: WARM_UP_PACKETS, lowSeconds: 15, waiting: 100_000 };
  return async (build, scope) => {
    const network = await startMixNetwork(scope, build);
    const load = await MixLoad.start(scope, network);
    await saturate(network, load, amounts.warmUp);
    progress(`mix: ${amounts.saturated} packets at saturation`);
    const saturated = await saturate(network, load, amounts.saturated);
    progress(`mix: ${LOW_RATE} packets per second for ${amounts.lowSeconds} s`);
    const low = await lowRate(network, load, amounts.lowSeconds);
    progress(`mix: ${amounts.waiting} packets that wait`);
    return [...saturated, ...low, ...(await waiting(network, load, amounts.waiting))];
  };
}

function drawDelayMs(): number {
  return -MEAN_DELAY_MS * Math.log(1 - Math.random());
}

/** Sends `count` packets as fast as the mix lets them through or refuses them. */
async function saturate(network: MixNetwork, load: MixLoad, count: number): Promise<Figure[]> {
  const { pid, payloadBytes } = network;
  const terms = { packetSize: payloadBytes };
  const packets = Array.from({ length: count }, () => load.make(drawDelayMs()).packet);
  const refused = await watch(network, DROPPED);
  const receivedBefore = load.received;
  const passed = () => load.received - receivedBefore;
  const startSeconds = processSeconds(pid);
  const startMs = performance.now();
  let lastMs = startMs;
  for (let sent = 0, seen = 0; passed() + refused.count < count; ) {
    while (sent < count && sent - passed() - refused.count < WINDOW) load.send(packets[sent++] as Uint8Array);
    await new Promise((resolve) => setImmediate(resolve));
    if (passed() > seen) lastMs = performance.now();
    else if (performance.now() - lastMs > STALL_MS) break;
    seen = passed();
  }
  const micros = (1e6 * (processSeconds(pid) - startSeconds)) / passed();
  await refused.stop();
  const lost = count - passed() - refused.count;
  if (lost > 0) return [failure('mix.saturated.processor', 'us', `${lost} of ${count} packets lost`, terms)];
  return [
    figure('mix.saturated.processor', 'us', micros, terms),
    figure('mix.saturated.rate', 'packets/s', (1000 * passed()) / (lastMs - startMs), terms),
    figure('mix.saturated.refused', 'ratio', refused.count / count, terms),
  ];
}

interface Watch {
  /** By how much it has grown, as of the last look. */
  readonly count: number;
  stop(): Promise<void>;
}

/** Follows a metric of the mix from now on. */
async function watch({ metrics }: MixNetwork, name: string): Promise<Watch> {
  const before = await metricOf(metrics, name);
  let count = 0;
  let running = true;
  const look = async () => {
    while (running) {
      await sleep(METRICS_PERIOD_MS);
      count = (await metricOf(metrics, name)) - before;
    }
  };
  const looking = look();
  looking.catch(() => {}); // `stop` reports it
  return {
    get count() {
      return count;
    },
    stop() {
      running = false;
      return looking;
    },
  };
}

/** A Poisson stream of `LOW_RATE` packets per second. */
async function lowRate({ pid, payloadBytes }: MixNetwork, load: MixLoad, seconds: number): Promise<Figure[]> {
  const terms = { packetSize: payloadBytes, rate: LOW_RATE };
  const packets = Array.from({ length: LOW_RATE * seconds }, () => load.make(drawDelayMs()));
  const goal = load.received + packets.length;
  const startSeconds = processSeconds(pid);
  let dueMs = performance.now();
  for (const packet of packets) {
    dueMs += (-1000 / LOW_RATE) * Math.log(1 - Math.random());
    const waitMs = dueMs - performance.now();
    if (waitMs > 1) await sleep(waitMs);
    load.sendMarked(packet);
  }
  const allCame = () => load.received >= goal;
  const lost = await until('all packets', STALL_MS, allCame).then(
    () => 0,
    () => goal - load.received,
  );
  if (lost > 0) return [failure('mix.low.processor', 'us', `${lost} of ${packets.length} packets lost`, terms)];
  const micros = (1e6 * (processSeconds(pid) - startSeconds)) / packets.length;
  return [
    figure('mix.low.processor', 'us', micros, terms),
    figure('mix.low.excess', 'ms', quantile(load.excessMs, 0.5), terms),
    figure('mix.low.excess.p99', 'ms', quantile(load.excessMs, 0.99), terms),
  ];
}

/** Memory that `count` packets take which wait in the mix. They are made while the mix works on those before. */
async function waiting(network: MixNetwork, load: MixLoad, count: number): Promise<Figure[]> {
  const { pid, payloadBytes } = network;
  const terms = { packetSize: payloadBytes, waiting: count };
  const before = residentBytes(pid);
  const startMs = performance.now();
  const [pooled, refused] = await Promise.all([watch(network, POOLED), watch(network, DROPPED)]);
  for (let sent = 0; pooled.count < count && performance.now() - startMs < FILL_TIMEOUT_MS; ) {
    const unsettled = sent - refused.count - pooled.count;
    const wanted = Math.min(UNSETTLED - unsettled, count + refused.count - sent);
    for (let i = 0; i < Math.min(wanted, MADE_AT_ONCE); i++, sent++) load.send(load.makeUnread(WAIT_MS));
    await (wanted > 0 ? new Promise((resolve) => setImmediate(resolve)) : sleep(METRICS_PERIOD_MS / 2));
  }
  await Promise.all([pooled.stop(), refused.stop()]);
  if (pooled.count < count) {
    return [failure('mix.waiting.memory', 'MB', `only ${pooled.count} of ${count} packets wait`, terms)];
  }
  const after = residentBytes(pid);
  return [
    figure('mix.waiting.memory', 'MB', after / 1e6, terms),
    figure('mix.waiting.packet', 'B', (after - before) / count, terms),
  ];
}

/** A metric of a node, summed over its labels. */
async function metricOf(metrics: string, name: string): Promise<number> {
  const page = await metricsPage(metrics);
  const lines = page.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
