/**
 * Attack: memory is bounded per client and per stream, and clients are many. A thousand of them read in trickles, so that a
 * gateway keeps a queue for each and never finds a link that stands still; a thousand downloads are opened at an exit and
 * nothing of them is taken. Who does that wants the process out of memory, or others without any.
 *
 * Defence: one budget per process. At the budget those let go who need longest for what they hold, all accounts of one session
 * together; newcomers find a place where slow ones can give way. What remains: who takes what he holds as fast as honest ones
 * counts as one of them.
 */
import { EventEmitter } from 'node:events';
import type { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { SILENT_SLOT_MS } from '../../gateway/clients.ts';
import { ADMISSION_SHARE, LEAST_SHED_BYTES, MemoryAccount, MemoryBudget } from '../../lib/core/memory-budget.ts';
import { FrameSocket } from '../../lib/link/frame-socket.ts';
import { frameShape } from '../../lib/link/framing.ts';
import { type AcceptedHandlers, type AcceptedStream, SessionTable } from '../../lib/session/index.ts';
import { hostBytes } from '../../lib/transport/wire/packet-builder.ts';
import { kindNumber } from '../../lib/transport/wire/reasons.ts';
import { idOf as clientId, DeliveryWorld, STANDARD } from '../support/delivery-world.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { delay, idOf, owner, PAYLOAD_BYTES, packet, prove } from '../support/session-packets.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const MB = 1_000_000;
const STEP_MS = 100;

/** Time passes, and what was put off to the end of a turn is done. */
async function pass(clock: VirtualClock, ms: number) {
  clock.advance(ms);
  await new Promise(setImmediate);
}

/** The budget as if nobody looked at who is slow. */
function blind(t: Test): void {
  const { slowness } = MemoryAccount.prototype;
  t.teardown(() => {
    MemoryAccount.prototype.slowness = slowness;
  });
  MemoryAccount.prototype.slowness = () => 1;
}

// ---- a gateway

const FRAME = frameShape(2445);
const TRICKLING = 300;
/** As a gateway counts a connection on which nothing waits. */
const CONNECTION_BYTES = 80 * 1024;
const LINKS_BUDGET = 20 * MB;

/** The kernel's end of a connection: takes as many writes as its reader leaves it space for. */
class Reader extends EventEmitter {
  readonly #waiting: { readonly frames: number; readonly onWritten: () => void }[] = [];
  taken = 0;
  setMaxSendFragment(): void {}
  destroy(): void {}

  write(bytes: Uint8Array, onWritten: () => void): void {
    this.#waiting.push({ frames: bytes.byteLength / FRAME.wireBytes, onWritten });
  }

  /** Takes `writes` of those that wait. */
  take(writes: number): void {
    for (const { frames, onWritten } of this.#waiting.splice(0, writes)) {
      this.taken += frames;
      onWritten();
    }
  }
}

function linkTo(reader: Reader, clock: VirtualClock, memory: MemoryBudget | undefined) {
  const link = { ended: '', refused: 0, frames: undefined as unknown as FrameSocket };
  link.frames = new FrameSocket({
    socket: reader as unknown as TLSSocket,
    shape: FRAME,
    clock,
    queueFrames: 1024,
    stallTimeoutMs: 10_000,
    ...(memory === undefined ? {} : { memory }),
    onFrame: () => {},
    onClose: (reason) => {
      link.ended = reason;
    },
  });
  return link;
}

/** Clients that read a frame a second and send themselves ten; one that reads everything, which comes in bursts. */
async function trickle(memory: MemoryBudget | undefined, clock: VirtualClock) {
  const trickling = Array.from({ length: TRICKLING }, () => {
    const reader = new Reader();
    return { reader, link: linkTo(reader, clock, memory) };
  });
  const honest = new Reader();
  const honestLink = linkTo(honest, clock, memory);
  const frame = new Uint8Array(FRAME.wireBytes);
  let sent = 0;
  let mostFrames = 0;
  for (let step = 1; step <= 400; step++) {
    for (const { reader, link } of trickling) {
      link.frames.send(frame);
      if (step % 10 === 0) reader.take(1);
    }
    if (step % 20 === 0) for (let i = 0; i < 400; i++) sent += honestLink.frames.send(frame) === 'sent' ? 1 : 0;
    await pass(clock, STEP_MS);
    honest.take(Number.POSITIVE_INFINITY);
    const waiting = trickling.reduce((sum, { link }) => sum + (link.ended === '' ? link.frames.queued : 0), 0);
    mostFrames = Math.max(mostFrames, waiting);
  }
  const ended = trickling.filter(({ link }) => link.ended === 'memory').length;
  return { ended, honest: honestLink.ended, lost: sent - honest.taken, sent, mostBytes: mostFrames * FRAME.wireBytes };
}

t.test('clients that read in trickles keep no more than the budget, and take nothing from who reads', async (t) => {
  const clock = new VirtualClock();
  const memory = new MemoryBudget(LINKS_BUDGET, clock);
  const watch = memory.watch(clock);
  t.teardown(() => watch.cancel());
  const { ended, honest, lost, sent, mostBytes } = await trickle(memory, clock);
  t.ok(mostBytes <= LINKS_BUDGET, `${mostBytes} bytes wait at most`);
  t.ok(ended > 50, `${ended} of ${TRICKLING} links were closed`);
  t.equal(honest, '', 'the link of who reads is up');
  t.equal(sent, 20 * 400);
  t.equal(lost, 0);
});

t.test('without the budget a link that reads in trickles is never stalled, and all of them keep much', async (t) => {
  const { ended, mostBytes } = await trickle(undefined, new VirtualClock());
  t.equal(ended, 0);
  t.ok(mostBytes > 3 * LINKS_BUDGET, `${mostBytes} bytes wait at most`);
});

t.test('a budget that looks at sizes alone closes the link of who reads', async (t) => {
  blind(t);
  const clock = new VirtualClock();
  const { honest } = await trickle(new MemoryBudget(LINKS_BUDGET, clock), clock);
  t.equal(honest, 'memory');
});

t.test('a gateway whose memory is used up delivers to its clients at the same times', async (t) => {
  const timesAt = (filled: boolean) => {
    const clock = new VirtualClock();
    const memory = new MemoryBudget(10 * MB, clock);
    const hoard = memory.account('links');
    const world = new DeliveryWorld({}, {}, undefined, memory);
    const link = world.connect(1);
    world.sends(link, 30_000);
    world.replies(1, 30_000, () => STANDARD.replyRate);
    world.run(10_000);
    if (filled) hoard.set(20 * MB);
    world.run(20_000);
    return { times: link.times, refused: world.clients.admits('ff'.repeat(32) as never, link.client) !== true };
  };
  const [usual, full] = [timesAt(false), timesAt(true)];
  t.strictSame(full.times, usual.times);
  t.ok(usual.times.length > 2_000);
  t.strictSame([usual.refused, full.refused], [false, true], 'further clients are refused meanwhile');
});

t.test(
  'clients that connect and send nothing hold no memory that newcomers need, once they have been silent for long',
  (t) => {
    const clock = new VirtualClock();
    const memory = new MemoryBudget(10 * MB, clock);
    const world = new DeliveryWorld({}, {}, undefined, memory);
    const admits = (n: number) => world.clients.admits(clientId(n), { trafficClass: 'standard', clocked: false });
    let n = 1;
    for (; admits(n) === true; n++) {
      const connection = memory.account('links');
      connection.set(CONNECTION_BYTES);
      const link = world.connect(n, { trafficClass: 'standard', clocked: false });
      const close = link.close.bind(link);
      link.close = () => {
        connection.set(0);
        close();
      };
    }
    t.ok(n > 100, `${n} silent clients`);
    world.run(SILENT_SLOT_MS - 1_000);
    t.not(admits(n), true, 'who has just come keeps his place');
    world.run(5_000);
    t.equal(admits(n), true);
    t.equal(world.silent, 0, 'to ask costs nobody his place');
    world.connect(n, { trafficClass: 'standard', clocked: false });
    t.equal(world.silent, 1, 'one place for one newcomer');
    t.end();
  },
);

// ---- an exit

const STREAMS_BUDGET = 8 * MB;
const SESSIONS = 4;
const STREAMS = 50;
const PIECE = new Uint8Array(65_536);

/** A site that sends as long as it may, or one piece. */
class Site implements AcceptedHandlers {
  reset = '';
  isEndless = true;
  constructor(readonly stream: AcceptedStream) {
    stream.opened({ host: '192.0.2.1', port: 1 }, monotonic(0));
  }
  fill(nowMs: number): void {
    for (let wants = this.reset === ''; wants; ) wants = this.stream.write(PIECE, monotonic(nowMs)) && this.isEndless;
  }
  onData(): void {}
  onFin(): void {}
  onDrain(): void {}
  onReset(code: string): void {
    this.reset = code;
  }
}

/** Sessions that open downloads and take nothing; then others, which want a page each. */
async function stall(memory: MemoryBudget | undefined, clock: VirtualClock) {
  const sites: Site[] = [];
  const table = new SessionTable({
    rng: seededRng(1),
    payloadBytes: PAYLOAD_BYTES,
    terms: () => ({ delay }),
    accept: (stream) => {
      const site = new Site(stream);
      sites.push(site);
      return site;
    },
    ...(memory === undefined ? {} : { memory }),
  });
  let number = 1;
  const open = (id: Uint8Array, stream: number) => {
    const kind = kindNumber('tcp');
    table.receive(
      packet(id, number++, (builder) => builder.open(owner, stream, kind, hostBytes('192.0.2.1'), 1)),
      clock.nowMs(),
    );
  };
  const begin = (n: number) => {
    const before = table.size;
    open(idOf(n), 0);
    if (table.size > before) prove(table, idOf(n), clock.nowMs());
  };
  const heldBytes = () => [...table.sessions()].reduce((sum, session) => sum + session.stats().bytesQueued, 0);
  let mostBytes = 0;
  const fillAll = async () => {
    for (const site of sites) {
      site.fill(clock.nowMs());
      await pass(clock, 0);
      mostBytes = Math.max(mostBytes, heldBytes());
    }
  };
  for (let n = 1; n <= SESSIONS; n++) {
    begin(n);
    for (let stream = 1; stream < STREAMS; stream++) open(idOf(n), stream);
    await fillAll();
    await pass(clock, 1_000);
  }
  const stalled = [...sites];
  await pass(clock, 10_000);
  const newcomers: Site[] = [];
  for (let n = 0; n < 20; n++) {
    const before = sites.length;
    begin(100 + n);
    const mine = sites.slice(before);
    newcomers.push(...mine);
    for (const site of stalled) site.fill(clock.nowMs());
    for (const site of mine) {
      site.isEndless = false;
      site.fill(clock.nowMs());
    }
    await pass(clock, 0);
    mostBytes = Math.max(mostBytes, heldBytes());
    await pass(clock, 1_000);
  }
  return { mostBytes, stalled, newcomers };
}

t.test('downloads that stand still keep no more than the budget, and newcomers are served', async (t) => {
  const clock = new VirtualClock();
  const memory = new MemoryBudget(STREAMS_BUDGET, clock);
  const watch = memory.watch(clock);
  t.teardown(() => watch.cancel());
  const { mostBytes, stalled, newcomers } = await stall(memory, clock);
  t.ok(mostBytes <= STREAMS_BUDGET, `${mostBytes} bytes wait at most`);
  const reset = stalled.filter((site) => site.reset === 'LIMIT').length;
  t.ok(reset > SESSIONS * STREAMS * 0.6, `${reset} of ${stalled.length} were reset`);
  t.equal(newcomers.length, 20, 'all are let in');
  t.notOk(
    newcomers.some((site) => site.reset !== ''),
    'and none is reset',
  );
});

t.test('without the budget the streams of a few sessions keep as much as they like', async (t) => {
  const { mostBytes, stalled } = await stall(undefined, new VirtualClock());
  t.ok(mostBytes > 3 * STREAMS_BUDGET, `${mostBytes} bytes wait at most`);
  t.notOk(stalled.some(({ reset }) => reset !== ''));
});

t.test('a budget for which nobody gives way keeps newcomers out', async (t) => {
  const clock = new VirtualClock();
  const memory = new MemoryBudget(STREAMS_BUDGET, clock);
  memory.admits = () => memory.usedBytes <= STREAMS_BUDGET * ADMISSION_SHARE;
  const { newcomers } = await stall(memory, clock);
  t.ok(newcomers.length < 5, `${newcomers.length} of 20 are let in`);
});

t.test('small accounts are no way around it: what cannot be shed is bounded by what is let in', async (t) => {
  const clock = new VirtualClock();
  const memory = new MemoryBudget(STREAMS_BUDGET, clock);
  const accounts: MemoryAccount[] = [];
  for (let n = 0; n < 10_000 && memory.admits('streams'); n++) {
    const account = memory.account('streams', () => account.set(0));
    account.set(LEAST_SHED_BYTES - 1);
    accounts.push(account);
    await pass(clock, 0);
  }
  t.ok(memory.usedBytes <= STREAMS_BUDGET);
  t.ok(accounts.length < STREAMS_BUDGET / (LEAST_SHED_BYTES - 1));
});
