/** Two ends of different versions: the session is refused, and both ends say in one line which versions met. */

import t from 'tap';
import { DelayLaws } from '../../lib/core/delay-law.ts';
import type { Topology } from '../../lib/directory/index.ts';
import { type Reply, SessionTable } from '../../lib/session/index.ts';
import { RequesterHub } from '../../lib/session/requester/requester-hub.ts';
import { MISMATCH_LINE_PERIOD_MS } from '../../lib/session/versions.ts';
import { type Log, silentLog } from '../../lib/telemetry/log.ts';
import { FRAME, type Frame } from '../../lib/transport/wire/frames.ts';
import { NOBODY } from '../../lib/transport/wire/packet-builder.ts';
import { beginDownlink, decodeDownlink, decodeUplink } from '../../lib/transport/wire/payload.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { HandLane } from '../support/sim/hand-lane.ts';
import { HubWorld } from '../support/sim/hub-world.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const PAYLOAD_BYTES = 2048;
const NO_ACCOUNT = { received: 0, used: 0, expired: 0, evicted: 0, demandBytes: 0 };

/** A log that keeps what is said at `warn`. */
function listeningLog(): { readonly log: Log; readonly lines: string[]; readonly fields: object[] } {
  const lines: string[] = [];
  const fields: object[] = [];
  const warn = (field: object, line: string) => {
    fields.push(field);
    lines.push(line);
  };
  return { log: { ...silentLog, warn, child: () => silentLog }, lines, fields };
}

/** The first packet of a proxy: HELLO of `version` as version 1 wrote it, RATE, and SURBS with one block, byte by byte. */
function firstPacket(version: number, session = 7, rest: readonly number[] = []): Uint8Array {
  const plaintext = new Uint8Array(PAYLOAD_BYTES);
  const hello = [0x03, version, 0x00, 0x80, 0x10, 0x00, 0x00, 0x80, 0x04, 0x00, 0x00];
  const rate = [0x10, 0x80, 0x01, 0x86, 0xa0];
  const surbs = [0x0f, 0x00, 0x80, 0x08, 0x8b, 0x80, 0x01, ...new Array(372).fill(0xee)];
  plaintext.set([...new Array(16).fill(session), 0x01, ...hello, ...rate, ...surbs, ...rest]);
  return plaintext;
}

function requester(log: Log) {
  const clock = new VirtualClock();
  const lanes: HandLane[] = [];
  const hub = new RequesterHub({
    components: { clock, rng: seededRng(1), log },
    endpoint: {
      topology: {
        params: { meanDelayMs: 1, payloadBytes: PAYLOAD_BYTES, epochMs: 3_600_000, classes: {} },
      } as unknown as Topology,
      linkState: 'up',
      laws: new DelayLaws({ meanDelayMs: 1, mixHops: 3 }),
      surbUsable: () => true,
      addLane: (options) => {
        const lane = new HandLane(options);
        lanes.push(lane);
        return lane;
      },
      addFeeder() {},
      onTopology() {},
      sealReply: (_surb, plaintext) => ({ firstHop: new Uint8Array(32), packet: plaintext }),
    },
    accept: () => ({ onData() {}, onFin() {}, onReset() {}, onDrain() {} }),
  });
  hub.start();
  /** What it sends in answer to `plaintext`. */
  const answer = async (plaintext: Uint8Array): Promise<readonly Frame[] | undefined> => {
    hub.receive(plaintext);
    await Promise.resolve(); // the end of the turn, when lanes are filled
    clock.advance(0);
    const frame = lanes[0]?.tick();
    return frame === undefined ? undefined : decodeDownlink(frame.packet)?.frames;
  };
  return { hub, clock, answer };
}

t.test('a requester refuses a proxy of another version, and its log names both', async (t) => {
  for (const version of [0, 1, 2, 4, 63]) {
    const { log, lines, fields } = listeningLog();
    const { hub, answer } = requester(log);
    const frames = await answer(firstPacket(version));
    t.equal(hub.sessions().length, 0);
    t.same(frames?.[0], { type: FRAME.CLOSE, reason: 6 }, 'an old proxy reads CLOSE and stops there');
    t.match(frames?.[1], { type: FRAME.HELLO, version: 3, sessionWindow: 0, streamWindow: 0 }, 'a new one reads on');
    t.match(lines, [new RegExp(`the proxy speaks version ${version} .* the requester version 3;`)]);
    t.same(fields, [{ proxyVersion: version, requesterVersion: 3 }], 'and nothing about whose session it was');
    await hub.stop();
  }
});

t.test('a proxy of the same version is served, and nothing is said', async (t) => {
  const { log, lines } = listeningLog();
  const { hub, answer } = requester(log);
  await answer(firstPacket(3));
  t.equal(hub.sessions().length, 1);
  t.same(lines, []);
  await hub.stop();
});

t.test('a HELLO of another version counts even if nothing else in its packet can be read', async (t) => {
  const { log, lines } = listeningLog();
  const { hub, answer } = requester(log);
  t.equal(await answer(firstPacket(9, 7, [0x3f, 0x01])), undefined, 'nor can the block be trusted to be one');
  t.match(lines, [/version 9 .* version 3/]);
  t.equal(hub.sessions().length, 0);
  await hub.stop();
});

t.test('however many are refused, there is one line a minute', async (t) => {
  const { log, lines } = listeningLog();
  const { hub, clock, answer } = requester(log);
  for (let session = 1; session <= 50; session++) await answer(firstPacket(1, session));
  t.equal(lines.length, 1);
  clock.advance(MISMATCH_LINE_PERIOD_MS);
  await answer(firstPacket(1, 51));
  t.equal(lines.length, 2);
  await hub.stop();
});

/** A requester that refuses every HELLO for its version; `version` is what it names, nothing for one of version 1. */
class OtherRequester extends SessionTable {
  readonly #answers: Reply[] = [];

  constructor(readonly version: number | undefined) {
    const delay = new DelayLaws({ meanDelayMs: 1, mixHops: 3 });
    const accept = () => ({ onData() {}, onFin() {}, onReset() {}, onDrain() {} });
    super({ rng: seededRng(2), payloadBytes: PAYLOAD_BYTES, terms: () => ({ delay }), accept });
  }

  override receive(plaintext: Uint8Array): undefined {
    const surbs = decodeUplink(plaintext)?.frames.find((frame) => frame.type === FRAME.SURBS);
    const surb372 = surbs?.blocks[0];
    if (surb372 === undefined) return;
    const builder = beginDownlink(PAYLOAD_BYTES, 2 ** 40, NO_ACCOUNT);
    builder.close(NOBODY, 6);
    if (this.version !== undefined) builder.hello(NOBODY, this.version, new Uint8Array(0), 0, 0);
    this.#answers.push({ surb372, plaintext: builder.bytes });
  }

  override nextAnswer(): Reply | undefined {
    return this.#answers.shift();
  }
}

t.test('a proxy that is refused for its version says which versions met', async (t) => {
  for (const version of [undefined, 1, 3]) {
    const { log, lines } = listeningLog();
    const world = new HubWorld({ log });
    world.tables.set('r0', new OtherRequester(version));
    const asked = await world.open('a.example');
    world.run(10_000);
    t.match(lines, [new RegExp(`the proxy speaks version 3 .* the requester version ${version ?? 1};`)], 'once');
    t.notOk(world.hub.ready);
    t.match(world.hub.versionMismatch, /version 3 /, 'for the status, too');
    t.notOk(asked.opened);
    world.run(MISMATCH_LINE_PERIOD_MS);
    t.equal(lines.length, 2, 'and again after a minute of trying');
    await world.hub.stop();
  }
});

const [THIS, BOTH, NEXT] = [
  { lowest: 3, highest: 3 },
  { lowest: 3, highest: 4 },
  { lowest: 4, highest: 4 },
];

/** The versions in the HELLOs that reach `table`. */
function versionsSeen(table: SessionTable): Set<number> {
  const seen = new Set<number>();
  const receive = table.receive.bind(table);
  table.receive = (plaintext, nowMs) => {
    const hello = decodeUplink(plaintext)?.frames.find((frame) => frame.type === FRAME.HELLO);
    if (hello !== undefined) seen.add(hello.version);
    return receive(plaintext, nowMs);
  };
  return seen;
}

t.test('a proxy and a requester of this version or the next one use the highest that both speak', async (t) => {
  for (const ours of [THIS, BOTH]) {
    for (const theirs of [undefined, THIS, BOTH]) {
      const { log, lines } = listeningLog();
      const world = new HubWorld({ log, versions: ours, exitVersions: theirs === undefined ? [] : [theirs] });
      const seen = versionsSeen(world.tables.get('r0') as SessionTable);
      await world.connect('a.example');
      t.same([...seen], [Math.min(ours.highest, theirs?.highest ?? 3)], 'from the first packet on');
      t.same(lines, [], 'nobody was refused on the way');
      await world.hub.stop();
    }
  }
});

t.test('while exits are updated a proxy speaks to each as that one can, and to one that is updated anew', async (t) => {
  const world = new HubWorld({ requesters: 2, spread: 2, versions: BOTH, exitVersions: [BOTH, THIS] });
  const [first, second] = ['r0', 'r1'].map((name) => versionsSeen(world.tables.get(name) as SessionTable));
  for (let i = 0; i < 8; i++) await world.connect(`${i}.example`, `token ${i}`);
  t.same([...(first ?? [])], [4]);
  t.same([...(second ?? [])], [3]);
  await world.hub.stop();
});

t.test('ends without a common version refuse by name, and no older version is tried', async (t) => {
  for (const [ours, theirs] of [
    [THIS, NEXT],
    [NEXT, THIS],
  ] as const) {
    const { log, lines } = listeningLog();
    const world = new HubWorld({ log, versions: ours, exitVersions: [theirs] });
    const seen = versionsSeen(world.tables.get('r0') as SessionTable);
    const asked = await world.open('a.example');
    world.run(10_000);
    t.notOk(asked.opened);
    t.same([...seen], [ours.highest]);
    t.match(lines, [new RegExp(`the proxy speaks version ${ours.highest} .* version ${theirs.highest};`)]);
    await world.hub.stop();
  }
});

t.test('ends of one version open sessions without a word about versions', async (t) => {
  const { log, lines } = listeningLog();
  const world = new HubWorld({ log });
  await world.connect('a.example');
  t.same(lines, []);
  t.equal(world.hub.versionMismatch, undefined);
  await world.hub.stop();
});
