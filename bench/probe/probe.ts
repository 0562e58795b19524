/**
 * Records from outside when frames leave and reach the proxy and the requester of a running network, idle and under
 * load, and compares with what the clocks are set to. `npx tsx bench/probe/probe.ts --help`.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { DEFAULT_PARAMS, type TrafficClass } from '../../lib/params.ts';
import { type Condition, startLoad } from './load.ts';
import { mutantNames, mutate } from './mutants.ts';
import { type RecordedNetwork, recordNetwork } from './recorder.ts';
import { compareSamples, distanceToExponential, lag1Correlation } from './statistics.ts';

/** What the design promises. */
const MAX_DISTANCE = 0.02;
const MIN_P = 0.001;
const MAX_CORRELATION = 0.03;
const CONDITIONS: readonly Condition[] = ['idle', 'downloading', 'uploading'];
/** A condition is given this long to settle. */
const SETTLE_MS = 5_000;

const FLOWS = ['proxy departures', 'proxy arrivals', 'requester departures', 'requester arrivals'] as const;
type Flow = (typeof FLOWS)[number];

/** Frames per second that the clocks make of each flow: a loop arrives where it left. */
function ratesOf({ mainRate, replyRate, loopRate, dropRate }: TrafficClass): Record<Flow, number> {
  return {
    'proxy departures': mainRate + loopRate + dropRate,
    'proxy arrivals': replyRate + loopRate,
    'requester departures': replyRate + loopRate + dropRate,
    'requester arrivals': mainRate + loopRate,
  };
}

const timesOf = ({ proxy, requester }: RecordedNetwork): Record<Flow, number[]> => ({
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
  const gaps = FLOWS.map((flow, i) => {
    const slice = times[flow].slice(starts[i]);
    return [flow, slice.slice(1).map((timeMs, k) => timeMs - (slice[k] as number))] as const;
  });
  await load.stop();
  return Object.fromEntries(gaps) as Record<Flow, number[]>;
}

interface Row {
  readonly flow: Flow;
  readonly condition: Condition;
  readonly frames: number;
  readonly rate: number;
  readonly distance: number;
  readonly correlation: number;
  /** Against idle; 1 for idle itself. */
  readonly p: number;
  readonly holds: boolean;
}

function judge(flow: Flow, condition: Condition, gaps: number[], idle: number[], setRate: number): Row {
  const distance = distanceToExponential(gaps, 1000 / setRate);
  const correlation = lag1Correlation(gaps);
  const p = condition === 'idle' ? 1 : compareSamples(idle, gaps).p;
  const rate = (1000 * gaps.length) / gaps.reduce((sum, gap) => sum + gap, 0);
  const holds = distance <= MAX_DISTANCE && Math.abs(correlation) < MAX_CORRELATION && p >= MIN_P;
  return { flow, condition, frames: gaps.length, rate, distance, correlation, p, holds };
}

function line(row: Row, setRate: number): string {
  const cells = [
    row.flow.padEnd(21),
    row.condition.padEnd(12),
    String(row.frames).padStart(7),
    `${row.rate.toFixed(1)}/${setRate}`.padStart(10),
    row.distance.toFixed(4).padStart(8),
    row.correlation.toFixed(4).padStart(8),
    row.p.toExponential(1).padStart(9),
    row.holds ? '  holds' : '  REJECTED',
  ];
  return `${cells.join(' ')}\n`;
}

/** Records and prints; resolves with the number of rows that do not hold. */
async function probe(dist: string, frames: number, conditions: readonly Condition[]): Promise<number> {
  const standard = DEFAULT_PARAMS.classes.standard as TrafficClass;
  const rates = ratesOf(standard);
  const network = await recordNetwork(dist, {});
  try {
    process.stdout.write('flow                  condition     frames  rate/set       KS     lag1   p(idle)\n');
    const gaps = new Map<Condition, Record<Flow, number[]>>();
    for (const condition of conditions) gaps.set(condition, await record(network, condition, frames));
    const rows = FLOWS.flatMap((flow) =>
      conditions.map((condition) => {
        const idle = gaps.get('idle')?.[flow] ?? [];
        return judge(flow, condition, gaps.get(condition)?.[flow] ?? [], idle, rates[flow]);
      }),
    );
    for (const row of rows) process.stdout.write(line(row, rates[row.flow]));
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
const rejected = await probe(dist, frames, CONDITIONS);
process.stdout.write(`${rejected} of ${FLOWS.length * CONDITIONS.length} rejected\n`);
process.exit(rejected > 0 === (mutant !== undefined) ? 0 : 1);
