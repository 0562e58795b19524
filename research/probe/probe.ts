/**
 * Records from outside when frames leave and reach the proxy and the requester of a running network, idle and under
 * load, and compares with what the clocks are set to. `npx tsx research/probe/probe.ts --help`.
 * @module
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { DEFAULT_PARAMS, type TrafficClass } from '../../lib/core/params.ts';
import { DELAYED_HOPS, delayLaw } from './delay-law.ts';
import { exitStopLines, recordExitStop } from './exit-stop.ts';
import type { FrameTimes } from './frame-times.ts';
import { FLOWS, type Flow, judge, ratesOf } from './judge.ts';
import { CONDITIONS, type Condition, startLoad } from './load.ts';
import { timeLoops } from './loops.ts';
import { mutantNames, mutate } from './mutants.ts';
import { plotDelays, plotGaps } from './plots.ts';
import { measurePools } from './pools.ts';
import { measurePrecision } from './precision.ts';
import { type RecordedNetwork, recordNetwork } from './recorder.ts';
import { delayLines, poolLines, precisionLines, ROW_HEAD, rowLine } from './report.ts';
import { gapsOf } from './statistics.ts';

/** A condition is given this long to settle. */
const SETTLE_MS = 5_000;

/** Frames by which the recorder's own error is measured, while the network runs idle. */
const PRECISION_FRAMES = 1_000;
/** A recorder whose resolution is a larger share than this of the mean gap says more about the machine than the flow. */
const MAX_RESOLUTION_SHARE = 0.1;

const timesOf = ({ proxy, requester }: RecordedNetwork): Record<Flow, FrameTimes> => ({
  'proxy departures': proxy.departures,
  'proxy arrivals': proxy.arrivals,
  'requester departures': requester.departures,
  'requester arrivals': requester.arrivals,
});

/** Times between frames of each flow under one condition, at least `frames` of the slowest. */
async function record(network: RecordedNetwork, condition: Condition, frames: number): Promise<Record<Flow, number[]>> {
  const load = await startLoad(condition, network.socks);
  await sleep(SETTLE_MS);
  const times = timesOf(network);
  const starts = FLOWS.map((flow) => times[flow].length);
  while (FLOWS.some((flow, i) => times[flow].length - (starts[i] as number) <= frames)) await sleep(200);
  const gaps = FLOWS.map((flow, i) => [flow, gapsOf(times[flow].slice(starts[i] as number))] as const);
  await load.stop();
  return Object.fromEntries(gaps) as Record<Flow, number[]>;
}

const print = (...lines: readonly string[]): void => {
  process.stdout.write(`${lines.join('\n')}\n`);
};

/** How precise the recorder is while the network idles: gaps shorter than the result say nothing. */
async function resolution(fastestRate: number): Promise<number> {
  const precision = await measurePrecision(fastestRate, PRECISION_FRAMES);
  print(...precisionLines(precision), '');
  const usefulMs = (1000 * MAX_RESOLUTION_SHARE) / fastestRate;
  if (precision.resolutionMs > usefulMs)
    print('The machine is too busy for a verdict: take what follows as a trial.', '');
  return Math.min(precision.resolutionMs, usefulMs);
}

interface Plan {
  readonly frames: number;
  readonly loops: number;
  /** Whether to stop the exit for a while first. */
  readonly exitStop: boolean;
  /** Folder for plots. */
  readonly plots: string | undefined;
}

/** The clocks under each condition; resolves with the number of rows that do not hold. */
async function probeFlows(network: RecordedNetwork, { frames, plots }: Plan): Promise<number> {
  const rates = ratesOf(DEFAULT_PARAMS.classes.standard as TrafficClass);
  const resolutionMs = await resolution(Math.max(...Object.values(rates)));
  const gaps = new Map<Condition, Record<Flow, number[]>>();
  for (const condition of CONDITIONS) gaps.set(condition, await record(network, condition, frames));
  const gapsUnder = (condition: Condition, flow: Flow) => gaps.get(condition)?.[flow] ?? [];
  const rows = FLOWS.flatMap((flow) =>
    CONDITIONS.map((condition) => {
      const [gapsMs, idleGapsMs] = [gapsUnder(condition, flow), gapsUnder('idle', flow)];
      return judge({ flow, condition, setRate: rates[flow], gapsMs, idleGapsMs, resolutionMs });
    }),
  );
  print(ROW_HEAD, ...rows.map(rowLine), '');
  if (plots !== undefined) {
    const flow = 'proxy departures';
    const svg = plotGaps(flow, (condition) => gapsUnder(condition, flow), rates[flow]);
    await writeFile(join(plots, 'probe-departures.svg'), svg);
  }
  return rows.filter(({ holds }) => !holds).length;
}

/** Delay law and pools, with the network idle but for the loops; resolves with the number of laws that do not hold. */
async function probeDelays(dist: string, network: RecordedNetwork, { loops, plots }: Plan): Promise<number> {
  const { meanDelayMs } = DEFAULT_PARAMS;
  let done = false;
  const timing = timeLoops(dist, network, loops).finally(() => {
    done = true;
  });
  const [found, pools] = await Promise.all([timing, measurePools(network.nodes, meanDelayMs, () => done)]);
  const law = delayLaw(found, meanDelayMs);
  print(...delayLines(law, meanDelayMs), '', ...poolLines(pools), '');
  if (plots !== undefined) {
    const delays = found.map(({ tookMs }) => tookMs - law.constantMs);
    await writeFile(join(plots, 'probe-delay.svg'), plotDelays(delays, DELAYED_HOPS, meanDelayMs));
  }
  return law.holds ? 0 : 1;
}

async function probe(dist: string, plan: Plan): Promise<number> {
  const network = await recordNetwork(dist, {});
  try {
    if (plan.exitStop) {
      await sleep(SETTLE_MS);
      print(...exitStopLines(await recordExitStop(network), DEFAULT_PARAMS.classes.standard?.deliveryRate ?? 0), '');
      if (plan.frames === 0) return 0;
    }
    const flows = await probeFlows(network, plan);
    return flows + (plan.loops > 0 ? await probeDelays(dist, network, plan) : 0);
  } finally {
    await network.stop();
  }
}

const program = new Command('probe')
  .description('Times frames on the links of proxy and requester from outside, and compares with the set clocks.')
  .option('--frames <n>', 'frames per flow and condition; 0 with --exit-stop: nothing but that', Number, 10_000)
  .option('--exit-stop', 'first stop the requester for 5 s, and count the frames that reach the proxy', false)
  .option('--loops <n>', 'loops for the delay law; 0: none, and no pools', Number, 3_000)
  .option('--plots <dir>', 'write SVG plots there')
  .option(
    '--mutant <name>',
    `probe a build that is broken on purpose, which must be rejected: ${mutantNames.join(', ')}`,
  )
  .addHelpText('after', '\nNeeds a build (npm run build), curl, and a machine that does nothing else.');
program.parse();
const { mutant, plots, ...counts } = program.opts<{
  frames: number;
  loops: number;
  exitStop: boolean;
  plots?: string;
  mutant?: string;
}>();
const source = fileURLToPath(new URL('../../dist', import.meta.url));
const dist = mutant === undefined ? source : await mutate(source, mutant);
if (plots !== undefined) await mkdir(plots, { recursive: true });
const rejected = await probe(dist, { ...counts, plots });
print(rejected === 0 ? 'All hold.' : `${rejected} rejected.`);
process.exit(rejected > 0 === (mutant !== undefined) ? 0 : 1);
