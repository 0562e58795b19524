import { availableParallelism, loadavg } from 'node:os';
import t from 'tap';
import { clientFrameBytes, DEFAULT_PARAMS, packetBytes, type TrafficClass } from '../../lib/core/params.ts';
import { judge, type Row, ratesOf } from '../../research/probe/judge.ts';
import { gapsOf } from '../../research/probe/statistics.ts';
import type { RecordReader } from '../support/link-fixtures.ts';
import { until } from '../support/localnet.ts';
import { type ObservedNetwork, observeNetwork } from '../support/observed-network.ts';
import { curl, patternSha256, sha256, startWeb } from '../support/web.ts';

const APPLICATION_DATA = 23;
/** TLS 1.3 (RFC 8446 section 5.2): a record is the fragment, its content type and the tag of the cipher. */
const TLS_EXPANSION_BYTES = 17;
/** Encrypted handshake messages look like application records: EncryptedExtensions to Finished, at most one each. */
const HANDSHAKE_RECORDS = 9;

const { payloadBytes } = DEFAULT_PARAMS;
const NODE_RECORD = packetBytes(payloadBytes) + TLS_EXPANSION_BYTES;
const CLIENT_RECORD = clientFrameBytes(payloadBytes) + TLS_EXPANSION_BYTES;

/** The distinct sizes from the first frame on, and how many records came before it. */
function afterHandshake({ records }: RecordReader): { before: number; sizes: number[]; frames: number } {
  const before = records.findIndex(({ bytes }) => bytes === NODE_RECORD || bytes === CLIENT_RECORD);
  const frames = records.slice(before);
  const alerts = frames.filter(({ type }) => type !== APPLICATION_DATA);
  return { before, sizes: [...new Set([...frames, ...alerts].map(({ bytes }) => bytes))], frames: frames.length };
}

/** Frames per direction and condition: three seconds of departures. */
const FRAMES = 170;
/** Longer than the frames take to be recorded. */
const DOWNLOAD_BYTES = 600_000;
/** Generous: a test shares its machine. `research/probe` is for the rest. */
const SMOKE_BOUNDS = { maxDistance: 0.2, minP: 1e-7, maxCorrelation: 0.4 };

/** What disturbs a recording passes; what is wrong with a build does not. */
const ATTEMPTS = 3;
/** With more than this many programs per processor that want to run, nobody keeps a clock. */
const BUSY_LOAD = 3;

interface ProxyGaps {
  readonly departures: readonly number[];
  readonly arrivals: readonly number[];
}

/** Times between frames on the proxy's link from now on: of all clients it is sent the most, since its gateway pads. */
async function gapsOfProxy({ links }: ObservedNetwork): Promise<ProxyGaps> {
  const { upTimes, downTimes } = links.reduce((a, b) => (a.downTimes.length >= b.downTimes.length ? a : b));
  const [up, down] = [upTimes.length, downTimes.length];
  await until('frames are recorded', 60_000, () => upTimes.length - up > FRAMES);
  return { departures: gapsOf(upTimes.slice(up)), arrivals: gapsOf(downTimes.slice(down)) };
}

function judgeAll(idle: ProxyGaps, busy: ProxyGaps): Row[] {
  const rates = ratesOf(DEFAULT_PARAMS.classes.standard as TrafficClass);
  return (['departures', 'arrivals'] as const).flatMap((direction) => {
    const flow = `proxy ${direction}` as const;
    const common = { flow, setRate: rates[flow], idleGapsMs: idle[direction], resolutionMs: 0 };
    return [
      judge({ ...common, condition: 'idle', gapsMs: idle[direction] }, SMOKE_BOUNDS),
      judge({ ...common, condition: 'downloading', gapsMs: busy[direction] }, SMOKE_BOUNDS),
    ];
  });
}

/** The probe in small: it would see a proxy that sends more when it is used, or replies that come as data does. */
async function recordClocks(network: ObservedNetwork, download: () => Promise<unknown>): Promise<Row[]> {
  let rows: Row[] = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const idle = await gapsOfProxy(network);
    const loading = download();
    rows = judgeAll(idle, await gapsOfProxy(network));
    await loading;
    if (rows.every(({ holds }) => holds)) break;
  }
  return rows;
}

t.test('an observer of every link sees records of one size on each, and nothing to read', async (t) => {
  const web = await startWeb(t);
  const needles = ['GET /bytes', 'hello through', 'HTTP/1.1', new URL(web.url).host];
  const seen = new Set<string>();
  const network = await observeNetwork(t, (chunk) => {
    const text = chunk.toString('latin1');
    for (const needle of needles) if (text.includes(needle)) seen.add(needle);
  });

  const page = await curl(network.socks, [`${web.url}/`]);
  t.equal(page.body.toString(), 'hello through the mixnet\n');
  const rows = await recordClocks(network, async () => {
    const download = await curl(network.socks, [`${web.url}/bytes/${DOWNLOAD_BYTES}`]);
    t.equal(sha256(download.body), patternSha256(DOWNLOAD_BYTES));
  });
  // Observed while it runs: the close itself is a TLS alert, which is no frame.
  const links = network.links.map(({ to, up, down }) => ({ to, up: afterHandshake(up), down: afterHandshake(down) }));
  await network.stop();
  const busy = (loadavg()[0] ?? 0) > BUSY_LOAD * availableParallelism();
  for (const { holds, flow, condition, rate, distance, correlation, p } of rows) {
    const found = JSON.stringify({ rate, distance, correlation, p });
    if (holds || !busy) t.ok(holds, `${flow}, ${condition}: ${found}`);
    else t.pass(`${flow}, ${condition}`, { skip: 'the machine is too busy to keep clocks' });
  }
  t.strictSame([...seen], [], 'no byte of requests, answers or addresses in clear');
  // A link on which a gateway was only asked for its countersignature has a hello, and the alert that closes it.
  const used = links.filter(({ up }) => up.frames > 2);
  const dialled = used.map(({ to }) => to.replace(/-\d+$/, '')).sort();
  t.strictSame(dialled, [...Array(5).fill('gateway'), 'mix-1', 'mix-1', 'mix-2', 'mix-3'], 'every pair');
  for (const { to, up, down } of used) {
    t.equal(up.sizes.length, 1, `${to}: ${up.frames} records of ${up.sizes} bytes inbound`);
    t.strictSame(down.sizes, up.sizes, `${to}: ${down.frames} of the same size outbound`);
    t.ok(up.before <= HANDSHAKE_RECORDS && down.before <= HANDSHAKE_RECORDS, 'nothing else but the handshake');
  }
  t.equal(
    used.filter(({ up }) => up.sizes[0] === CLIENT_RECORD).length,
    3,
    'the proxy is a client, and the requester is one twice',
  );
});
