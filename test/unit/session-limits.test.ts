/** Bounds of the transport that nothing but a peer's silence or greed reaches. */

import t from 'tap';
import { DelayLaws } from '../../lib/core/delay-law.ts';
import { ProxySession, type SessionLimits, SessionTable, type StreamHandlers } from '../../lib/session/index.ts';
import { DEFAULT_SESSION_LIMITS, PROTOCOL_VERSION } from '../../lib/transport/limits.ts';
import { SurbSupply } from '../../lib/transport/surbs/surb-supply.ts';
import type { Frame } from '../../lib/transport/wire/frames.ts';
import { FRAME } from '../../lib/transport/wire/frames.ts';
import type { FrameOwner } from '../../lib/transport/wire/packet-builder.ts';
import { beginUplink, decodeUplink } from '../../lib/transport/wire/payload.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { challenged } from '../support/session-packets.ts';
import { soundPath } from '../support/sim/own-loops.ts';
import { monotonic } from '../support/units.ts';

const KIB = 1024;
const PAYLOAD_BYTES = 2048;
const delay = new DelayLaws({ meanDelayMs: 15, mixHops: 3 });
const owner: FrameOwner = { frameAcked() {}, frameLost() {} };
const silent: StreamHandlers = {
  ...{ onOpened() {}, onRefused() {}, onReset() {}, onData() {}, onFin() {}, onDrain() {} },
};

function proxySession(limits: Partial<SessionLimits> = {}, payloadBytes = PAYLOAD_BYTES): ProxySession {
  const rng = seededRng(1);
  return new ProxySession(
    {
      ...{ rng, payloadBytes, delay, limits, downlink: 'steady', surbLifeMs: 600_000 },
      ...{ mainRatePerSecond: 50, replyRatePerSecond: 100, ownPath: () => soundPath, mintSurb: () => rng.bytes(372) },
    },
    monotonic(0),
  );
}

/** What a session sends that is never answered, in a moment in which nothing counts as lost yet. */
function sendAll(session: ProxySession): Frame[][] {
  const packets: Frame[][] = [];
  for (let plaintext = session.fill(monotonic(0)); plaintext !== undefined; plaintext = session.fill(monotonic(0))) {
    packets.push([...(decodeUplink(plaintext)?.frames ?? [])]);
    if (packets.length > 10_000) throw new Error('it never stops');
  }
  return packets;
}

/** Bytes of streams, by stream. */
function dataBytes(packets: readonly Frame[][]): number[] {
  const bytes: number[] = [];
  for (const frame of packets.flat()) {
    if (frame.type === FRAME.DATA) bytes[frame.stream] = (bytes[frame.stream] ?? 0) + frame.bytes.byteLength;
  }
  return bytes;
}

/** Opens streams that have more to send than any bound here lets go. */
function greedyStreams(session: ProxySession, count: number): void {
  for (let n = 0; n < count; n++) {
    session
      .open({ kind: 'tcp', host: `host${n}`, port: 80 }, silent, monotonic(0))
      .write(new Uint8Array(128 * KIB), monotonic(0));
  }
}

t.test('packets in flight are bounded', async (t) => {
  t.equal(DEFAULT_SESSION_LIMITS.maxInFlightPackets, 4096);
  const session = proxySession({ maxInFlightPackets: 9 });
  greedyStreams(session, 1);
  const withData = sendAll(session).filter((frames) => frames.some(({ type }) => type === FRAME.DATA));
  t.ok(withData.length > 5, `${withData.length} packets with bytes`);
  t.ok(withData.length <= 9, 'and no more until something is acknowledged');
});

t.test('bytes kept for a peer that does not acknowledge: of a stream', async (t) => {
  t.equal(DEFAULT_SESSION_LIMITS.maxStreamWindowBytes, 4096 * KIB);
  const session = proxySession({ streamWindowBytes: 16 * KIB, maxStreamWindowBytes: 16 * KIB });
  greedyStreams(challenged(session), 2);
  t.strictSame(dataBytes(sendAll(session)), [16 * KIB, 16 * KIB], 'though the peer gives 256 KiB of credit to each');
});

t.test('bytes kept for a peer that does not acknowledge: of a session', async (t) => {
  t.equal(DEFAULT_SESSION_LIMITS.maxSessionWindowBytes, 16 * 1024 * KIB);
  const session = proxySession({ sessionWindowBytes: 40 * KIB, maxSessionWindowBytes: 40 * KIB });
  greedyStreams(challenged(session), 3);
  const sum = dataBytes(sendAll(session)).reduce((all, bytes) => all + bytes, 0);
  t.equal(sum, 40 * KIB, 'though the peer gives 1 MiB of credit');
});

t.test('reply blocks in a packet are bounded', async (t) => {
  const blocksOf = (payloadBytes: number) => {
    const packets = sendAll(proxySession({}, payloadBytes));
    return packets.map((frames) =>
      frames.reduce((sum, frame) => sum + (frame.type === FRAME.SURBS ? frame.blocks.length : 0), 0),
    );
  };
  t.equal(Math.max(...blocksOf(2048)), 5, 'as many as find room');
  t.equal(Math.max(...blocksOf(8192)), 16, 'and never more, though 21 would find room');
});

t.test('the number of reply blocks aimed at is bounded', async (t) => {
  const supply = new SurbSupply(
    {
      ...{ downlink: 'steady', payloadBytes: PAYLOAD_BYTES, blocksPerPacket: 5, surbLifeMs: 600_000 },
      ...{ mainRatePerSecond: 1000, replyRatePerSecond: 100, ownPath: () => soundPath },
    },
    monotonic(0),
  );
  supply.aim(2000, monotonic(0));
  t.equal(supply.target, 308, 'a round trip and a second at the rate, and the reserve');
  supply.setReplyRate(5000);
  supply.aim(2000, monotonic(0));
  t.equal(supply.target, 7000, 'and no more: the stock at the other end holds 8192');
  t.ok(supply.target < DEFAULT_SESSION_LIMITS.maxStockSurbs);
});

t.test('CLOSE answers that wait to be sent are bounded', async (t) => {
  const table = new SessionTable({
    ...{
      rng: seededRng(2),
      payloadBytes: PAYLOAD_BYTES,
      terms: () => ({ delay }),
      maxSessions: 1,
      accept: () => silent,
    },
  });
  for (let n = 0; n < 300; n++) {
    const builder = beginUplink(PAYLOAD_BYTES, new Uint8Array(16).fill(1 + (n >> 8)).fill(n & 255, 8), 1);
    builder.hello(owner, PROTOCOL_VERSION - 1, new Uint8Array(0), 1 << 20, 1 << 18);
    builder.replyBlocks(owner, 0, 600_000, [new Uint8Array(372)]);
    table.receive(builder.bytes, monotonic(0));
  }
  t.equal(table.size, 0);
  t.match(table.stats().dropped, { 'answers-full': 300 - 256 });
  let answers = 0;
  while (table.nextAnswer(0) !== undefined) answers += 1;
  t.equal(answers, 256);
});
