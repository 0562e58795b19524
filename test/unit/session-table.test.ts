/** The requester's table of sessions, and what happens to a peer that breaks the rules. */
import t from 'tap';
import { writeVarint } from '../../lib/bytes.ts';
import { FRAME } from '../../lib/session/frames.ts';
import {
  type AcceptedHandlers,
  type CloseReason,
  ProxySession,
  type Reply,
  type SessionLimits,
  SessionTable,
} from '../../lib/session/index.ts';
import { type FrameOwner, hostBytes, type PacketBuilder } from '../../lib/session/packet-builder.ts';
import { beginDownlink, beginUplink, decodeDownlink } from '../../lib/session/payload.ts';
import { closeReason } from '../../lib/session/reasons.ts';
import { SendBuffer } from '../../lib/session/send-buffer.ts';
import { seededRng } from '../support/seeded-rng.ts';

const PAYLOAD_BYTES = 2048;
const owner: FrameOwner = { frameAcked() {}, frameLost() {} };
const delay = { meanDelayMs: 15, mixHops: 3 };
const silent: AcceptedHandlers = { onData() {}, onFin() {}, onReset() {}, onDrain() {} };

function table(options: { maxSessions?: number; maxHeldBytes?: number; limits?: Partial<SessionLimits> } = {}) {
  return new SessionTable({
    rng: seededRng(1),
    payloadBytes: PAYLOAD_BYTES,
    delay,
    accept: (stream) => {
      stream.opened({ host: '192.0.2.1', port: 1 }, 0);
      return silent;
    },
    ...options,
  });
}

function idOf(n: number): Uint8Array {
  return new Uint8Array(16).fill(n);
}

/** A packet of session `id`, with HELLO and some blocks unless told otherwise. */
function packet(
  id: Uint8Array,
  number: number,
  write: (builder: PacketBuilder) => void = () => {},
  { hello = true, blocks = 1 } = {},
): Uint8Array {
  const builder = beginUplink(PAYLOAD_BYTES, id, number);
  if (hello) builder.hello(owner, 1, new Uint8Array(0), 1 << 20, 1 << 18);
  const surbs = Array.from({ length: blocks }, () => new Uint8Array(372));
  builder.replyBlocks(owner, 0, 600_000, surbs);
  write(builder);
  return builder.bytes;
}

/** The reason of the CLOSE that the table wants to send, if any. */
function answer(sessions: SessionTable): CloseReason | undefined {
  const reply: Reply | undefined = sessions.nextAnswer(0);
  const frame = reply === undefined ? undefined : decodeDownlink(reply.plaintext)?.frames[0];
  return frame?.type === FRAME.CLOSE ? closeReason(frame.reason) : undefined;
}

t.test('a session begins with HELLO', async (t) => {
  const sessions = table();
  const seen: string[] = [];
  sessions.onSession((session) => seen.push(session.key));
  sessions.receive(packet(idOf(1), 1), 0);
  t.equal(sessions.size, 1);
  t.equal(seen.length, 1);
  t.equal([...sessions.sessions()][0]?.surbStats().held, 1);
});

t.test('a packet that overtook the HELLO is held for it', async (t) => {
  const sessions = table();
  sessions.receive(
    packet(idOf(1), 2, () => {}, { hello: false, blocks: 3 }),
    0,
  );
  t.equal(sessions.size, 0);
  t.equal(sessions.stats().held, 1);
  sessions.receive(packet(idOf(1), 1), 400);
  t.equal([...sessions.sessions()][0]?.surbStats().held, 4);
  sessions.tick(1000);
  t.equal(answer(sessions), undefined);
});

t.test('an unknown session is answered once, through the block it brought', async (t) => {
  const sessions = table();
  sessions.receive(
    packet(idOf(1), 2, () => {}, { hello: false }),
    0,
  );
  sessions.receive(
    packet(idOf(1), 3, () => {}, { hello: false }),
    10,
  );
  t.equal(sessions.nextDeadlineMs(), 500);
  sessions.tick(500);
  t.equal(answer(sessions), 'unknown');
  t.equal(answer(sessions), undefined);
  sessions.receive(
    packet(idOf(1), 4, () => {}, { hello: false }),
    600,
  );
  t.equal(answer(sessions), undefined, 'not at every packet');
  sessions.receive(
    packet(idOf(1), 5, () => {}, { hello: false }),
    3000,
  );
  t.equal(answer(sessions), 'unknown', 'but again after a while');
});

t.test('an unknown session without a block cannot be answered', async (t) => {
  const sessions = table();
  sessions.receive(
    packet(idOf(1), 2, (b) => b.ping(owner), { hello: false, blocks: 0 }),
    0,
  );
  sessions.tick(500);
  t.equal(answer(sessions), undefined);
  t.equal(sessions.stats().dropped['unknown-session'], 1);
});

t.test('strangers cannot fill the table of held packets', async (t) => {
  const sessions = table();
  for (let i = 0; i < 2000; i++) {
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(0, i);
    sessions.receive(
      packet(id, 2, () => {}, { hello: false }),
      0,
    );
  }
  t.ok(sessions.stats().held <= 256);
  for (let n = 0; n < 100; n++)
    sessions.receive(
      packet(idOf(0), n + 2, () => {}, { hello: false }),
      0,
    );
  sessions.tick(500);
  t.equal(sessions.stats().held, 0);
});

t.test('too many sessions, another version', async (t) => {
  const sessions = table({ maxSessions: 1 });
  sessions.receive(packet(idOf(1), 1), 0);
  sessions.receive(packet(idOf(2), 1), 0);
  t.equal(sessions.size, 1);
  t.equal(answer(sessions), 'limit');
  const hello = (b: PacketBuilder) => b.hello(owner, 99, new Uint8Array(0), 0, 0);
  sessions.receive(packet(idOf(3), 1, hello, { hello: false }), 0);
  t.equal(answer(sessions), 'version');
});

t.test('garbage is counted and changes nothing', async (t) => {
  const sessions = table();
  sessions.receive(new Uint8Array(5), 0);
  sessions.receive(seededRng(1).bytes(PAYLOAD_BYTES), 0);
  t.equal(sessions.stats().dropped.malformed, 2);
  t.equal(sessions.size, 0);
});

t.test('a session that is not heard any more expires, also when it is asked rarely', async (t) => {
  const sessions = table({ limits: { idleMs: 60_000 } });
  sessions.receive(packet(idOf(1), 1), 0);
  const session = [...sessions.sessions()][0];
  let reason: string | undefined;
  session?.onClosed((why) => {
    reason = why;
  });
  let nowMs = 0;
  for (let i = 0; i < 100 && sessions.size > 0; i++) {
    nowMs = sessions.nextDeadlineMs();
    sessions.tick(nowMs);
  }
  t.equal(reason, 'idle');
  t.ok(nowMs >= 60_000 && nowMs < 75_000, `after ${nowMs}`);
  t.equal(answer(sessions), 'idle', 'the proxy is told');
});

t.test('sessions that together hold too much: the largest is ended', async (t) => {
  const sessions = table({ maxHeldBytes: 100_000 });
  for (let n = 1; n <= 3; n++) sessions.receive(packet(idOf(n), 1), 0);
  for (let i = 0; i < 600; i++)
    sessions.receive(
      packet(idOf(1), i + 2, () => {}, { blocks: 5 }),
      0,
    );
  t.equal(sessions.size, 2);
  t.equal(answer(sessions), 'limit');
});

/** What becomes of a session whose proxy sends this. */
function verdict(...writes: ((builder: PacketBuilder) => void)[]): CloseReason | 'fine' {
  const sessions = table();
  sessions.receive(
    packet(idOf(1), 1, () => {}, { blocks: 4 }),
    0,
  );
  let reason: CloseReason | 'fine' = 'fine';
  [...sessions.sessions()][0]?.onClosed((why) => {
    reason = why;
  });
  writes.forEach((write, i) => {
    sessions.receive(packet(idOf(1), i + 2, write, { blocks: 0 }), 0);
  });
  return reason;
}

/** A DATA frame of its own making. */
function data(builder: PacketBuilder, stream: number, offset: number, length: number, fin = false): void {
  const buffer = new SendBuffer();
  // Moves the buffer to the offset, unless that would take too much memory: then the varint is patched.
  buffer.write(new Uint8Array(length));
  if (fin) buffer.finish();
  const start = builder.offset;
  builder.data(owner, stream, buffer, Number.MAX_SAFE_INTEGER);
  if (offset === 0) return;
  const at = builder.bytes;
  const body = new Uint8Array(length);
  let end = start;
  at[end++] = fin ? FRAME.DATA_FIN : FRAME.DATA;
  end = writeVarint(at, end, stream);
  end = writeVarint(at, end, offset);
  end = writeVarint(at, end, length);
  at.set(body, end);
  at.fill(0, end + length);
}

const open = (stream: number) => (b: PacketBuilder) => b.open(owner, stream, 0, hostBytes('example.org'), 80);

t.test('a peer that breaks the rules is closed', async (t) => {
  t.equal(
    verdict(open(0), (b) => data(b, 0, 0, 100)),
    'fine',
  );
  t.equal(
    verdict(open(0), (b) => data(b, 0, 256 * 1024 - 100, 100)),
    'fine',
    'to the last byte of the window',
  );
  t.equal(
    verdict(open(0), (b) => data(b, 0, 256 * 1024 - 99, 100)),
    'protocol',
    'beyond the window',
  );
  t.equal(
    verdict((b) => b.opened(owner, 0, hostBytes('x'), 1)),
    'protocol',
    'a frame of the other direction',
  );
  t.equal(
    verdict(open(0), (b) => b.reset(owner, 0, 0, 1 << 30)),
    'protocol',
    'a final size beyond the window',
  );
  t.equal(
    verdict(
      open(0),
      (b) => data(b, 0, 0, 100, true),
      (b) => data(b, 0, 200, 10),
    ),
    'fine',
    'what comes after the end of an ended half is not looked at',
  );
  t.equal(
    verdict(
      open(0),
      (b) => data(b, 0, 100, 100, true),
      (b) => data(b, 0, 300, 10),
    ),
    'protocol',
    'bytes beyond the final size',
  );
  const fiveStreams = [0, 1, 2, 3, 4].map((n) => (b: PacketBuilder) => data(b, n, 256 * 1024 - 10, 10));
  t.equal(verdict(...fiveStreams), 'protocol', 'beyond the window of the session');
});

t.test('an acknowledgement of what was never sent is a lie', async (t) => {
  const ack = (last: number) => (b: PacketBuilder) => {
    b.bytes.set([FRAME.ACK, last, 1, 0], b.offset);
  };
  t.equal(verdict(ack(60)), 'protocol');
});

t.test('stream ids are never used again', async (t) => {
  const sessions = table();
  let accepted = 0;
  const counting = new SessionTable({
    rng: seededRng(1),
    payloadBytes: PAYLOAD_BYTES,
    delay,
    accept: (stream) => {
      accepted++;
      stream.refuse('REFUSED', 0);
      return silent;
    },
  });
  counting.receive(packet(idOf(1), 1, open(0)), 0);
  counting.receive(packet(idOf(1), 2, open(0)), 0);
  t.equal(accepted, 1, 'while it lives');
  counting.receive(
    packet(idOf(1), 3, (b) => b.reset(owner, 0, 0, 0)),
    0,
  );
  const session = [...counting.sessions()][0];
  const reply = session?.nextReply(0);
  const number = reply === undefined ? 0 : (decodeDownlink(reply.plaintext)?.number ?? 0);
  counting.receive(
    packet(idOf(1), 4, (b) => b.bytes.set([FRAME.ACK, number, 1, 0], b.offset)),
    1,
  );
  t.equal(session?.stats().streamsOpen, 0);
  counting.receive(packet(idOf(1), 5, open(0)), 2);
  t.equal(accepted, 1, 'and after');
  t.equal(sessions.size, 0);
});

t.test('more streams than the table holds are refused, far more end the session', async (t) => {
  const sessions = table({ limits: { maxStreams: 2 } });
  sessions.receive(
    packet(idOf(1), 1, () => {}, { blocks: 5 }),
    0,
  );
  const session = [...sessions.sessions()][0];
  for (let i = 0; i < 12; i++) sessions.receive(packet(idOf(1), i + 2, open(i), { blocks: 0 }), 0);
  t.equal(session?.closed, false);
  const frames = decodeDownlink(session?.nextReply(0)?.plaintext ?? new Uint8Array(1))?.frames ?? [];
  t.equal(frames.filter((frame) => frame.type === FRAME.OPENED).length, 8, 'four times the limit of a proxy');
  t.equal(frames.filter((frame) => frame.type === FRAME.REFUSED).length, 4);
  for (let i = 12; i < 20; i++) sessions.receive(packet(idOf(1), i + 2, open(i), { blocks: 0 }), 0);
  t.equal(session?.closed, true);
});

t.test('the reserve is kept for control', async (t) => {
  const sessions = new SessionTable({
    rng: seededRng(1),
    payloadBytes: PAYLOAD_BYTES,
    delay,
    accept: (stream) => {
      stream.opened({ host: 'h', port: 1 }, 0);
      stream.write(new Uint8Array(100_000), 0);
      return silent;
    },
  });
  const rate = (b: PacketBuilder) => b.rate(owner, 100_000);
  sessions.receive(packet(idOf(1), 1, rate, { blocks: 5 }), 0);
  sessions.receive(packet(idOf(1), 2, open(0), { blocks: 4 }), 0);
  const session = [...sessions.sessions()][0];
  const kinds = (reply: Reply | undefined) =>
    decodeDownlink(reply?.plaintext ?? new Uint8Array(1))?.frames.map((frame) => frame.type) ?? [];
  t.ok(kinds(session?.nextReply(0)).includes(FRAME.DATA), 'the ninth block may carry data');
  t.equal(session?.surbStats().held, 8);
  t.equal(session?.nextReply(0), undefined, 'the reserve may not');
  t.equal(session?.dummyReply(0), undefined, 'nor may a dummy take it');
  sessions.receive(
    packet(idOf(1), 3, (b) => b.ping(owner), { blocks: 0 }),
    10,
  );
  t.same(kinds(session?.nextReply(60)), [FRAME.ACK], 'but an acknowledgement may');
  t.equal(session?.surbStats().held, 7);
});

t.test('a proxy does not believe a lying requester', async (t) => {
  const make = () =>
    new ProxySession(
      {
        rng: seededRng(2),
        payloadBytes: PAYLOAD_BYTES,
        delay,
        mainRatePerSecond: 50,
        replyRatePerSecond: 100,
        downlink: 'steady',
        surbLifeMs: 60_000,
        mintSurb: () => new Uint8Array(372),
      },
      0,
    );
  const reasonFor = (plaintext: Uint8Array) => {
    const session = make();
    let reason: CloseReason | 'fine' = 'fine';
    session.onClosed((why) => {
      reason = why;
    });
    session.fill(0);
    session.receive(plaintext, 10);
    return reason;
  };
  const nothing = { received: 0, used: 0, expired: 0, evicted: 0, demandBytes: 0 };
  const reply = (account: typeof nothing, write: (b: PacketBuilder) => void = () => {}) => {
    const builder = beginDownlink(PAYLOAD_BYTES, 1, account);
    write(builder);
    return builder.bytes;
  };
  t.equal(reasonFor(reply(nothing)), 'fine');
  t.equal(reasonFor(reply({ ...nothing, received: 1_000_000 })), 'protocol', 'more blocks than were made');
  t.equal(reasonFor(reply({ ...nothing, used: 1 })), 'protocol', 'more used than received');
  t.equal(reasonFor(reply(nothing, (b) => b.opened(owner, 7, hostBytes('x'), 1))), 'protocol', 'a stream never opened');
  t.equal(reasonFor(reply(nothing, (b) => open(0)(b))), 'protocol', 'a frame of the other direction');
  t.equal(reasonFor(reply(nothing, (b) => b.close(owner, 3))), 'unknown');
  t.equal(reasonFor(new Uint8Array(3)), 'protocol', 'not a payload');
  const session = make();
  t.throws(
    () =>
      session.open({ kind: 'tcp', host: 'x'.repeat(256), port: 1 }, { ...silent, onOpened() {}, onRefused() {} }, 0),
    {
      code: 'ADDRESS_TYPE',
    },
  );
});

t.test('a proxy without a route makes no packets for blocks alone', async (t) => {
  const session = new ProxySession(
    {
      rng: seededRng(2),
      payloadBytes: PAYLOAD_BYTES,
      delay,
      mainRatePerSecond: 50,
      replyRatePerSecond: 100,
      downlink: 'steady',
      surbLifeMs: 60_000,
      mintSurb: () => undefined,
    },
    0,
  );
  let filled = 0;
  for (let nowMs = 0; nowMs < 1000; nowMs += 20) if (session.fill(nowMs) !== undefined) filled++;
  t.ok(filled < 15, `${filled} packets`);
});
