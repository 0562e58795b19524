/**
 * Long transfers and many requests over `mixsocks localnet` while things go wrong: `npx tsx research/soak/soak.ts [options]`
 * (build first). Prints a line per scenario; exits with 1 when a byte was wrong or a request hung.
 *
 *   --scenario NAME   one of those below; may be given again (default: all)
 *   --down MB, --up MB, --requests N   what runs at once (default 100, 20, 1000)
 *   --rate N, --reply-rate N, --downlink D   of the network (default 50, 100, steady)
 *   --flag F          another flag of localnet, e.g. --flag --packet-size=8192; may be given again
 *   --status S        print the proxy's state every S seconds
 * @module
 */
import { parseArgs } from 'node:util';
import { residentBytes } from '../../bench/harness/processor.ts';
import { inScope, print, table } from '../../bench/harness/scope.ts';
import { TestNetwork } from '../../test/support/localnet.ts';
import { type ShortRequests, shortRequests, type Transfer, Transfers } from '../../test/support/transfers.ts';
import { startWeb } from '../../test/support/web.ts';
import { SCENARIOS, type Scenario } from './soak-scenarios.ts';

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true },
    down: { type: 'string', default: '100' },
    up: { type: 'string', default: '20' },
    requests: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '50' },
    'reply-rate': { type: 'string', default: '100' },
    downlink: { type: 'string', default: 'steady' },
    flag: { type: 'string', multiple: true },
    status: { type: 'string' },
  },
});

/** A transfer is given up at this many times the time that its law gives it, and never before five minutes. */
const TIMEOUT_FACTOR = 8;
const MIN_TIMEOUT_SECONDS = 300;
/** A request that has not been answered or refused by then hangs: longer than the front waits for the exit. */
const REQUEST_SECONDS = 120;
const REQUESTS_AT_ONCE = 10;

interface Outcome {
  readonly down: Transfer | undefined;
  readonly up: Transfer | undefined;
  readonly requests: ShortRequests | undefined;
  readonly troubles: number;
  readonly growthMb: { readonly proxy: number; readonly requester: number };
}

const timeoutSeconds = (bytes: number, perSecond: number, { sleepSeconds = 0 }: Scenario) =>
  sleepSeconds + Math.max(MIN_TIMEOUT_SECONDS, (TIMEOUT_FACTOR * bytes) / perSecond);

function run(scenario: Scenario): Promise<Outcome> {
  const flags = ['--rate', values.rate, '--reply-rate', values['reply-rate'], '--downlink', values.downlink];
  return inScope(async (scope) => {
    const web = await startWeb(scope);
    const network = await TestNetwork.start(scope, [...flags, ...(values.flag ?? []), ...scenario.flags]);
    const transfers = new Transfers(scope, network.socks, web);
    await transfers.download(500_000, MIN_TIMEOUT_SECONDS); // the baseline of memory is that of a warm process
    const memory = (name: string) => residentBytes(network.node(name).pid) / 1e6;
    const before = { proxy: memory('proxy-1'), requester: memory('requester-1') };
    const watcher = watch(network);
    const trouble = scenario.disturb?.(network);
    const [downBytes, upBytes, count] = [values.down, values.up, values.requests].map(Number) as [
      number,
      number,
      number,
    ];
    const [down, up, requests] = await Promise.all([
      downBytes > 0
        ? transfers.download(
            downBytes * 1e6,
            timeoutSeconds(downBytes * 1e6, Number(values['reply-rate']) * 2048, scenario),
          )
        : undefined,
      upBytes > 0
        ? transfers.upload(upBytes * 1e6, timeoutSeconds(upBytes * 1e6, Number(values.rate) * 1200, scenario))
        : undefined,
      count > 0
        ? shortRequests(transfers, count, {
            atOnce: REQUESTS_AT_ONCE,
            timeoutSeconds: REQUEST_SECONDS + (scenario.sleepSeconds ?? 0),
          })
        : undefined,
    ]);
    const troubles = (await trouble?.end()) ?? 0;
    clearInterval(watcher);
    const growthMb = { proxy: memory('proxy-1') - before.proxy, requester: memory('requester-1') - before.requester };
    return { down, up, requests, troubles, growthMb };
  });
}

function watch(network: TestNetwork): NodeJS.Timeout | undefined {
  if (values.status === undefined) return undefined;
  const startMs = performance.now();
  return setInterval(async () => {
    const status = await network.status().catch(() => undefined);
    const { gateway, sessions = [], surbs, rates, epoch } = status ?? {};
    const of = sessions.map((one) => `${one.state} ${Math.round(one.roundTripMs)} ms loss ${one.lossRatio}`).join(', ');
    print(
      `${((performance.now() - startMs) / 1000).toFixed(0)} s epoch ${epoch} ${gateway?.name} ${gateway?.link}; ${of}; ` +
        `delivered ${sessions.reduce((sum, one) => sum + one.bytesDelivered, 0)}, sent ` +
        `${sessions.reduce((sum, one) => sum + one.bytesSent, 0)}; stock ${surbs?.stock}/${surbs?.target}; ` +
        `main ${rates?.main.measured}, reply ${rates?.reply.measured}`,
    );
  }, Number(values.status) * 1000);
}

const transferText = (transfer: Transfer | undefined): string => {
  if (transfer === undefined) return '-';
  const rate = `${(transfer.bytes / 1e6).toFixed(0)} MB ${Math.round(transfer.bytes / transfer.seconds / 1000)} kB/s`;
  return transfer.fault === '' ? rate : `${transfer.fault} after ${transfer.seconds.toFixed(0)} s`;
};

function requestsText(requests: ShortRequests | undefined): string[] {
  if (requests === undefined) return ['-', '-', '-', '-'];
  const { answered, failed, corrupted, hung, medianSeconds, maxSeconds } = requests;
  const times = `${medianSeconds.toFixed(1)} / ${maxSeconds.toFixed(1)} s`;
  return [`${answered}`, `${failed}`, `${corrupted + hung}`, times];
}

const HEAD = ['scenario', 'down', 'up', 'answered', 'refused', 'wrong or hung', 'median / max', 'troubles'];
const rows = [[...HEAD, 'proxy MB', 'requester MB']];
let sound = true;
for (const name of values.scenario ?? Object.keys(SCENARIOS)) {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) throw new Error(`there are ${Object.keys(SCENARIOS).join(', ')}, but not ${name}`);
  const { down, up, requests, troubles, growthMb } = await run(scenario);
  const resets = scenario.resetsStreams === true;
  const broken = [down, up].some((one) => one !== undefined && one.fault !== '');
  sound &&= (resets || !broken) && (requests === undefined || requests.corrupted + requests.hung === 0);
  rows.push([
    name,
    transferText(down),
    transferText(up),
    ...requestsText(requests),
    `${troubles}`,
    growthMb.proxy.toFixed(0),
    growthMb.requester.toFixed(0),
  ]);
  print(table(rows));
  for (const error of requests?.errors ?? []) print(`  ${name}: ${error}`);
}
process.exitCode = sound ? 0 : 1;
