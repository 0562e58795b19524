/**
 * `overload`: what is left of a network that is asked for more than the machine can do.
 *
 * First the rates at which the machine moves the most, then the same rates 1, 2 and 4 times: once kept as given, and where
 * the build fits rates to the machine, once fitted.
 * @module
 */
import { type Build, hasOption } from './harness/build.ts';
import { type Figure, failure, figure } from './harness/figure.ts';
import { Localnet, type Setting, STANDARD } from './harness/localnet.ts';
import type { Run, RunTerms } from './harness/paired.ts';
import { inScope, progress, type Scope } from './harness/scope.ts';
import { startSite } from './harness/site.ts';
import { download, type Ends } from './harness/transfer.ts';

const REQUEST_BYTES = 100_000;
const AT_ONCE = 8;
const TIMEOUT_SECONDS = 60;
const TIMES = [1, 2, 4];
/** A network is past its best when it moves less than this share of it. */
const PAST_BEST = 0.97;

export interface OverloadTerms extends RunTerms {
  /** Tried in this order until the goodput falls. */
  readonly rates: readonly Pick<Setting, 'rate' | 'replyRate'>[];
  /** How long each setting is asked for as much as it gives. */
  readonly seconds: number;
}

interface Goodput {
  readonly bytesPerSecond: number;
  readonly failed: number;
  readonly requests: number;
  /** Why the first request failed. */
  readonly fault: string;
}

export function overloadRun({ quick, rates, seconds }: OverloadTerms): Run {
  const tried = (quick ? rates.slice(0, 1) : rates).map((rate): Setting => ({ ...STANDARD, ...rate }));
  return async (build, scope) => {
    const { port } = await startSite(scope);
    const measure = (setting: Setting, fitted: boolean) => {
      progress(`overload: ${setting.rate}:${setting.replyRate}, ${fitted ? 'fitted' : 'as given'}`);
      return measureGoodput(build, port, setting, { fitted, seconds: quick ? 1 : seconds });
    };
    const best = await findBest(tried, (setting) => measure(setting, false));
    const { rate, replyRate } = best.setting;
    const figures = [
      figure('overload.best', 'kB/s', best.bytesPerSecond / 1000),
      figure('overload.best.rate', 'packets/s', rate),
    ];
    const ways = hasOption(build, 'localnet', '--keep-rates') ? [false, true] : [false];
    for (const fitted of ways) {
      for (const times of quick ? [2] : TIMES) {
        const setting = { ...best.setting, rate: times * rate, replyRate: times * replyRate };
        const terms = { times, rates: fitted ? 'fitted' : 'kept' };
        figures.push(...(await goodputFigures(() => measure(setting, fitted), best.bytesPerSecond, terms)));
      }
    }
    return figures;
  };
}

/** The setting with the best goodput among those before it falls. Rejects when the first does not run. */
async function findBest(settings: readonly Setting[], measure: (setting: Setting) => Promise<Goodput>) {
  let best = { setting: settings[0] as Setting, bytesPerSecond: 0 };
  for (const setting of settings) {
    const { bytesPerSecond } = await measure(setting);
    if (bytesPerSecond > best.bytesPerSecond) best = { setting, bytesPerSecond };
    else if (bytesPerSecond < PAST_BEST * best.bytesPerSecond) break;
  }
  if (best.bytesPerSecond === 0) throw new Error('nothing came at the lowest rates');
  return best;
}

async function goodputFigures(
  measure: () => Promise<Goodput>,
  bestPerSecond: number,
  terms: Readonly<Record<string, string | number>>,
): Promise<Figure[]> {
  try {
    const { bytesPerSecond, failed, requests, fault } = await measure();
    return [
      figure('overload.goodput', 'kB/s', bytesPerSecond / 1000, terms),
      figure('overload.share', 'ratio', bytesPerSecond / bestPerSecond, terms),
      figure('overload.requests', 'requests', requests, terms),
      figure('overload.failed', 'requests', failed, terms),
      ...(failed > 0 ? [failure('overload.request', 'requests', fault, terms)] : []),
    ];
  } catch (error) {
    return [failure('overload.goodput', 'kB/s', (error as Error).message.split('\n', 1)[0] ?? '', terms)];
  }
}

/** Downloads, some at once, one after the other for some seconds; those that run then still are waited for. */
function measureGoodput(
  build: Build,
  sitePort: number,
  setting: Setting,
  { fitted, seconds }: { readonly fitted: boolean; readonly seconds: number },
): Promise<Goodput> {
  return inScope(async (scope: Scope) => {
    const network = await Localnet.start(scope, build, setting, { fitted });
    const ends: Ends = { socks: network.socks, sitePort };
    await download(ends, 1000, TIMEOUT_SECONDS, 'warm-up');
    const startMs = performance.now();
    let [bytes, failed, requests, fault] = [0, 0, 0, ''];
    const work = async () => {
      while (performance.now() - startMs < 1000 * seconds) {
        const transfer = await download(ends, REQUEST_BYTES, TIMEOUT_SECONDS, `request-${requests++}`);
        if ('fault' in transfer) {
          failed += 1;
          fault ||= transfer.fault;
        } else bytes += transfer.bytes;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return { bytesPerSecond: (1000 * bytes) / (performance.now() - startMs), failed, requests, fault };
  });
}
