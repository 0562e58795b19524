/**
 * Throughput over `mixsocks localnet` against its law: `npx tsx bench/throughput.ts [options]` (build first).
 *
 *   --setting L    rate:replyRate[:steady|burst], e.g. 50:100 or 50:100:burst; may be given again (default: a series)
 *   --seconds N    how long each transfer takes if it keeps the law (default 20)
 *   --only WHAT    down, up or both; may be given again (default: all three)
 *   --flag F       another flag of localnet, e.g. --flag --packet-size=8192; may be given again
 *
 * The law: steady, a download has every reply slot; burst, each main slot can carry reply blocks for five replies; an
 * upload has every main slot, less the reply blocks that the steady downlink uses up. In burst mode both at once share the
 * main slots, so each has half of its law. All in payloads of 2048 bytes or what the network has, so a ratio of 1 cannot be
 * reached: frames have headers. Processor time tells who was at the limit.
 * @module
 */
import { parseArgs } from 'node:util';
import { TestNetwork } from '../test/support/localnet.ts';
import { type Transfer, Transfers } from '../test/support/transfers.ts';
import { startWeb } from '../test/support/web.ts';
import { measureUse, type Use } from './processor.ts';
import { inScope, print, table } from './scope.ts';

const SERIES = ['50:100', '50:100:burst', '100:200', '200:500', '400:1000', '800:2000'];
/** A compact reply block with its share of a frame. */
const SURB_BYTES = 374;
/** A transfer is given up after this many times its lawful duration. */
const TIMEOUT_FACTOR = 6;

interface Setting {
  readonly rate: number;
  readonly replyRate: number;
  readonly downlink: string;
}

const { values } = parseArgs({
  options: {
    setting: { type: 'string', multiple: true },
    seconds: { type: 'string', default: '20' },
    only: { type: 'string', multiple: true },
    flag: { type: 'string', multiple: true },
  },
});

function parseSetting(text: string): Setting {
  const [rate, replyRate, downlink = 'steady'] = text.split(':');
  return { rate: Number(rate), replyRate: Number(replyRate), downlink };
}

/** Bytes per second of payload that the clocks allow, alone. */
function lawOf({ rate, replyRate, downlink }: Setting, payloadBytes: number): { down: number; up: number } {
  const steady = downlink === 'steady';
  const blocksPerPacket = Math.floor((payloadBytes - 64) / SURB_BYTES);
  const replies = steady ? replyRate : rate * blocksPerPacket;
  // Uploading in burst mode, one block rides along in each packet: acknowledgements need few.
  const blocks = steady ? replyRate : rate;
  return { down: replies * payloadBytes, up: rate * payloadBytes - blocks * SURB_BYTES };
}

async function measure(setting: Setting): Promise<string[][]> {
  const { rate, replyRate, downlink } = setting;
  const flags = ['--rate', `${rate}`, '--reply-rate', `${replyRate}`, '--downlink', downlink, ...(values.flag ?? [])];
  return inScope(async (scope) => {
    const web = await startWeb(scope);
    const network = await TestNetwork.start(scope, flags);
    const transfers = new Transfers(scope, network.socks, web);
    const { payloadBytes } = (await network.status()).network;
    const law = lawOf(setting, payloadBytes ?? 2048);
    await transfers.download(20_000, 60); // wakes everything up
    const seconds = Number(values.seconds);
    const timeout = TIMEOUT_FACTOR * seconds;
    const down = (share = 1) => transfers.download(Math.ceil(law.down * seconds * share), timeout);
    const up = (share = 1) => transfers.upload(Math.ceil(law.up * seconds * share), timeout);
    const pids = network.ready.nodes.map((node) => node.pid);
    const rows: string[][] = [];
    const run = async (what: string, work: () => Promise<Transfer[]>) => {
      if (values.only !== undefined && !values.only.includes(what)) return;
      const use = measureUse(pids);
      const done = await work();
      const used = use();
      const { rates } = await network.status();
      for (const [i, transfer] of done.entries()) {
        const direction = what === 'both' ? (['down', 'up'] as const)[i] : (what as 'down' | 'up');
        const lawful = what === 'both' && downlink === 'burst' ? { down: law.down / 2, up: law.up / 2 } : law;
        rows.push(row(setting, what, direction ?? 'down', transfer, lawful, used, rates.main.measured, network));
      }
    };
    await run('down', async () => [await down()]);
    await run('up', async () => [await up()]);
    await run('both', () => Promise.all([down(), up(0.5)]));
    return rows;
  });
}

function row(
  { rate, replyRate, downlink }: Setting,
  what: string,
  direction: 'down' | 'up',
  { bytes, seconds, fault }: Transfer,
  law: { down: number; up: number },
  use: Use,
  mainMeasured: number,
  network: TestNetwork,
): string[] {
  const { nodes } = network.ready;
  const cores = (role: string) =>
    Math.max(...nodes.map((node, i) => (node.role === role ? (use.cores[i] ?? 0) : 0))).toFixed(2);
  const perSecond = bytes / seconds;
  return [
    `${rate}:${replyRate} ${downlink}`,
    what === 'both' ? `${direction} (both)` : direction,
    (bytes / 1e6).toFixed(1),
    fault === '' ? seconds.toFixed(1) : fault,
    (perSecond / 1000).toFixed(0),
    (law[direction] / 1000).toFixed(0),
    (perSecond / law[direction]).toFixed(2),
    mainMeasured.toFixed(0),
    cores('proxy'),
    cores('requester'),
    cores('gateway'),
    cores('mixnode'),
    `${use.othersCores.toFixed(2)}/${use.machineCores}`,
  ];
}

const HEAD = ['rates', 'what', 'MB', 's', 'kB/s', 'law', 'ratio', 'main/s'];
const rows = [[...HEAD, 'proxy', 'requester', 'gateway', 'mix', 'others']];
for (const text of values.setting ?? SERIES) {
  const measured = await measure(parseSetting(text));
  rows.push(...measured);
  print(table([rows[0] ?? [], ...measured]));
}
print(`\n${table(rows)}`);
print('The columns proxy to mix: cores used by the busiest process of the role; others: by the rest of the machine.');
