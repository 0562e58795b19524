/** Benchmarks: medians and ratios, what failed stays failed, and a command line without surprises. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { bestOf, transferFigures } from '../../bench/e2e.ts';
import { measure } from '../../bench/harness/cpu-time.ts';
import { failure, figure, median, quantile, summarize } from '../../bench/harness/figure.ts';
import { lawOf } from '../../bench/harness/law.ts';
import { STANDARD } from '../../bench/harness/localnet.ts';
import { compare, runPaired } from '../../bench/harness/paired.ts';
import { hasFailures, jsonLine } from '../../bench/harness/report.ts';
import { startSite } from '../../bench/harness/site.ts';
import { download, upload } from '../../bench/harness/transfer.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUILD = { name: 'working tree', root: ROOT, main: `${ROOT}dist/cli/main.js` };
const quiet = () => {};

t.test('medians and quantiles lie between the values by proportion', async (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 2, 3]), 2.5);
  t.equal(quantile([0, 10], 0.9), 9);
  t.ok(Number.isNaN(median([])));
  t.match(figure('a', 'us', Number.NaN), { fault: 'not a number' });
});

t.test('a figure is the median of its runs, apart for each terms', async (t) => {
  const run = (a: number, b: number) => [
    figure('x', 'us', a, { size: 1, role: 'r' }),
    figure('x', 'us', b, { size: 2 }),
  ];
  const [first, second] = summarize([run(1, 10), run(5, 30), run(2, 20)]);
  t.match(first, { name: 'x', value: 2, runs: 3, failed: 0, terms: { size: 1 } });
  t.match(second, { value: 20, terms: { size: 2 } });
});

t.test('a run without a value is counted, and gives none', async (t) => {
  const [partly] = summarize([[figure('x', 's', 4)], [failure('x', 's', 'refused')], [figure('x', 's', 6)]]);
  t.match(partly, { value: 5, runs: 3, failed: 1, fault: 'refused' });
  const [never] = summarize([[failure('x', 's', 'refused')]]);
  t.match(never, { value: null, runs: 1, failed: 1 });
  t.ok(partly !== undefined && hasFailures([partly]));
});

t.test('a ratio is the median of the ratios within each round', async (t) => {
  const runs = (values: readonly number[]) => values.map((value) => [figure('x', 'us', value)]);
  // The machine was ten times slower in the second round, for both.
  const [result] = compare(runs([2, 20, 3]), runs([4, 40, 4]));
  t.equal(result?.ratio, 0.5);
  t.match(result, { value: 3, against: { value: 4 } });
  const [gone] = compare(runs([1]), [[failure('x', 'us', 'ended')]]);
  t.match(gone, { value: 1, ratio: null, against: { value: null, fault: 'ended' } });
  t.ok(gone !== undefined && hasFailures([gone]), 'a failure of the other build is one');
  const [lone] = compare([[]], runs([7]));
  t.match(lone, { value: null, against: { value: 7 } });
});

t.test('two builds are run in turn, with the limit beside them; a run that throws is a failure', async (t) => {
  const order: string[] = [];
  const against = { ...BUILD, name: 'other' };
  const results = await runPaired(
    async ({ name }) => {
      order.push(name);
      if (order.length === 3) throw new Error('it did not start\n  at a line of code');
      return [figure('x', 'us', name === 'other' ? 2 : 1)];
    },
    { name: 'test', rounds: 2, build: BUILD, against, say: quiet, quick: true },
  );
  t.same(order, ['working tree', 'other', 'working tree', 'other']);
  t.match(results[0], { name: 'limit.scalarmult', runs: 8, failed: 0 });
  t.ok((results[0]?.value ?? 0) > 0);
  t.match(results[1], { name: 'x', value: 1, ratio: 0.5 });
  t.match(results[2], { name: 'test', value: null, failed: 1, fault: 'it did not start' });
});

t.test('what is slow is measured a few times, however many rounds there are', async (t) => {
  let runs = 0;
  const slow = () => {
    runs += 1;
    const { user, system } = process.cpuUsage();
    while (process.cpuUsage({ user, system }).user < 20_000);
  };
  const times = measure([{ name: 'slow', run: slow }], { rounds: 25, roundMs: 1 });
  t.equal(runs, 4, 'once to see that it is slow, and three rounds');
  t.ok((times.get('slow') ?? 0) >= 20_000);
});

t.test('a line of JSON has the figure, its terms and the limit', async (t) => {
  const [summary] = summarize([[figure('sphinx.unwrap', 'us', 90, { backend: 'native', packetSize: 2048 })]]);
  t.ok(summary);
  if (summary === undefined) return;
  t.same(JSON.parse(jsonLine(summary, 30)), {
    name: 'sphinx.unwrap',
    value: 90,
    unit: 'us',
    backend: 'native',
    packetSize: 2048,
    runs: 1,
    limit: 30,
    limits: 3,
  });
});

t.test('the law: each slot has a payload, less what reply blocks take', async (t) => {
  t.same(lawOf(STANDARD), { down: 100 * 2048, up: 50 * 2048 - 100 * 374 });
  t.equal(lawOf({ ...STANDARD, downlink: 'burst' }).down, 50 * 5 * 2048);
});

/** A SOCKS front that passes on at most `most` bytes from the site, and then ends the connection. */
async function startFront(t: Test, most = Number.POSITIVE_INFINITY): Promise<string> {
  const server = createServer((inward) => void serveSocks(inward, most).catch(() => inward.destroy()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function serveSocks(inward: Socket, most: number): Promise<void> {
  await once(inward, 'data');
  inward.write(Buffer.from([5, 0]));
  const [request] = (await once(inward, 'data')) as [Buffer];
  const outward = connect(request.readUInt16BE(8), '127.0.0.1');
  await once(outward, 'connect');
  inward.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
  inward.pipe(outward);
  let left = most;
  outward.on('data', (part: Buffer) => {
    inward.write(part.subarray(0, left));
    left -= part.byteLength;
    if (left <= 0) inward.end();
  });
  outward.on('end', () => inward.end()).on('error', () => inward.destroy());
  inward.on('close', () => outward.destroy()).on('error', () => outward.destroy());
}

t.test('a transfer that came whole has a duration', async (t) => {
  const { port } = await startSite(t);
  const ends = { socks: await startFront(t), sitePort: port };
  t.ok('seconds' in (await download(ends, 200_000, 30, 'a')));
  t.ok('seconds' in (await upload(ends, 200_000, 30, 'a')));
});

t.test('of a transfer that takes too long, what has come by then counts', async (t) => {
  const { port } = await startSite(t);
  const ends = { socks: await startFront(t), sitePort: port };
  for (const move of [download, upload]) {
    const transfer = await move(ends, 1e12, 30, 'a', 0);
    t.ok('seconds' in transfer && transfer.bytes > 0 && transfer.bytes < 1e9, JSON.stringify(transfer));
  }
});

t.test('the best of all rates is one figure for each direction and packet size', async (t) => {
  const at = (name: string, rate: number, packetSize: number, value: number) =>
    figure(name, 'kB/s', value, { rate, packetSize });
  const figures = bestOf([
    at('e2e.download', 50, 2048, 10),
    at('e2e.download', 90, 2048, 30),
    at('e2e.download', 99, 2048, 20),
    at('e2e.download', 50, 8192, 25),
    at('e2e.upload', 50, 2048, 5),
    failure('e2e.download', 'kB/s', 'not done', { rate: 100, packetSize: 2048 }),
    figure('e2e.download.share', 'ratio', 99, { packetSize: 2048 }),
  ]);
  t.strictSame(figures, [
    figure('e2e.download.best', 'kB/s', 30, { packetSize: 2048 }),
    figure('e2e.download.best', 'kB/s', 25, { packetSize: 8192 }),
    figure('e2e.upload.best', 'kB/s', 5, { packetSize: 2048 }),
  ]);
});

t.test('a transfer that failed has a reason and no duration, and its figure no value', async (t) => {
  const { port } = await startSite(t);
  const cut = await download({ socks: await startFront(t, 5000), sitePort: port }, 200_000, 30, 'a');
  t.match(cut, { fault: /of 200000 bytes came/ });
  t.notOk('seconds' in cut);
  const closed = await download({ socks: '127.0.0.1:1', sitePort: port }, 1000, 30, 'a');
  t.match(closed, { fault: /ECONNREFUSED/ });
  const figures = transferFigures('e2e.download', closed, 1000, STANDARD, new Map([['proxy', 1]]));
  t.match(figures, [{ name: 'e2e.download', fault: /ECONNREFUSED/ }]);
  t.equal(figures.length, 1, 'no speed, no cost');
});

t.test('a front that never answers is a transfer that failed, and ends nothing else', async (t) => {
  const silent = createServer((socket) => t.teardown(() => socket.destroy()));
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  t.match(await download({ socks: `127.0.0.1:${port}`, sitePort: 1 }, 1000, 0.2, 'a'), { fault: /./ });
});
