/**
 * Streams beside each other over `mixsocks localnet`: `npx tsx bench/streams.ts [options]` (build first).
 *
 *   --what W          `small`: a request of 1 kB alone and beside eight bulk downloads; `stopped`: an application that
 *                     stops reading a download of 1 GB; may be given again (default: both)
 *   --stopped S       for how many seconds it stops (default 60)
 *   --rate N, --reply-rate N, --downlink D   of the network (default 50, 100, steady)
 *
 * Exits with 1 when the request takes more than three times as long, when resident memory grows by 64 MB or more, when
 * the download does not go on or a byte is wrong, or when 2 % of the packets or more were sent again for nothing.
 * @module
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { SocksClient } from 'socks';
import { type Scope, TestNetwork } from '../test/support/localnet.ts';
import { Transfers } from '../test/support/transfers.ts';
import { patternChunks, startWeb, type TestWeb } from '../test/support/web.ts';
import { residentBytes } from './processor.ts';
import { inScope, print } from './scope.ts';

const { values } = parseArgs({
  options: {
    what: { type: 'string', multiple: true, default: ['small', 'stopped'] },
    stopped: { type: 'string', default: '60' },
    rate: { type: 'string', default: '50' },
    'reply-rate': { type: 'string', default: '100' },
    downlink: { type: 'string', default: 'steady' },
  },
});

const BULK_STREAMS = 8;
const REQUESTS = 25;
const MAX_SLOWDOWN = 3;
const HUGE_BYTES = 1e9;
/** Read before the stop, and once more after it. */
const READ_BYTES = 8e6;
const READ_SECONDS = 300;
const MAX_GROWTH_MB = 64;
const MAX_SPURIOUS_SHARE = 0.02;

/** Reads a response body of the pattern at the application's pace, and checks it. */
class PatternReader {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #expected: Iterator<Buffer>;
  #ahead: Buffer = Buffer.alloc(0);
  #inHead = true;

  constructor(socket: Socket, bytes: number, seed: string) {
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#expected = patternChunks(bytes, seed);
  }

  /** Reads at least `bytes` more. Throws when the stream ends or a byte is wrong. */
  async read(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) {
      const { value, done } = await this.#chunks.next();
      if (done) throw new Error('the stream ended early');
      const body = this.#inHead ? this.#skipHead(value) : value;
      if (!body.equals(this.#take(body.byteLength))) throw new Error('wrong bytes');
      left -= body.byteLength;
    }
  }

  #skipHead(chunk: Buffer): Buffer {
    const end = chunk.indexOf('\r\n\r\n');
    if (end < 0) throw new Error('no response');
    this.#inHead = false;
    return chunk.subarray(end + 4);
  }

  #take(bytes: number): Buffer {
    const parts = [this.#ahead];
    for (let have = this.#ahead.byteLength; have < bytes; have += parts.at(-1)?.byteLength ?? 0) {
      parts.push(this.#expected.next().value as Buffer);
    }
    const all = Buffer.concat(parts);
    this.#ahead = all.subarray(bytes);
    return all.subarray(0, bytes);
  }
}

async function openDownload(scope: Scope, network: TestNetwork, web: TestWeb, seed: string): Promise<PatternReader> {
  const [host = '', port] = network.socks.split(':');
  const { socket } = await SocksClient.createConnection({
    proxy: { host, port: Number(port), type: 5 },
    command: 'connect',
    destination: { host: '127.0.0.1', port: web.port },
  });
  scope.teardown(() => socket.destroy());
  socket.write(`GET /bytes/${HUGE_BYTES}?${seed} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  return new PatternReader(socket, HUGE_BYTES, seed);
}

/** Median seconds of a request of 1 kB. */
async function requestSeconds(transfers: Transfers): Promise<number> {
  const seconds: number[] = [];
  for (let i = 0; i < REQUESTS; i++) {
    const { fault, seconds: taken } = await transfers.download(1000, 60, `small-${i}`);
    if (fault !== '') throw new Error(fault);
    seconds.push(taken);
  }
  return seconds.sort((a, b) => a - b)[REQUESTS >> 1] as number;
}

async function small(scope: Scope, network: TestNetwork, web: TestWeb): Promise<boolean> {
  const transfers = new Transfers(scope, network.socks, web);
  const alone = await requestSeconds(transfers);
  for (let i = 0; i < BULK_STREAMS; i++) {
    const bulk = await openDownload(scope, network, web, `bulk-${i}`);
    void bulk.read(HUGE_BYTES).catch(() => {}); // goes on until the network ends
  }
  await sleep(5_000);
  const beside = await requestSeconds(transfers);
  const ratio = beside / alone;
  print(
    `1 kB: ${(1000 * alone).toFixed(0)} ms alone, ${(1000 * beside).toFixed(0)} ms beside ${BULK_STREAMS} downloads`,
  );
  return ratio < MAX_SLOWDOWN;
}

async function stopped(scope: Scope, network: TestNetwork, web: TestWeb): Promise<boolean> {
  const reader = await openDownload(scope, network, web, 'huge');
  const within = async (work: Promise<void>) => {
    await Promise.race([work, sleep(1000 * READ_SECONDS).then(() => Promise.reject(new Error('it does not go on')))]);
  };
  await within(reader.read(READ_BYTES));
  const names = ['proxy-1', 'requester-1'];
  const memory = () => names.map((name) => residentBytes(network.node(name).pid) / 1e6);
  const before = memory();
  const growth = before.map(() => 0);
  for (let second = 0; second < Number(values.stopped); second++) {
    await sleep(1000);
    for (const [i, now] of memory().entries()) growth[i] = Math.max(growth[i] ?? 0, now - (before[i] ?? 0));
  }
  await within(reader.read(READ_BYTES));
  const text = names.map((name, i) => `${name} ${(growth[i] ?? 0).toFixed(0)} MB`).join(', ');
  print(`stopped for ${values.stopped} s: resident memory grew by ${text} at most; then it went on, every byte right`);
  return growth.every((mb) => mb < MAX_GROWTH_MB);
}

/** Share of the packets with data that were given up and acknowledged all the same, at both ends. */
async function spurious(network: TestNetwork): Promise<boolean> {
  let sound = true;
  for (const name of ['proxy-1', 'requester-1']) {
    const count = (event: string) => network.metric(name, 'mixsocks_session_packets_total', { event });
    const [sent, lost, late] = [await count('sent'), await count('lost'), await count('spurious')];
    const share = late / Math.max(1, sent);
    print(`${name}: ${sent} packets sent, ${lost} given up, ${(100 * share).toFixed(2)} % for nothing`);
    sound &&= share < MAX_SPURIOUS_SHARE;
  }
  return sound;
}

const flags = ['--rate', values.rate, '--reply-rate', values['reply-rate'], '--downlink', values.downlink];
let sound = true;
for (const what of values.what) {
  const work = { small, stopped }[what];
  if (work === undefined) throw new Error(`--what is small or stopped, not ${what}`);
  await inScope(async (scope) => {
    const web = await startWeb(scope);
    const network = await TestNetwork.start(scope, flags);
    sound = (await work(scope, network, web)) && sound;
    sound = (await spurious(network)) && sound;
  });
}
process.exitCode = sound ? 0 : 1;
