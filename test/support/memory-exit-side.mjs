/**
 * What happens to an exit at which a thousand downloads stand still; run by test/system/memory.test.ts in a cgroup of its own:
 * `node memory-exit-side.mjs BUDGET_MIB PORT PORT`, with the ports of a site that sends without end and of one that sends a file.
 * `none` for the budget switches it off. Prints what it has found as JSON.
 *
 * Sessions, egress and sockets are those of the requester, as built; what the mixnet would carry is handed over here.
 * @module
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const lib = (path) => import(new URL(`../../dist/${path}.js`, import.meta.url).href);
const { systemClock: clock } = await lib('lib/core/clock');
const { systemRng: rng } = await lib('lib/core/rng');
const { silentLog: log } = await lib('lib/telemetry/log');
const { Metrics } = await lib('lib/telemetry/metrics');
const { processMemory } = await lib('lib/runtime/process-memory');
const { DelayLaws } = await lib('lib/core/delay-law');
const { SessionTable } = await lib('lib/session/requester/session-table');
const { ProxySession } = await lib('lib/session/proxy/proxy-session');
const { Egress } = await lib('network-requester/egress/egress');
const { PROTOCOL_VERSION, SURB_BYTES } = await lib('lib/transport/limits');
const { NOBODY } = await lib('lib/transport/wire/packet-builder');
const { beginUplink, decodeDownlink } = await lib('lib/transport/wire/payload');
const { FRAME } = await lib('lib/transport/wire/frames');
const { kindNumber } = await lib('lib/transport/wire/reasons');

const TCP = kindNumber('tcp');
const PAYLOAD_BYTES = 2048;
const TERMS = { delay: new DelayLaws({ meanDelayMs: 15, mixHops: 3 }) };
const SESSIONS = 4;
const STREAMS = 250;
const DOWNLOADS = 8;
const STILL_MS = 500;
const MOST_STILL = 20;
const [budgetMiB = '', endless, short] = process.argv.slice(2).map((text) => (text === 'none' ? text : Number(text)));

const metrics = new Metrics();
const memory = budgetMiB === 'none' ? undefined : processMemory(budgetMiB, clock, metrics);
const egress = new Egress({ components: { clock, log, metrics, memory }, allowPrivate: true });
const options = { rng, payloadBytes: PAYLOAD_BYTES, terms: () => TERMS, accept: egress.accept, memory };
const table = new SessionTable(options);

/** A session whose client opens downloads and then acknowledges nothing. It proves that it receives. */
class StalledSession {
  #id = rng.bytes(16);
  #number = 0;
  #session;

  async open(port) {
    this.#send((builder) => builder.hello(NOBODY, PROTOCOL_VERSION, new Uint8Array(0), 1 << 24, 1 << 22));
    for (const session of table.sessions()) this.#session = session;
    let reply;
    for (; reply === undefined; reply = this.#session.nextReply(clock.nowMs())) await sleep(10);
    const challenge = decodeDownlink(reply.plaintext).frames.find(({ type }) => type === FRAME.CHALLENGE).bytes;
    this.#send((builder) => builder.response(NOBODY, challenge));
    for (let n = 0; n < STREAMS; n++) {
      this.#send((builder) => builder.open(NOBODY, n, TCP, Buffer.from('127.0.0.1'), port));
    }
  }

  #send(write) {
    const builder = beginUplink(PAYLOAD_BYTES, this.#id, ++this.#number);
    write(builder);
    const blocks = Array.from({ length: 2 }, () => new Uint8Array(SURB_BYTES));
    builder.replyBlocks(NOBODY, 0, 600_000, blocks);
    table.receive(builder.bytes, clock.nowMs());
  }
}

/** Downloads over a session as a proxy has it; resolves with the bytes that came. */
async function download(port) {
  const proxy = new ProxySession(
    {
      rng,
      payloadBytes: PAYLOAD_BYTES,
      ...TERMS,
      mainRatePerSecond: 200,
      replyRatePerSecond: 1_000,
      downlink: 'burst',
      surbLifeMs: 560_000,
      ownPath: () => ({ loops: () => ({ seen: 0, lost: 0 }), usableShare: 1, avoidableFirstHops: 0 }),
      mintSurb: () => new Uint8Array(SURB_BYTES),
    },
    clock.nowMs(),
  );
  let received = 0;
  const ended = new Promise((resolve) => {
    const stream = proxy.open(
      { kind: 'tcp', host: '127.0.0.1', port },
      {
        onOpened: () => {},
        onRefused: resolve,
        onData: (bytes) => {
          received += bytes.byteLength;
          stream.consume(bytes.byteLength, clock.nowMs());
        },
        onFin: () => resolve('finished'),
        onReset: resolve,
        onDrain: () => {},
      },
      clock.nowMs(),
    );
  });
  let session;
  const pump = setInterval(() => {
    const nowMs = clock.nowMs();
    proxy.tick(nowMs);
    for (let n = 0; n < 20; n++) {
      const packet = proxy.fill(nowMs);
      if (packet === undefined) break;
      const before = new Set(table.sessions());
      session = table.receive(packet, nowMs) ?? [...table.sessions()].find((one) => !before.has(one)) ?? session;
    }
    session?.tick(nowMs);
    for (let n = 0; n < 40; n++) {
      const reply = session?.nextReply(nowMs);
      if (reply === undefined) break;
      proxy.receive(reply.plaintext, nowMs);
    }
  }, 5);
  const end = await Promise.race([ended, sleep(60_000, 'late')]);
  clearInterval(pump);
  return { end, received };
}

/** How often an owner of memory had to let go. */
const shed = () => memory?.kinds.reduce((sum, { shed }) => sum + shed, 0) ?? 0;

/** Bytes that the sites have sent so far. */
const bytesRead = () => [...table.sessions()].reduce((sum, session) => sum + session.stats().bytesQueued, 0);

const status = (field) =>
  1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))[1]);

const beforeBytes = status('VmHWM');
for (let n = 0; n < SESSIONS; n++) {
  await new StalledSession().open(endless);
  await sleep(300);
}
// Until nothing moves any more. A busy machine may stand still before others had to let go: it gets time to go on.
for (let before = -1, still = 0; still < (shed() > 0 ? 1 : MOST_STILL); await sleep(STILL_MS)) {
  still = before === bytesRead() ? still + 1 : 0;
  before = bytesRead();
}
const downloads = [];
for (let n = 0; n < DOWNLOADS; n++) downloads.push(await download(short));
const { active, opened, refused } = egress.counts();
const found = {
  beforeBytes,
  peakBytes: status('VmHWM'),
  fileBytes: status('RssFile'),
  budgetBytes: memory?.limitBytes ?? 0,
  usedBytes: memory?.usedBytes ?? 0,
  shed: shed(),
  active,
  opened,
  refused,
  downloads,
  cpuSeconds: process.cpuUsage().user / 1e6,
};
process.stdout.write(`${JSON.stringify(found)}\n`);
process.exit(0);
