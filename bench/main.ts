/**
 * `npm run bench -- NAME`: measures this working tree, or this working tree beside another commit. See bench/README.md.
 * @module
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { e2eRun } from './e2e.ts';
import { BenchError, type Build, buildCommit, buildWorkingTree } from './harness/build.ts';
import { LIMIT } from './harness/limit.ts';
import type { Setting } from './harness/localnet.ts';
import { type Run, runPaired } from './harness/paired.ts';
import { hasFailures, jsonLine, resultTable } from './harness/report.ts';
import { inScope, print, progress, type Scope } from './harness/scope.ts';
import { idleRun } from './idle.ts';
import { latencyRun } from './latency.ts';
import { mixRun } from './mix/index.ts';
import { overloadRun } from './overload.ts';
import { chromiumPath, PAGE_CASES, type PageCase, pageRun } from './page.ts';
import { scaleRun } from './scale/index.ts';
import { sphinxRun } from './sphinx/index.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** What every benchmark is asked with. */
interface Options {
  readonly json?: true;
  readonly against?: string;
  readonly runs: number;
  readonly quick: boolean;
}

/** What some are asked with besides. */
interface MoreOptions extends Options {
  readonly rates: readonly Omit<Setting, 'packetSize'>[];
  readonly packetSizes: readonly number[];
  readonly cases: readonly PageCase[];
  readonly beside?: string;
  readonly seconds: number;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('Expected a whole number from 1.');
  return value;
}

const listOf =
  <Item>(parse: (text: string) => Item) =>
  (text: string): Item[] =>
    text.split(',').map(parse);

function parseRates(text: string): Omit<Setting, 'packetSize'> {
  const match = /^(\d+):(\d+)(?::(steady|burst))?$/.exec(text);
  if (match === null) throw new InvalidArgumentError('Expected RATE:REPLIES or RATE:REPLIES:burst, as in 50:100.');
  const [, rate, replyRate, downlink] = match;
  return { rate: Number(rate), replyRate: Number(replyRate), downlink: downlink === 'burst' ? 'burst' : 'steady' };
}

function parseProxy(text: string): string {
  const match = /^(?:socks5h?:\/\/)?([^/]+:\d+)$/.exec(text);
  if (match?.[1] === undefined) throw new InvalidArgumentError('Expected HOST:PORT of a SOCKS5 proxy.');
  return match[1];
}

function parseCase(text: string): PageCase {
  const found = PAGE_CASES.find(({ trafficClass, downlink }) => text === `${trafficClass}:${downlink}`);
  if (found === undefined) throw new InvalidArgumentError('Expected CLASS:MODE, as in standard:steady or fast:burst.');
  return found;
}

async function bench(name: string, run: Run, { json, against, runs, quick }: Options): Promise<void> {
  await inScope(async (scope) => {
    const build = buildWorkingTree();
    const rounds = quick ? 1 : runs;
    const results = await runPaired(run, { name, rounds, build, ...other(scope, against), say: progress, quick });
    const limitUs = results.find((result) => result.name === LIMIT)?.value ?? Number.NaN;
    if (json) for (const result of results) print(jsonLine(result, limitUs, against));
    else print(resultTable(results, limitUs, against));
    if (hasFailures(results)) process.exitCode = EXIT_FAILED;
  });
}

function other(scope: Scope, commit: string | undefined): { readonly against?: Build } {
  return commit === undefined ? {} : { against: buildCommit(scope, commit) };
}

function program(): Command {
  const root = new Command('npm run bench --')
    .description('measures this working tree; bench/README.md explains every figure')
    .usage('NAME [options]')
    .helpCommand(false)
    .showHelpAfterError(false)
    .exitOverride();
  const add = (name: string, about: string, runs: number) =>
    root
      .command(name)
      .description(about)
      .option('--json', 'one JSON object per figure and line')
      .option('--runs <number>', 'runs, of which each figure is the median', positive, runs)
      .option('--quick', 'one run of the smallest size: shows that it works, the figures mean little', false);
  const AGAINST = ['--against <commit>', 'measure this commit too, in turn, and print ratios'] as const;
  const seconds = (command: Command, about: string, value: number) =>
    command.option('--seconds <number>', about, positive, value);

  add('sphinx', 'a packet by itself: make, unwrap, reply blocks; time and memory', 5)
    .option(...AGAINST)
    .action((options: Options) => bench('sphinx', sphinxRun(options), options));
  add('mix', 'one mixnode process: cost per packet, exactness, memory', 3)
    .option(...AGAINST)
    .action((options: Options) => bench('mix', mixRun(options), options));
  seconds(add('e2e', 'downloads and uploads through a local network, against the law', 3), 'of a lawful transfer', 20)
    .option('--rates <list>', 'rates of the networks', listOf(parseRates), E2E_RATES.map(parseRates))
    .option('--packet-sizes <list>', 'their packet sizes', listOf(positive), [2048, 8192, 32_768])
    .option(
      '--beside <host:port>',
      'download through this SOCKS5 proxy in turn with each network, and print ratios',
      parseProxy,
    )
    .option(...AGAINST)
    .action((options: MoreOptions) => bench('e2e', e2eRun(options), options));
  const cases = new Option('--cases <list>', 'classes and modes, as in standard:steady')
    .argParser(listOf(parseCase))
    .default(PAGE_CASES, 'all');
  add('page', 'a page of 60 parts and 1 MB in headless Chromium', 3)
    .addOption(cases)
    .option(...AGAINST)
    .action((options: MoreOptions) => {
      chromiumPath(); // before minutes are spent
      return bench('page', pageRun(options), options);
    });
  add('latency', 'short requests, alone and beside downloads', 3)
    .option(...AGAINST)
    .action((options: Options) => bench('latency', latencyRun(options), options));
  seconds(add('idle', 'a network that nobody uses, by role', 3), 'of measuring', 60)
    .option(...AGAINST)
    .action((options: MoreOptions) => bench('idle', idleRun(options), options));
  seconds(add('scale', 'one to a thousand streams, clients, nodes', 1), 'of measuring each', 20).action(
    (options: MoreOptions) => bench('scale', scaleRun(options), options),
  );
  seconds(add('overload', '1, 2 and 4 times what the machine carries', 1), 'of each load', 30)
    .option('--rates <list>', 'tried in this order for the best', listOf(parseRates), OVERLOAD_RATES.map(parseRates))
    .option(...AGAINST)
    .action((options: MoreOptions) => bench('overload', overloadRun(options), options));
  return root;
}

const E2E_RATES = ['50:100', '50:100:burst', '100:200', '200:500', '150:700', '300:750', '400:1000'];
const OVERLOAD_RATES = ['50:100', '100:200', '150:300', '200:500', '300:750', '450:1000', '600:1500'];

try {
  await program().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
  else if (error instanceof BenchError) {
    process.stderr.write(`bench: ${error.message}\n`);
    process.exitCode = EXIT_FAILED;
  } else throw error;
}
