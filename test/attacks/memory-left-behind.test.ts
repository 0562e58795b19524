/**
 * Attack: a client has an exit count memory that is not there any more. It opens streams, sends bytes with gaps between them, so that
 * the ranges that have come count, and ends its session. What stays on an account after that stays for ever: the budget
 * is full after some minutes, the exit refuses everybody, and nobody holds anything.
 *
 * Defence: whatever ends, however it ends, leaves nothing on the budget.
 */
import t from 'tap';
import { MemoryBudget } from '../../lib/core/memory-budget.ts';
import type { MonotonicMs } from '../../lib/core/units.ts';
import type { AcceptedHandlers, AcceptedStream, SessionTable } from '../../lib/session/index.ts';
import { hostBytes, type PacketBuilder } from '../../lib/transport/wire/packet-builder.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { data, idOf, open, owner, packet, prove, silent, table } from '../support/session-packets.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const GAPS = 500;

const streamBytes = (memory: MemoryBudget) => memory.kinds.find(({ kind }) => kind === 'streams')?.bytes ?? 0;

/** What is left of a session with a stream of which every second byte has come, when that stream or session has ended. */
function leftBy(end: (sessions: SessionTable, send: (write: (builder: PacketBuilder) => void) => void) => void) {
  const memory = new MemoryBudget(100_000_000, new VirtualClock());
  const sessions = table({ memory });
  const id = idOf(1);
  sessions.receive(
    packet(id, 1, () => {}, { blocks: 4 }),
    monotonic(0),
  );
  prove(sessions, id);
  let number = 2;
  const send = (write: (builder: PacketBuilder) => void) =>
    sessions.receive(packet(id, number++, write, { hello: false, blocks: 0 }), monotonic(0));
  send(open(0));
  for (let gap = 0; gap < GAPS; gap++) send((builder) => data(builder, 0, 2 * gap + 1, 1));
  const held = streamBytes(memory);
  end(sessions, send);
  return { held, left: streamBytes(memory) };
}

const ENDS = {
  'the proxy closes the session': (_: SessionTable, send: (write: (builder: PacketBuilder) => void) => void) =>
    send((builder) => builder.close(owner, 0)),
  'the exit closes the session': (sessions: SessionTable) => sessions.closeAll('limit', monotonic(0)),
};

for (const [title, end] of Object.entries(ENDS)) {
  t.test(`nothing of a stream with gaps stays on the budget when ${title}`, (t) => {
    const { held, left } = leftBy(end);
    t.ok(held > GAPS * 20, `${held} bytes while it is there`);
    t.equal(left, 0);
    t.end();
  });
}

/** Takes some bytes, writes some, and ends in any way. */
class Application implements AcceptedHandlers {
  #unconsumed = 0;
  constructor(
    readonly stream: AcceptedStream,
    readonly rng: ReturnType<typeof seededRng>,
  ) {
    if (rng.int(5) > 0) stream.opened({ host: '192.0.2.1', port: 1 }, monotonic(0));
  }
  act(nowMs: MonotonicMs): void {
    const what = this.rng.int(12);
    if (what < 4) this.stream.consume(this.#unconsumed, nowMs);
    else if (what < 8) this.stream.write(new Uint8Array(this.rng.int(20_000)), nowMs);
    else if (what === 8) this.stream.sendDatagram('192.0.2.1', 53, new Uint8Array(100), nowMs);
    else if (what === 9) this.stream.end(nowMs);
    else if (what === 10) this.stream.reset('RESET', nowMs);
    else this.stream.stop('RESET', nowMs);
    if (what < 4) this.#unconsumed = 0;
  }
  onData(bytes: Uint8Array): void {
    this.#unconsumed += bytes.byteLength;
  }
  onFin(): void {}
  onReset(): void {}
  onDrain(): void {}
}

/** Streams of all kinds with whatever a peer may send and an application may do, cut off at any moment. */
function leftByChance(seed: number) {
  const clock = new VirtualClock();
  const memory = new MemoryBudget(100_000_000, clock);
  const rng = seededRng(seed);
  const applications: Application[] = [];
  const sessions = table({
    memory,
    accept: (stream) => {
      const application = new Application(stream, rng);
      applications.push(application);
      return application;
    },
  });
  const id = idOf(1);
  sessions.receive(
    packet(id, 1, () => {}, { blocks: 4 }),
    monotonic(0),
  );
  prove(sessions, id);
  let number = 2;
  let most = 0;
  for (let step = 0; step < 150 && sessions.size > 0; step++) {
    const stream = rng.int(5);
    const write = (builder: PacketBuilder) => {
      const what = rng.int(20);
      if (what < 3) builder.open(owner, stream, rng.int(3), hostBytes('example.org'), 80);
      else if (what < 14) data(builder, stream, rng.int(3000), 1 + rng.int(600), false);
      else if (what === 14) builder.reset(owner, stream, 0, 3600 + rng.int(100));
      else if (what === 15) builder.stop(owner, stream, 0);
      else if (what < 18) builder.datagram(owner, stream, hostBytes('192.0.2.1'), 53, new Uint8Array(100));
      else data(builder, stream, 3000, 600, true);
    };
    sessions.receive(packet(id, number++, write, { hello: false, blocks: rng.int(3) }), clock.nowMs());
    applications[rng.int(Math.max(1, applications.length))]?.act(clock.nowMs());
    clock.advance(rng.int(100));
    sessions.tick(clock.nowMs());
    for (const session of sessions.sessions()) session.nextReply(clock.nowMs());
    most = Math.max(most, memory.usedBytes);
  }
  sessions.closeAll('limit', clock.nowMs());
  for (const application of applications) application.act(clock.nowMs());
  return { most, left: memory.kinds.filter(({ kind, bytes }) => kind !== 'sessions' && bytes !== 0), of: seed };
}

t.test('nothing stays on the budget, whatever a peer and an application did before the session ended', (t) => {
  const runs = Array.from({ length: 40 }, (_, seed) => leftByChance(seed));
  t.ok(runs.some(({ most }) => most > 100_000));
  t.strictSame(
    runs.filter(({ left }) => left.length > 0),
    [],
  );
  t.end();
});

t.test('a stream that gives way to its own opening is not opened: nobody would end what is behind it', (t) => {
  const clock = new VirtualClock();
  const memory = new MemoryBudget(1_000_000, clock);
  const accepted: AcceptedStream[] = [];
  const sessions = table({
    memory,
    accept: (stream) => {
      accepted.push(stream);
      return silent;
    },
  });
  const send = (number: number, write: (builder: PacketBuilder) => void) =>
    sessions.receive(
      packet(idOf(1), number, write, { hello: number === 1, blocks: number === 1 ? 4 : 0 }),
      clock.nowMs(),
    );
  send(1, () => {});
  prove(sessions, idOf(1));
  for (let i = 0; i < 100; i++) send(2 + i, (builder) => data(builder, 7, 1 + 300 * i, 300));
  memory.account('pool').set(855_000);
  clock.advance(60_000);
  send(200, open(7));
  t.equal(accepted.length, 0);
  t.equal(sessions.size, 1);
  t.end();
});
