/**
 * How many packets wait in each mix, asked of the mixes, against Little's law: arrivals times mean delay.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PlannedNode } from '../../cli/localnet/plan.ts';

/** A mix over the time of the measurement. */
export interface PoolSize {
  readonly name: string;
  /** Packets per second that had to wait there. */
  readonly arrivalsPerSecond: number;
  readonly expectedPackets: number;
  readonly meanPackets: number;
}

interface Sample {
  readonly atMs: number;
  readonly waited: number;
  readonly pool: number;
}

/** Much longer than a delay, so that looks are independent, and seldom enough not to load the mixes. */
const PERIOD_MS = 250;

/** Looks at all mixes until `enough` says so. */
export async function measurePools(
  nodes: readonly PlannedNode[],
  meanDelayMs: number,
  enough: () => boolean,
): Promise<PoolSize[]> {
  const mixes = nodes.filter(({ role }) => role === 'mixnode').map((node) => ({ node, samples: [] as Sample[] }));
  while (!enough()) {
    for (const { node, samples } of mixes) samples.push(await look(node.ports.metrics));
    await sleep(PERIOD_MS);
  }
  return mixes.map(({ node, samples }) => poolSize(node.name, samples, meanDelayMs));
}

function poolSize(name: string, samples: readonly Sample[], meanDelayMs: number): PoolSize {
  const [first, last] = [samples[0] as Sample, samples.at(-1) as Sample];
  const arrivalsPerSecond = (1000 * (last.waited - first.waited)) / (last.atMs - first.atMs);
  const meanPackets = samples.reduce((sum, { pool }) => sum + pool, 0) / samples.length;
  return { name, arrivalsPerSecond, expectedPackets: (arrivalsPerSecond * meanDelayMs) / 1000, meanPackets };
}

async function look(port: number): Promise<Sample> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const sumOf = (name: string) =>
    [...text.matchAll(new RegExp(`^mixsocks_${name}(?:\\{[^}]*\\})? ([\\d.e+]+)$`, 'gm'))].reduce(
      (sum, [, value]) => sum + Number(value),
      0,
    );
  // A mix's own loops end at it without waiting.
  const waited = sumOf('packets_received_total') - sumOf('packets_dropped_total') - sumOf('node_loops_returned_total');
  return { atMs: performance.now(), waited, pool: sumOf('pool_packets') };
}
