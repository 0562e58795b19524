/**
 * Streams whose application does not read, at either end and in either direction, on the simulated session: the others go on
 * as if they were alone, what is parked waits in bounded memory, and resumes without loss.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { AcceptHandler, SessionLimits } from '../../lib/session/index.ts';
import { proxyLimits, requesterLimits } from '../../lib/transport/limits.ts';
import { clientEnd, hostOf, type Plan, type StreamEnd, server } from '../support/sim/apps.ts';
import { SessionSim, type SimOptions } from '../support/sim/session-sim.ts';
import { monotonic } from '../support/units.ts';

const PAYLOAD_BYTES = 2048;

type Parked = 'none' | 'program' | 'site' | 'both';

interface Planned {
  readonly up: number;
  readonly down: number;
  readonly parked: Parked;
  readonly startMs: number;
}

interface Pair {
  readonly planned: Planned;
  readonly near: StreamEnd;
  far: StreamEnd | undefined;
}

/** Rates and delays at which a run takes little time; what holds anything back is credit. */
const FAST: Omit<SimOptions, 'seed' | 'accept'> = { mainRate: 2000, replyRate: 3000, meanDelayMs: 2, linkMs: 1 };
const TIME_MS = 60_000;
const COMPLETES = 'and what is read completes';

class World {
  readonly sim: SessionSim;
  readonly pairs = new Map<number, Pair>();
  #resumed = false;

  constructor(plans: readonly Planned[], options: Partial<SimOptions>) {
    const served = server(() => this.sim.events);
    const accept: AcceptHandler = (stream, kind, host, ...rest) => {
      const { seed } = JSON.parse(host) as Plan;
      const handlers = served.accept(stream, kind, host, ...rest);
      const pair = this.pairs.get(seed) as Pair;
      pair.far = served.ends.get(seed) as StreamEnd;
      pair.far.reading = this.#resumed || pair.planned.parked === 'none' || pair.planned.parked === 'program';
      return handlers;
    };
    this.sim = new SessionSim({ seed: 1, ...FAST, ...options, accept });
    for (const [i, planned] of plans.entries()) this.#plan(10 * (i + 1), planned);
  }

  #plan(seed: number, planned: Planned): void {
    const plan: Plan = { up: planned.up, down: planned.down, seed };
    const near = clientEnd(this.sim.events, plan);
    near.reading = planned.parked === 'none' || planned.parked === 'site';
    this.pairs.set(seed, { planned, near, far: undefined });
    this.sim.events.after(planned.startMs, () => {
      near.stream = this.sim.proxy.open(
        { kind: 'tcp', host: hostOf(plan), port: 443 },
        near,
        monotonic(this.sim.nowMs),
      );
      near.pump();
    });
  }

  get #all(): Pair[] {
    return [...this.pairs.values()];
  }

  /** Until everything that is read at both ends is over. */
  runRead(): void {
    const read = this.#all.filter(({ planned }) => planned.parked === 'none');
    this.sim.run(TIME_MS, () => read.every((pair) => isOver(pair)));
    for (const pair of read) assert.ok(isOver(pair), `held back: ${describe(pair)}`);
  }

  resume(): void {
    this.#resumed = true;
    for (const { near, far } of this.#all) {
      if (!near.reading) near.resume();
      if (far?.reading === false) far.resume();
    }
    this.sim.run(TIME_MS, () => this.#all.every(isOver));
    for (const pair of this.#all) assert.ok(isOver(pair), `does not resume: ${describe(pair)}`);
  }

  /** Bytes that each end keeps for applications that do not read. */
  get parkedBytes(): { near: number; far: number } {
    const near = this.#all.reduce((sum, pair) => sum + pair.near.unread, this.sim.proxy.stats().bytesHeldOutOfOrder);
    const held = this.sim.served?.stats().bytesHeldOutOfOrder ?? 0;
    return { near, far: this.#all.reduce((sum, { far }) => sum + (far?.unread ?? 0), held) };
  }

  check(limits: Partial<SessionLimits>): void {
    const { near, far } = this.parkedBytes;
    assert.ok(near <= boundBytes(proxyLimits(limits, PAYLOAD_BYTES)), `${near} bytes at the proxy`);
    assert.ok(far <= boundBytes(requesterLimits(limits, PAYLOAD_BYTES)), `${far} bytes at the requester`);
    assert.equal(this.sim.closedReason, undefined);
  }
}

function isOver({ near, far }: Pair): boolean {
  return near.over && far?.over === true;
}

function describe({ planned, near, far }: Pair): string {
  return JSON.stringify({ planned, near: [near.received, near.sent], far: [far?.received, far?.sent] });
}

function boundBytes({ maxStreams, minStreamWindowBytes, maxSessionWindowBytes }: SessionLimits): number {
  return maxStreams * minStreamWindowBytes + maxSessionWindowBytes;
}

const size = fc.constantFrom(0, 300, 40_000, 300_000);
const planned = fc.record({
  up: size,
  down: size,
  parked: fc.constantFrom<Parked>('none', 'program', 'site', 'both'),
  startMs: fc.nat(1500),
});

t.test('any streams are parked for ever: the others complete, and what was parked resumes', async () => {
  const limits = { maxSessionWindowBytes: 1024 * 1024, maxStreams: 24 };
  fc.assert(
    fc.property(
      fc.array(planned, { minLength: 2, maxLength: 24 }),
      fc.constantFrom('steady' as const, 'burst' as const),
      fc.constantFrom(0, 0.03),
      fc.nat(1000),
      (plans, downlink, loss, seed) => {
        const world = new World(plans, { seed, downlink, lossUp: loss, lossDown: loss, limits });
        world.runRead();
        world.check(limits);
        world.resume();
      },
    ),
    { numRuns: 4, seed: 19, endOnFailure: true },
  );
});

/** `parked` streams that nobody reads, and then some that are read. */
function crowd(parked: Parked, count: number): Planned[] {
  const held = { up: parked === 'site' ? 350_000 : 0, down: parked === 'program' ? 350_000 : 0 };
  const idle = Array.from({ length: count }, (_, i) => ({ ...held, parked, startMs: i }));
  const read = [5, 40_000, 300_000].flatMap((bytes) => [
    { up: bytes, down: 5, parked: 'none' as const, startMs: 2500 },
    { up: 5, down: bytes, parked: 'none' as const, startMs: 2500 },
  ]);
  return [...idle, ...read];
}

for (const parked of ['program', 'site'] as const) {
  t.test(`many streams are parked by the ${parked}, ${COMPLETES}`, async (t) => {
    const limits = { maxStreams: 24 };
    const world = new World(crowd(parked, 14), { limits });
    world.sim.run(2500);
    const bytes = parked === 'program' ? world.parkedBytes.near : world.parkedBytes.far;
    t.ok(bytes > 2 * 1024 * 1024, `${bytes} bytes are parked, more than the first credit of a session by far`);
    world.runRead();
    world.check(limits);
    world.resume();
  });
}

t.test(`the whole table of a session is parked but six streams, ${COMPLETES}`, async (t) => {
  const KIB = 1024;
  const limits = { minStreamWindowBytes: 4 * KIB, streamWindowBytes: 32 * KIB, maxSessionWindowBytes: 1024 * KIB };
  const world = new World(crowd('program', 60), { limits: { ...limits, maxStreams: 66 } });
  world.sim.run(2500);
  t.ok(world.parkedBytes.near >= 60 * 4 * KIB, 'each has its least window');
  world.runRead();
  world.check(limits);
});

t.test('datagrams go on beside parked streams', async (t) => {
  const got: string[] = [];
  const accept: AcceptHandler = (stream, kind) => {
    stream.opened({ host: '0.0.0.0', port: 0 }, monotonic(sim.nowMs));
    if (kind === 'tcp') stream.write(Buffer.alloc(600_000), monotonic(sim.nowMs));
    return {
      ...{ onData() {}, onFin() {}, onReset() {}, onDrain() {} },
      onDatagram: (host, port, bytes) => void stream.sendDatagram(host, port, bytes, monotonic(sim.nowMs)),
    };
  };
  const sim: SessionSim = new SessionSim({ seed: 3, ...FAST, accept });
  const handlers = {
    ...{ onOpened() {}, onRefused() {}, onReset() {}, onData() {}, onFin() {}, onDrain() {} },
    onDatagram: (_host: string, _port: number, bytes: Uint8Array) => void got.push(Buffer.from(bytes).toString()),
  };
  for (let i = 0; i < 8; i++) sim.proxy.open({ kind: 'tcp', host: 'h', port: 1 }, handlers, monotonic(sim.nowMs));
  sim.run(2000);
  const udp = sim.proxy.open({ kind: 'udp', host: 'h', port: 1 }, handlers, monotonic(sim.nowMs));
  sim.run(500);
  udp.sendDatagram('192.0.2.1', 53, Buffer.from('question'), monotonic(sim.nowMs));
  sim.run(500);
  t.strictSame(got, ['question']);
});
