/**
 * Command line of the anonymity simulator: `npx tsx research/anonymity/simulate.ts --help`.
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import { EPSILON_FIGURES, epsilonFigure, type FigureEffort, figure4 } from './figures.ts';
import { measureOwnNetwork, type OwnNetwork, settledDelayMs } from './own-network.ts';
import { measurePaperNetwork } from './paper-network.ts';
import { plotEpsilonFigure, plotFigure4, plotOwnNetworks } from './plots.ts';
import { epsilonReport, figure4Report, ownNetworkReport, ownNetworksReport, paperNetworkReport } from './report.ts';
import { PAPER_SETTING, settledAfter, type UnlinkabilityOptions } from './unlinkability.ts';

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A number in the given range, for commander. */
function numberFrom(low: number, high = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= low && value <= high)) {
      throw new InvalidArgumentError(
        high < Number.POSITIVE_INFINITY
          ? `It must be a number from ${low} to ${high}.`
          : `It must be a number of at least ${low}.`,
      );
    }
    return value;
  };
}

function integerFrom(low: number, high = 1_000_000): (text: string) => number {
  const parse = numberFrom(low, high);
  return (text) => {
    const value = parse(text);
    if (!Number.isInteger(value)) throw new InvalidArgumentError('It must be a whole number.');
    return value;
  };
}

/** A list of such numbers, for an option that takes several. */
function each(parse: (text: string) => number): (text: string, before: number[] | undefined) => number[] {
  return (text, before) => [...(before ?? []), parse(text)];
}

/** How many mixes a share of corrupt ones is. */
function corruptCount(share: number, layers: number, mixesPerLayer: number): number {
  return Math.round(share * layers * mixesPerLayer);
}

interface FiguresFlags extends FigureEffort {
  readonly only: readonly number[];
  readonly plots?: string;
}

function writePlot(folder: string | undefined, name: string, svg: string): void {
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), svg);
  print(`plot: ${join(folder, name)}\n`);
}

function runFigures(flags: FiguresFlags): void {
  const started = performance.now();
  let packets = 0;
  let off = 0;
  if (flags.only.includes(4)) {
    const points = [...figure4({ ...flags, repetitions: Math.min(flags.repetitions, 50) })];
    packets += points.reduce((sum, { arrivals }) => sum + arrivals, 0);
    off += points.filter(({ withinTarget }) => withinTarget === false).length;
    print(figure4Report(points));
    writePlot(flags.plots, 'figure-4.svg', plotFigure4(points));
  }
  for (const figure of EPSILON_FIGURES.filter(({ number }) => flags.only.includes(number))) {
    const points = [...epsilonFigure(figure, flags)];
    packets += points.reduce((sum, { result }) => sum + result.packets, 0);
    off += points.filter(({ withinTarget }) => withinTarget === false).length;
    print(epsilonReport(figure, points));
    writePlot(flags.plots, `figure-${figure.number}.svg`, plotEpsilonFigure(figure, points));
  }
  const seconds = (performance.now() - started) / 1000;
  print(`${(packets / 1e6).toFixed(1)} million packets in ${seconds.toFixed(0)} s, seed ${flags.seed}`);
  print(off === 0 ? 'all targets met' : `${off} points off target`);
  if (off > 0) process.exitCode = 1;
}

interface NetworkFlags {
  readonly users: number;
  readonly rate: number;
  readonly rateOf: 'user' | 'all';
  readonly payloadRate: number;
  readonly meanDelay: number;
  readonly layers: number;
  readonly mixesPerLayer: number;
  readonly corrupt: number;
  readonly repetitions: number;
  readonly burnIn?: number;
  readonly challengeTime: number;
  readonly seed: number;
}

/** The Loopix paper's network with any parameters. */
function runNetwork(flags: NetworkFlags): void {
  const { users, layers, mixesPerLayer } = flags;
  const delayRate = 1 / flags.meanDelay;
  const setting: UnlinkabilityOptions = {
    ...PAPER_SETTING,
    ...flags,
    delayRate,
    ratePerUser: flags.rateOf === 'all' ? flags.rate / users : flags.rate,
    corruptMixes: corruptCount(flags.corrupt, layers, mixesPerLayer),
    burnIn: flags.burnIn ?? settledAfter(layers, delayRate),
  };
  print(paperNetworkReport(setting, measurePaperNetwork(setting, flags.repetitions, flags.seed)).trimEnd());
}

interface OwnFlags {
  readonly proxies?: readonly number[];
  readonly plots?: string;
  readonly requesters: number;
  readonly gateways: number;
  readonly layers: number;
  readonly mixesPerLayer: number;
  readonly corrupt: number;
  readonly meanDelayMs?: readonly number[];
  readonly mixingTarget?: number;
  readonly class: string;
  readonly rate?: number;
  readonly replyRate?: number;
  readonly loopRate?: number;
  readonly dropRate?: number;
  readonly nodeLoopRate: number;
  readonly seed: number;
  readonly repetitions: number;
}

const DEFAULT_PROXIES = 5;

/** The networks that the options ask for: every number of proxies with every delay. */
function ownNetworks(flags: OwnFlags): OwnNetwork[] {
  const base = DEFAULT_PARAMS.classes[flags.class]!;
  const traffic = {
    mainRate: flags.rate ?? base.mainRate,
    replyRate: flags.replyRate ?? base.replyRate,
    loopRate: flags.loopRate ?? base.loopRate,
    dropRate: flags.dropRate ?? base.dropRate,
  };
  const corruptMixes = corruptCount(flags.corrupt, flags.layers, flags.mixesPerLayer);
  const delays = flags.meanDelayMs ?? [DEFAULT_PARAMS.meanDelayMs];
  const counts = flags.proxies ?? [DEFAULT_PROXIES];
  const networks = delays.flatMap((meanDelayMs) =>
    counts.map((proxies) => ({ ...flags, proxies, meanDelayMs, traffic, corruptMixes })),
  );
  const { mixingTarget } = flags;
  if (mixingTarget === undefined) return networks;
  return networks.map((network) => ({ ...network, meanDelayMs: settledDelayMs(network, mixingTarget) }));
}

/** Mixsocks networks: one with what it means, several as a table. */
function runOwn(flags: OwnFlags): void {
  const measured = ownNetworks(flags).map((network) => [network, measureOwnNetwork(network, flags)] as const);
  const [first] = measured;
  if (measured.length === 1) print(ownNetworkReport(...first!).trimEnd());
  else print(ownNetworksReport(measured));
  writePlot(flags.plots, 'own-network.svg', plotOwnNetworks(measured));
}

const seedOption = () =>
  new Option('--seed <n>', 'seed: the same gives the same numbers').argParser(integerFrom(0, 2 ** 31)).default(1);
const repetitionsOption = (count: number) =>
  new Option('--repetitions <n>', 'repetitions per point').argParser(integerFrom(2)).default(count);
const burnInOption = () =>
  new Option(
    '--burn-in <time>',
    'time units before the challengers start (paper: 2500; default: as long as the network needs to settle)',
  ).argParser(numberFrom(0));

function shape(command: Command): Command {
  return command
    .option('--layers <n>', 'layers', integerFrom(1, 100), 3)
    .option('--mixes-per-layer <n>', 'mixes per layer', integerFrom(1, 500), 3)
    .option('--corrupt <share>', 'share of mixes, 0 to 1, that tell the observer everything', numberFrom(0, 1), 0)
    .addOption(seedOption())
    .addOption(repetitionsOption(100));
}

const program = new Command('simulate')
  .description('Anonymity of a Loopix mix network, simulated: what an observer of all links can know.')
  .showHelpAfterError()
  .addHelpText(
    'after',
    `
Examples:
  simulate figures --plots docs/anonymity        figures 4 to 7 of the Loopix paper
  simulate network --users 100 --rate 2 --mean-delay 0.5 --corrupt 0.33
  simulate own --proxies 20 --mixes-per-layer 2 --mean-delay-ms 50
  simulate own --proxies 1 10 100 1000 --mean-delay-ms 15 50 200 --plots docs/anonymity
  simulate own --proxies 1 2 5 10 20 100 500 --mixes-per-layer 2 --mixing-target 66`,
  );

program
  .command('figures')
  .description('figures 4 to 7 of the Loopix paper beside their targets; exit code 1 if a point is off')
  .option('--only <figures...>', 'some of 4 5 6 7', each(integerFrom(4, 7)))
  .option('--plots <dir>', 'write figure-N.svg there')
  .addOption(seedOption())
  .addOption(repetitionsOption(100))
  .addOption(burnInOption())
  .action((flags: Partial<FiguresFlags> & FigureEffort) => runFigures({ ...flags, only: flags.only ?? [4, 5, 6, 7] }));

shape(program.command('network'))
  .description("the network of the paper's section 4.3 with any parameters, in its time units")
  .option('--users <n>', 'senders', integerFrom(2, 10_000), PAPER_SETTING.users)
  .option('--rate <λ>', 'messages per time unit, payload and cover', numberFrom(0.001), PAPER_SETTING.ratePerUser)
  .addOption(new Option('--rate-of <who>', 'whose rate that is').choices(['user', 'all']).default('user'))
  .option(
    '--payload-rate <n>',
    'payload of each challenger per time unit',
    numberFrom(0.001),
    PAPER_SETTING.payloadRate,
  )
  .option('--mean-delay <time>', 'mean delay at a mix, 1/μ', numberFrom(0.0001), 1)
  .option(
    '--challenge-time <time>',
    'time the challengers send before ε is measured',
    numberFrom(1),
    PAPER_SETTING.challengeTime,
  )
  .addOption(burnInOption())
  .action(runNetwork);

shape(program.command('own'))
  .description('a mixsocks network with all its clocks, and what its numbers mean')
  .option('--proxies <n...>', `proxies (default: ${DEFAULT_PROXIES}); several give a table`, each(integerFrom(1)))
  .option('--requesters <n>', 'requesters', integerFrom(1), 1)
  .option('--gateways <n>', 'gateways', integerFrom(1), 2)
  .option(
    '--mean-delay-ms <ms...>',
    `mean delay at a mix (default: ${DEFAULT_PARAMS.meanDelayMs}); several give a table`,
    each(numberFrom(0.01)),
  )
  .option('--mixing-target <packets>', 'the delay that authorities with this target choose, instead', integerFrom(1))
  .option('--plots <dir>', 'write own-network.svg there')
  .addOption(
    new Option('--class <name>', 'traffic class').choices(Object.keys(DEFAULT_PARAMS.classes)).default('standard'),
  )
  .option('--rate <n>', 'main clock per second, instead of the class', numberFrom(0.001))
  .option('--reply-rate <n>', 'reply clock per second', numberFrom(0))
  .option('--loop-rate <n>', 'loop clock per second', numberFrom(0))
  .option('--drop-rate <n>', 'drop clock per second', numberFrom(0))
  .option(
    '--node-loop-rate <n>',
    'own loops of each mix and gateway per second; 0: as if the observer knew them',
    numberFrom(0),
    DEFAULT_PARAMS.nodeLoopRate,
  )
  .action(runOwn);

program.parse();
