/**
 * Records from outside when frames leave and reach the proxy and the requester of a running network, idle and under
 * load, and compares with what the clocks are set to. `npx tsx bench/probe/probe.ts --help`.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { DEFAULT_PARAMS, type TrafficClass } from '../../lib/params.ts';
import type { FrameTimes } from './frame-times.ts';
import { FLOWS, type Flow, judge, type Row, ratesOf } from './judge.ts';
import { CONDITIONS, type Condition, startLoad } from './load.ts';
import { mutantNames, mutate } from './mutants.ts';
import { measurePrecision, type Precision } from './precision.ts';
import { type RecordedNetwork, recordNetwork } from './recorder.ts';
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

function line(row: Row): string {
  const cells = [
    row.flow.padEnd(21),
    row.condition.padEnd(12),
    String(row.frames).padStart(7),
    `${row.rate.toFixed(1)}/${row.setRate}`.padStart(10),
    row.rawDistance.toFixed(4).padStart(8),
    row.distance.toFixed(4).padStart(8),
    row.correlation.toFixed(4).padStart(8),
    row.p.toExponential(1).padStart(9),
    row.holds ? '  holds' : '  REJECTED',
  ];
  return `${cells.join(' ')}\n`;
}

function describe(precision: Precision): string {
  const { frames, lateMs, late99Ms, resolutionMs, mergedShare, distance } = precision;
  return [
    `recorder: of ${frames} frames of a synthetic Poisson stream beside the idle network, half were noted within`,
    `${lateMs.toFixed(2)} ms, 99 % within ${late99Ms.toFixed(2)} ms; ${(100 * mergedShare).toFixed(1)} % were read`,
    `together with the one before; 99 % of the gaps are right within ${resolutionMs.toFixed(2)} ms; KS between sent`,
    `and recorded ${distance.toFixed(4)}. KS>r leaves out what is shorter than that.\n\n`,
  ].join('\n');
}

/** Records and prints; resolves with the number of rows that do not hold. */
async function probe(dist: string, frames: number): Promise<number> {
  const rates = ratesOf(DEFAULT_PARAMS.classes.standard as TrafficClass);
  const network = await recordNetwork(dist, {});
  try {
    const fastest = Math.max(...Object.values(rates));
    const precision = await measurePrecision(fastest, PRECISION_FRAMES);
    process.stdout.write(describe(precision));
    const usefulMs = (1000 * MAX_RESOLUTION_SHARE) / fastest;
    const resolutionMs = Math.min(precision.resolutionMs, usefulMs);
    if (precision.resolutionMs > usefulMs) {
      process.stdout.write('The machine is too busy for a verdict: take the rows below as a trial.\n');
    }
    const gaps = new Map<Condition, Record<Flow, number[]>>();
    for (const condition of CONDITIONS) gaps.set(condition, await record(network, condition, frames));
    const gapsUnder = (condition: Condition, flow: Flow) => gaps.get(condition)?.[flow] ?? [];
    const rows = FLOWS.flatMap((flow) =>
      CONDITIONS.map((condition) => {
        const [gapsMs, idleGapsMs] = [gapsUnder(condition, flow), gapsUnder('idle', flow)];
        return judge({ flow, condition, setRate: rates[flow], gapsMs, idleGapsMs, resolutionMs });
      }),
    );
    process.stdout.write('flow                  condition     frames  rate/set       KS     KS>r     lag1   p(idle)\n');
    for (const row of rows) process.stdout.write(line(row));
    return rows.filter(({ holds }) => !holds).length;
  } finally {
    await network.stop();
  }
}

const program = new Command('probe')
  .description('Times frames on the links of proxy and requester from outside, and compares with the set clocks.')
  .option('--frames <n>', 'frames per flow and condition', Number, 10_000)
  .option(
    '--mutant <name>',
    `probe a build that is broken on purpose, which must be rejected: ${mutantNames.join(', ')}`,
  )
  .addHelpText('after', '\nNeeds a build (npm run build), curl, and a machine that does nothing else.');
program.parse();
const { frames, mutant } = program.opts<{ frames: number; mutant?: string }>();
const built = fileURLToPath(new URL('../../dist', import.meta.url));
const dist = mutant === undefined ? built : await mutate(built, mutant);
const rejected = await probe(dist, frames);
process.stdout.write(`${rejected} of ${FLOWS.length * CONDITIONS.length} rejected\n`);
process.exit(rejected > 0 === (mutant !== undefined) ? 0 : 1);
