/** The requester's table of sessions. */
import t from 'tap';
import { MemoryBudget } from '../../lib/core/memory-budget.ts';
import type { PacketBuilder } from '../../lib/transport/wire/packet-builder.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { answer, idOf, owner, PAYLOAD_BYTES, packet, prove, table } from '../support/session-packets.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

t.test('a session begins with HELLO', async (t) => {
  const sessions = table();
  const seen: string[] = [];
  sessions.onSession((session) => seen.push(session.key));
  sessions.receive(packet(idOf(1), 1), monotonic(0));
  t.equal(sessions.size, 1);
  t.equal(seen.length, 1);
  t.equal([...sessions.sessions()][0]?.surbStats().held, 1);
});

t.test('a packet that overtook the HELLO is held for it', async (t) => {
  const sessions = table();
  sessions.receive(
    packet(idOf(1), 2, () => {}, { hello: false, blocks: 3 }),
    monotonic(0),
  );
  t.equal(sessions.size, 0);
  t.equal(sessions.stats().held, 1);
  sessions.receive(packet(idOf(1), 1), monotonic(400));
  t.equal([...sessions.sessions()][0]?.surbStats().held, 4);
  sessions.tick(monotonic(1000));
  t.equal(answer(sessions), undefined);
});

t.test('an unknown session is answered once, through the block it brought', async (t) => {
  const sessions = table();
  sessions.receive(
    packet(idOf(1), 2, () => {}, { hello: false }),
    monotonic(0),
  );
  sessions.receive(
    packet(idOf(1), 3, () => {}, { hello: false }),
    monotonic(10),
  );
  t.equal(sessions.nextDeadlineMs(), 500);
  sessions.tick(monotonic(500));
  t.equal(answer(sessions), 'unknown');
  t.equal(answer(sessions), undefined);
  sessions.receive(
    packet(idOf(1), 4, () => {}, { hello: false }),
    monotonic(600),
  );
  t.equal(answer(sessions), undefined, 'not at every packet');
  sessions.receive(
    packet(idOf(1), 5, () => {}, { hello: false }),
    monotonic(3000),
  );
  t.equal(answer(sessions), 'unknown', 'but again after a while');
});

t.test('an unknown session without a block cannot be answered', async (t) => {
  const sessions = table();
  sessions.receive(
    packet(idOf(1), 2, (b) => b.ping(owner), { hello: false, blocks: 0 }),
    monotonic(0),
  );
  sessions.tick(monotonic(500));
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
      monotonic(0),
    );
  }
  t.ok(sessions.stats().held <= 256);
  for (let n = 0; n < 100; n++)
    sessions.receive(
      packet(idOf(0), n + 2, () => {}, { hello: false }),
      monotonic(0),
    );
  sessions.tick(monotonic(500));
  t.equal(sessions.stats().held, 0);
});

t.test('too many sessions, another version', async (t) => {
  const sessions = table({ maxSessions: 1 });
  sessions.receive(
    packet(idOf(1), 1, () => {}, { blocks: 3 }),
    monotonic(0),
  );
  prove(sessions, idOf(1));
  sessions.receive(packet(idOf(2), 1), monotonic(60));
  t.equal(sessions.size, 2, 'a newcomer may prove that it receives');
  prove(sessions, idOf(2), 120);
  t.equal(sessions.size, 1);
  t.equal(answer(sessions), undefined, 'one that pays no more than others gets no seat, and has no block left');
  t.equal([...sessions.sessions()][0]?.key, Buffer.from(idOf(1)).toString('latin1'));
  const hello = (b: PacketBuilder) => b.hello(owner, 99, new Uint8Array(0), 0, 0);
  sessions.receive(packet(idOf(3), 1, hello, { hello: false }), monotonic(0));
  t.equal(answer(sessions), 'version');
});

t.test('garbage is counted and changes nothing', async (t) => {
  const sessions = table();
  sessions.receive(new Uint8Array(5), monotonic(0));
  sessions.receive(seededRng(1).bytes(PAYLOAD_BYTES), monotonic(0));
  t.equal(sessions.stats().dropped.malformed, 2);
  t.equal(sessions.size, 0);
});

t.test('a session that is not heard any more expires, also when it is asked rarely', async (t) => {
  const sessions = table({ limits: { idleMs: 60_000 } });
  sessions.receive(packet(idOf(1), 1), monotonic(0));
  const session = [...sessions.sessions()][0];
  let reason: string | undefined;
  session?.onClosed((why) => {
    reason = why;
  });
  let nowMs = 0;
  for (let i = 0; i < 100 && sessions.size > 0; i++) {
    nowMs = sessions.nextDeadlineMs();
    sessions.tick(monotonic(nowMs));
  }
  t.equal(reason, 'idle');
  t.ok(nowMs >= 60_000 && nowMs < 75_000, `after ${nowMs}`);
  t.equal(answer(sessions), 'idle', 'the proxy is told');
});

t.test('sessions that together hold too much: the largest is ended', async (t) => {
  const sessions = table({ memory: new MemoryBudget(1_000_000, new VirtualClock()) });
  for (let n = 1; n <= 3; n++) sessions.receive(packet(idOf(n), 1), monotonic(0));
  for (let i = 0; i < 600; i++)
    sessions.receive(
      packet(idOf(1), i + 2, () => {}, { blocks: 5 }),
      monotonic(0),
    );
  await Promise.resolve();
  t.equal(sessions.size, 2);
  t.equal(answer(sessions), 'limit');
});
