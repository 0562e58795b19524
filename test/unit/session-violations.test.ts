/** What happens to a peer that breaks the rules. */
import t from 'tap';
import { type CloseReason, type Reply, SessionTable } from '../../lib/session/index.ts';
import { FRAME } from '../../lib/transport/wire/frames.ts';
import { hostBytes, type PacketBuilder } from '../../lib/transport/wire/packet-builder.ts';
import { beginDownlink, decodeDownlink } from '../../lib/transport/wire/payload.ts';
import { seededRng } from '../support/seeded-rng.ts';
import {
  data,
  delay,
  idOf,
  open,
  owner,
  PAYLOAD_BYTES,
  packet,
  prove,
  proxySession,
  silent,
  table,
  verdict,
} from '../support/session-packets.ts';
import { monotonic } from '../support/units.ts';

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
    terms: () => ({ delay }),
    accept: (stream) => {
      accepted++;
      stream.refuse('REFUSED', monotonic(0));
      return silent;
    },
  });
  counting.receive(packet(idOf(1), 1, open(0)), monotonic(0));
  counting.receive(packet(idOf(1), 2, open(0)), monotonic(0));
  t.equal(accepted, 1, 'while it lives');
  counting.receive(
    packet(idOf(1), 3, (b) => b.reset(owner, 0, 0, 0)),
    monotonic(0),
  );
  const session = [...counting.sessions()][0];
  const reply = session?.nextReply(monotonic(0));
  const number = reply === undefined ? 0 : (decodeDownlink(reply.plaintext)?.number ?? 0);
  counting.receive(
    packet(idOf(1), 4, (b) => b.bytes.set([FRAME.ACK, number, 1, 0], b.offset)),
    monotonic(1),
  );
  t.equal(session?.stats().streamsOpen, 0);
  counting.receive(packet(idOf(1), 5, open(0)), monotonic(2));
  t.equal(accepted, 1, 'and after');
  t.equal(sessions.size, 0);
});

t.test('more streams than the table holds are refused, far more end the session', async (t) => {
  const sessions = table({ limits: { maxStreams: 2 } });
  sessions.receive(
    packet(idOf(1), 1, () => {}, { blocks: 5 }),
    monotonic(0),
  );
  prove(sessions, idOf(1));
  const session = [...sessions.sessions()][0];
  for (let i = 0; i < 12; i++) sessions.receive(packet(idOf(1), i + 2, open(i), { blocks: 0 }), monotonic(0));
  t.equal(session?.closed, false);
  const frames = decodeDownlink(session?.nextReply(monotonic(60))?.plaintext ?? new Uint8Array(1))?.frames ?? [];
  t.equal(frames.filter((frame) => frame.type === FRAME.OPENED).length, 8, 'four times the limit of a proxy');
  t.equal(frames.filter((frame) => frame.type === FRAME.REFUSED).length, 4);
  for (let i = 12; i < 20; i++) sessions.receive(packet(idOf(1), i + 2, open(i), { blocks: 0 }), monotonic(0));
  t.equal(session?.closed, true);
});

t.test('the reserve is kept for control', async (t) => {
  const sessions = new SessionTable({
    rng: seededRng(1),
    payloadBytes: PAYLOAD_BYTES,
    terms: () => ({ delay }),
    accept: (stream) => {
      stream.opened({ host: 'h', port: 1 }, monotonic(0));
      stream.write(new Uint8Array(100_000), monotonic(0));
      return silent;
    },
  });
  const rate = (b: PacketBuilder) => b.rate(owner, 100_000);
  sessions.receive(packet(idOf(1), 1, rate, { blocks: 5 }), monotonic(0));
  sessions.receive(packet(idOf(1), 2, open(0), { blocks: 4 }), monotonic(0));
  const session = [...sessions.sessions()][0];
  const kinds = (reply: Reply | undefined) =>
    decodeDownlink(reply?.plaintext ?? new Uint8Array(1))?.frames.map((frame) => frame.type) ?? [];
  t.ok(kinds(session?.nextReply(monotonic(0))).includes(FRAME.DATA), 'the ninth block may carry data');
  t.equal(session?.surbStats().held, 8);
  t.equal(session?.nextReply(monotonic(0)), undefined, 'the reserve may not');
  t.equal(session?.dummyReply(monotonic(0)), undefined, 'nor may a dummy take it');
  sessions.receive(
    packet(idOf(1), 3, (b) => b.ping(owner), { blocks: 0 }),
    monotonic(10),
  );
  t.same(kinds(session?.nextReply(monotonic(60))), [FRAME.ACK, FRAME.CHALLENGE], 'but an acknowledgement may');
  t.equal(session?.surbStats().held, 7);
});

t.test('a proxy does not believe a lying requester', async (t) => {
  const make = () => proxySession({ mintSurb: () => new Uint8Array(372) });
  const reasonFor = (plaintext: Uint8Array) => {
    const session = make();
    let reason: CloseReason | 'fine' = 'fine';
    session.onClosed((why) => {
      reason = why;
    });
    session.fill(monotonic(0));
    session.receive(plaintext, monotonic(10));
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
      session.open(
        { kind: 'tcp', host: 'x'.repeat(256), port: 1 },
        { ...silent, onOpened() {}, onRefused() {} },
        monotonic(0),
      ),
    {
      code: 'ADDRESS_TYPE',
    },
  );
});

t.test('a proxy without a route makes no packets for blocks alone', async (t) => {
  const session = proxySession({ mintSurb: () => undefined });
  let filled = 0;
  for (let nowMs = 0; nowMs < 1000; nowMs += 20) if (session.fill(monotonic(nowMs)) !== undefined) filled++;
  t.ok(filled < 15, `${filled} packets`);
});
