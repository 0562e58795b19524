/**
 * `e2e`: how fast one transfer is, against the law of the clocks, and what it costs each role.
 * @module
 */
import { type Figure, failure, figure } from './harness/figure.ts';
import { lawOf } from './harness/law.ts';
import { Localnet, measureRoles, type Setting, STANDARD } from './harness/localnet.ts';
import type { Run, RunTerms } from './harness/paired.ts';
import { progress } from './harness/scope.ts';
import { startSite } from './harness/site.ts';
import { download, type Transfer, upload } from './harness/transfer.ts';

/** A transfer is given up after this many times its lawful duration. */
const TIMEOUT_FACTOR = 6;
const WARM_UP_BYTES = 20_000;
const WARM_UP_SECONDS = 60;

export interface E2eTerms extends RunTerms {
  readonly rates: readonly Pick<Setting, 'rate' | 'replyRate' | 'downlink'>[];
  readonly packetSizes: readonly number[];
  /** How long each transfer takes if it keeps the law. */
  readonly seconds: number;
}

export function e2eRun({ quick, rates, packetSizes, seconds }: E2eTerms): Run {
  const all = rates.flatMap((rate) => packetSizes.map((packetSize): Setting => ({ ...rate, packetSize })));
  const settings = quick ? [STANDARD] : all;
  const lawful = quick ? 0.5 : seconds;
  return async (build, scope) => {
    const { port } = await startSite(scope);
    const figures: Figure[] = [];
    for (const setting of settings) {
      const { rate, replyRate, downlink, packetSize } = setting;
      progress(`e2e: ${rate}:${replyRate}, ${downlink}, packets of ${packetSize} bytes`);
      const network = await Localnet.start(scope, build, setting);
      figures.push(...(await measureSetting(network, port, setting, lawful)));
      await network.stop();
    }
    return figures;
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
    const transfer = await move(ends, Math.ceil(lawfulRate * seconds), timeout, name);
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
