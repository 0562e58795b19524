/**
 * `e2e`: how fast one transfer is, against the law of the clocks, and what it costs each role; beside another proxy, if one is given.
 * @module
 */
import { type Figure, failure, figure, median } from './harness/figure.ts';
import { lawOf } from './harness/law.ts';
import { Localnet, measureRoles, type Setting, STANDARD } from './harness/localnet.ts';
import type { Run, RunTerms } from './harness/paired.ts';
import { inScope, progress } from './harness/scope.ts';
import { startSite } from './harness/site.ts';
import { download, type Ends, type Transfer, upload } from './harness/transfer.ts';

/** What a transfer has moved is enough after this many times its lawful duration … */
const ENOUGH_FACTOR = 1.5;
/** … and it has failed after this many. */
const TIMEOUT_FACTOR = 6;
const WARM_UP_BYTES = 20_000;
const WARM_UP_SECONDS = 60;
/** More than any proxy brings in time. */
const ENDLESS_BYTES = 1e12;

export interface E2eTerms extends RunTerms {
  readonly rates: readonly Pick<Setting, 'rate' | 'replyRate' | 'downlink'>[];
  readonly packetSizes: readonly number[];
  /** How long each transfer takes if it keeps the law. */
  readonly seconds: number;
  /** `host:port` of another SOCKS5 proxy that reaches loopback. */
  readonly beside?: string;
}

export function e2eRun({ quick, rates, packetSizes, seconds, beside }: E2eTerms): Run {
  const all = packetSizes.flatMap((packetSize) => rates.map((rate): Setting => ({ ...rate, packetSize })));
  const settings = quick ? [STANDARD] : all;
  const lawful = quick ? 0.5 : seconds;
  return async (build, scope) => {
    const { port } = await startSite(scope);
    const figures: Figure[] = [];
    // The other proxy has the machine to itself: before each network and after the last.
    const others = beside === undefined ? [] : [await measureBeside(beside, port, lawful)];
    for (const setting of settings) {
      const { rate, replyRate, downlink, packetSize } = setting;
      progress(`e2e: ${rate}:${replyRate}, ${downlink}, packets of ${packetSize} bytes`);
      const found = await inScope(async (own) =>
        measureSetting(await Localnet.start(own, build, setting), port, setting, lawful),
      );
      figures.push(...found);
      if (beside !== undefined) others.push(await measureBeside(beside, port, lawful));
      const [before, after] = others.slice(-2);
      if (before && after) figures.push(...besideFigures(found, before, after, setting));
    }
    return [...figures, ...bestOf(figures), ...others];
  };
}

async function measureSetting(network: Localnet, sitePort: number, setting: Setting, seconds: number) {
  const ends = { socks: network.socks, sitePort };
  const law = lawOf(setting);
  const timeout = Math.max(30, TIMEOUT_FACTOR * seconds);
  await download(ends, WARM_UP_BYTES, WARM_UP_SECONDS, 'warm-up');
  const figures: Figure[] = [];
  for (const [name, move, lawfulRate] of [
    ['e2e.download', download, law.down],
    ['e2e.upload', upload, law.up],
  ] as const) {
    const used = measureRoles(network);
    const transfer = await move(ends, Math.ceil(lawfulRate * seconds), timeout, name, ENOUGH_FACTOR * seconds);
    figures.push(...transferFigures(name, transfer, lawfulRate, setting, used()));
  }
  return figures;
}

/** Speed, its share of the law, and milliseconds of each role's processors per megabyte; without a value if it failed. */
export function transferFigures(
  name: string,
  transfer: Transfer,
  lawfulRate: number,
  setting: Setting,
  used: ReadonlyMap<string, number>,
): Figure[] {
  const terms = { ...setting };
  if ('fault' in transfer) return [failure(name, 'kB/s', transfer.fault, terms)];
  const perSecond = transfer.bytes / transfer.seconds;
  const megabytes = transfer.bytes / 1e6;
  return [
    figure(name, 'kB/s', perSecond / 1000, terms),
    figure(`${name}.share`, 'ratio', perSecond / lawfulRate, terms),
    ...[...used].map(([role, seconds]) =>
      figure(`${name}.processor`, 'ms/MB', (1000 * seconds) / megabytes, { ...terms, role }),
    ),
  ];
}

/** The fastest transfer each way, for each packet size: at which rates that is differs from build to build. */
export function bestOf(figures: readonly Figure[]): Figure[] {
  const best = new Map<string, Figure & { readonly value: number }>();
  for (const one of figures) {
    if (!('value' in one) || one.unit !== 'kB/s') continue;
    const { packetSize = 0 } = one.terms;
    const key = `${one.name} ${packetSize}`;
    if (one.value <= (best.get(key)?.value ?? 0)) continue;
    best.set(key, { ...one, name: `${one.name}.best`, terms: { packetSize } });
  }
  return [...best.values()];
}

async function measureBeside(socks: string, sitePort: number, seconds: number): Promise<Figure> {
  progress(`e2e: the proxy at ${socks}`);
  const ends: Ends = { socks, sitePort };
  const transfer = await download(ends, ENDLESS_BYTES, TIMEOUT_FACTOR * seconds + 30, 'beside', seconds);
  if ('fault' in transfer) return failure('e2e.beside', 'kB/s', transfer.fault);
  return figure('e2e.beside', 'kB/s', transfer.bytes / transfer.seconds / 1000);
}

/** The download by the mean of what the other proxy did before and after it. */
function besideFigures(found: readonly Figure[], before: Figure, after: Figure, setting: Setting): Figure[] {
  const [ours] = found.filter(({ name }) => name === 'e2e.download');
  const values = [before, after].flatMap((one) => ('value' in one ? [one.value] : []));
  if (ours === undefined || !('value' in ours)) return [];
  return [figure('e2e.download.beside', 'ratio', ours.value / median(values), { ...setting })];
}
