/** A node that gets more than it carries: on a model of its thread, which reads sockets and unwraps, each for its time. */
import t from 'tap';
import type { Clock } from '../../lib/core/clock.ts';
import {
  Arrivals,
  DelayQueue,
  DepartureTicks,
  MOST_WAIT_MS,
  MOST_WAITING,
  type PolicedLink,
  TURN_MS,
} from '../../lib/mixing/index.ts';
import { CarriedLoad, LOAD_SLOTS } from '../../lib/node/carried-load.ts';
import { NodeMetrics, PacketEngine, type PooledPacket } from '../../lib/node/index.ts';
import { MeasuredCapacity } from '../../lib/runtime/measured-capacity.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic, unix } from '../support/units.ts';

const UNWRAP_MS = 0.25;
const READ_MS = 0.02;
/** Packets per second that a thread which does nothing else unwraps. */
const CARRIED = 1000 / UNWRAP_MS;

const ONE_LINK: PolicedLink = { weight: 1, count: 0 };

/** A thread in turns: it reads what has come, then runs what was to be run soon. Time passes by its work alone. */
class Machine {
  nowMs = 0;
  #soon: (() => void)[] = [];
  /** Times from arrival to unwrapping. */
  readonly waitsMs: number[] = [];
  readonly drops: string[] = [];
  /** Of packets that were unwrapped, by the link that they came over. */
  readonly opened = new Map<object, number>();
  readonly engine: PacketEngine;
  readonly #arrived = new Map<Uint8Array, { readonly atMs: number; readonly link: object }>();
  readonly #rng = seededRng(11);

  constructor(arrivals: Arrivals<Uint8Array> = new Arrivals(34)) {
    const clock: Clock = {
      grainMs: 1,
      nowMs: () => monotonic(this.nowMs),
      wallMs: () => unix(this.nowMs),
      after: () => ({ cancel: () => {} }),
      soon: (fire) => void this.#soon.push(fire),
    };
    const metrics = new NodeMetrics(new Metrics());
    metrics.drop = (reason) => this.drops.push(reason);
    this.engine = new PacketEngine({
      clock,
      arrivals,
      policer: { admits: () => true },
      pool: new DelayQueue<PooledPacket>(10_000_000),
      ticks: new DepartureTicks(this.#rng),
      metrics,
      loops: { receive: () => undefined },
      pipeline: {
        process: (packet) => {
          const { atMs = 0, link = this } = this.#arrived.get(packet) ?? {};
          this.waitsMs.push(this.nowMs - atMs);
          this.opened.set(link, (this.opened.get(link) ?? 0) + 1);
          this.#arrived.delete(packet);
          this.nowMs += UNWRAP_MS;
          return { kind: 'forward', packet, delayNs: 0, nextAddress: packet };
        },
      },
      flushTags: () => true,
      maxDelayMs: () => 1000,
      behaviour: { nextHop: () => ({ send: () => {} }), endsPackets: false },
    });
  }

  /** Packets come by a Poisson clock for `durationMs`, each over the link that `linkOf` draws. */
  run(perSecond: number, durationMs: number, linkOf: (drawn: number) => PolicedLink = () => ONE_LINK): void {
    const untilMs = this.nowMs + durationMs;
    let nextMs = this.nowMs;
    while (this.nowMs < untilMs) {
      if (nextMs > this.nowMs && this.#soon.length === 0) this.nowMs = nextMs;
      const readMs = this.nowMs;
      while (nextMs <= readMs) {
        this.come(nextMs, linkOf(this.#rng.uniform()));
        nextMs -= (Math.log(1 - this.#rng.uniform()) * 1000) / perSecond;
      }
      this.turn();
    }
  }

  come(atMs = this.nowMs, link = ONE_LINK): void {
    const packet = new Uint8Array(34);
    this.#arrived.set(packet, { atMs, link });
    this.nowMs += READ_MS;
    this.engine.receive(packet, link);
  }

  turn(): void {
    const due = this.#soon;
    this.#soon = [];
    for (const fire of due) fire();
  }

  get longestWaitMs(): number {
    return this.waitsMs.reduce((longest, wait) => Math.max(longest, wait), 0);
  }
}

t.test('a node that keeps up drops nothing, and packets hardly wait', async (t) => {
  const machine = new Machine();
  machine.run(0.6 * CARRIED, 10_000);
  t.strictSame(machine.drops, []);
  t.ok(machine.longestWaitMs < MOST_WAIT_MS / 2, `${machine.longestWaitMs} ms`);
});

for (const times of [2, 4]) {
  t.test(`asked for ${times} times what it carries it unwraps as much as it can, and none waits long`, async (t) => {
    const machine = new Machine();
    machine.run(times * CARRIED, 6_000);
    t.ok(machine.longestWaitMs <= MOST_WAIT_MS + 4 * TURN_MS, `${machine.longestWaitMs} ms`);
    const unwrapped = machine.waitsMs.length / 6 / CARRIED;
    t.ok(unwrapped > 1 - 1.5 * times * (READ_MS / UNWRAP_MS), `${unwrapped} of what it carries`);
    t.strictSame([...new Set(machine.drops)], ['overload']);
    t.equal(machine.engine.work.opened, machine.waitsMs.length);
    t.equal(machine.engine.work.shed, machine.drops.length);
  });
}

t.test('after an overload it goes on as before', async (t) => {
  const machine = new Machine();
  machine.run(3 * CARRIED, 5_000);
  machine.run(0.5 * CARRIED, 1_000);
  const { length } = machine.drops;
  machine.waitsMs.length = 0;
  machine.run(0.5 * CARRIED, 5_000);
  t.equal(machine.drops.length, length);
  t.ok(machine.longestWaitMs < MOST_WAIT_MS / 2);
});

t.test('a process that stood still catches up with what waited, and drops none of it', async (t) => {
  const machine = new Machine();
  for (let i = 0; i < 400; i++) machine.come();
  machine.nowMs += 5_000;
  for (let i = 0; i < 100; i++) machine.turn();
  t.strictSame(machine.drops, []);
  t.equal(machine.waitsMs.length, 400);
});

t.test('without the bound packets wait for ever longer', async (t) => {
  class Patient extends Arrivals<Uint8Array> {
    override beginTurn(): number {
      return super.beginTurn(monotonic(0)); // nothing grows older
    }
  }
  const machine = new Machine(new Patient(34));
  machine.run(2 * CARRIED, 4_000);
  t.ok(machine.longestWaitMs > 2 * MOST_WAIT_MS, `${machine.longestWaitMs} ms`);
});

t.test('so many wait at most, and their memory is bounded', async (t) => {
  const machine = new Machine();
  for (let i = 0; i < 5000; i++) machine.come(0);
  const atOnce = Math.ceil(TURN_MS / UNWRAP_MS);
  t.equal(machine.drops.length, 5000 - atOnce - MOST_WAITING);
  machine.engine.stop();
  const { length } = machine.waitsMs;
  machine.turn();
  t.equal(machine.waitsMs.length, length, 'a stopped engine unwraps none of them');
  const large = new Arrivals<number>(33_133);
  let taken = 0;
  while (large.push(taken, ONE_LINK) === 0) taken += 1;
  t.equal(taken, Math.floor((16 * 2 ** 20) / 33_133));
});

/** For 6 s a thread gets three times what it carries over one link, and a fifth over another: which part of these it unwraps. */
function besideFlood(arrivals: Arrivals<Uint8Array>, weight = 1): number {
  const machine = new Machine(arrivals);
  const flooding: PolicedLink = { weight: 1, count: 0 };
  const honest: PolicedLink = { weight, count: 0 };
  let sent = 0;
  machine.run(3.2 * CARRIED, 6_000, (drawn) => {
    if (drawn < 3 / 3.2) return flooding;
    sent += 1;
    return honest;
  });
  machine.run(0.1 * CARRIED, 500); // what waits is unwrapped
  return (machine.opened.get(honest) ?? 0) / sent;
}

t.test(
  'who sends within his share to a node that is too slow loses nothing to a neighbour who floods it',
  async (t) => {
    t.equal(besideFlood(new Arrivals(34)), 1);
    t.equal(besideFlood(new Arrivals(34), 1 / 2), 1, 'a link of less weight too: its share is a third');
    class OneQueue extends Arrivals<Uint8Array> {
      override push(packet: Uint8Array): number {
        return super.push(packet, ONE_LINK);
      }
    }
    t.ok(besideFlood(new OneQueue(34)) < 0.6, 'one queue for all');
  },
);

t.test('where too many wait it is one of those who have most waiting', async (t) => {
  const arrivals = new Arrivals<string>(34);
  const [many, few] = [{ weight: 1 }, { weight: 1 }];
  for (let i = 0; i < MOST_WAITING; i++) t.equal(arrivals.push('many', many), 0);
  t.equal(arrivals.push('many', many), 1, 'the newcomer');
  t.equal(arrivals.push('few', few), 1, 'one of the others');
  t.equal(arrivals.size, MOST_WAITING);
  const served = [arrivals.shift(), arrivals.shift()];
  t.ok(served.includes('few'), 'links take turns');
  arrivals.clear();
  t.equal(arrivals.shift(), undefined);
  t.equal(arrivals.size, 0);
});

t.test('a link of less weight may have less waiting', async (t) => {
  const arrivals = new Arrivals<'heavy' | 'light'>(34);
  const [heavy, light] = [{ weight: 1.5 }, { weight: 0.5 }];
  for (let i = 0; i < MOST_WAITING / 2; i++) {
    arrivals.push('heavy', heavy);
    arrivals.push('light', light);
  }
  for (let i = 0; i < 100; i++) t.equal(arrivals.push('heavy', heavy), 1);
  const left = Array.from({ length: MOST_WAITING }, () => arrivals.shift());
  t.equal(left.filter((one) => one === 'heavy').length, MOST_WAITING / 2 + 100);
});

t.test('links are served by their weights', async (t) => {
  const arrivals = new Arrivals<'heavy' | 'light'>(34);
  const [heavy, light] = [{ weight: 1.5 }, { weight: 0.5 }];
  for (let i = 0; i < 100; i++) {
    arrivals.push('heavy', heavy);
    arrivals.push('light', light);
  }
  const served = Array.from({ length: 80 }, () => arrivals.shift());
  t.equal(served.filter((one) => one === 'heavy').length, 60);
});

t.test(
  'a link whose packets come one by one, each when the last one is served, gets no more than its share',
  async (t) => {
    const arrivals = new Arrivals<'paced' | 'steady'>(34);
    const [paced, steady] = [{ weight: 1 }, { weight: 1 }];
    for (let i = 0; i < 200; i++) arrivals.push('steady', steady);
    const served: unknown[] = [];
    let waiting = 0;
    for (let i = 0; i < 100; i++) {
      if (waiting === 0) waiting += 1 - arrivals.push('paced', paced);
      const one = arrivals.shift();
      if (one === 'paced') waiting -= 1;
      served.push(one);
    }
    t.equal(served.filter((one) => one === 'paced').length, 50);
  },
);

t.test('a link that has flooded a node has its share again as soon as it sends no more than that', async (t) => {
  const arrivals = new Arrivals<'late' | 'steady'>(34);
  const [late, steady] = [{ weight: 1 }, { weight: 1 }];
  for (let i = 0; i < MOST_WAITING; i++) arrivals.push('late', late);
  for (let i = 0; i < 500; i++) arrivals.push('steady', steady); // 500 of the flood are dropped for them
  const served = Array.from({ length: 100 }, () => arrivals.shift());
  t.equal(served.filter((one) => one === 'late').length, 50);
});

/** A node on a machine that is busy by what it does and measures once a second. */
function loadOf(epochMs: number, lines: string[] = []) {
  const state = { busy: 0.3, perSecond: 10_000, processors: 0.3 };
  const capacity = new MeasuredCapacity({ measured: 3000, most: 10_000 }, monotonic(0));
  const log = { ...silentLog, warn: (_facts: object, line: string) => void lines.push(line) } as typeof silentLog;
  const load = new CarriedLoad(
    { capacity, machine: () => state, busyShare: () => state.busy, epochMs, log },
    monotonic(0),
  );
  const work = { opened: 0, shed: 0, held: 0 };
  let second = 0;
  const run = (seconds: number, opened: number, shed: number, held = 0) => {
    for (let i = 0; i < seconds; i++) {
      second += 1;
      work.opened += opened;
      work.shed += shed;
      work.held += held;
      load.look(work, monotonic(second * 1000));
    }
  };
  return { load, state, run };
}

t.test('a node publishes the median of what it carried in the epoch, in steps', async (t) => {
  const { load, state, run } = loadOf(3_600_000);
  t.same(load.published, { capacity: 2715, shed: 0 }, 'what was measured at the start, 3000, rounded down to a step');
  run(1500, 500, 0);
  t.equal(load.published.capacity, 2715);
  // Other work keeps the machine busy: of 1500 packets/s it would have air with 1105.
  state.busy = 0.95;
  run(1500, 1500, 0);
  t.equal(load.published.capacity, 2715, 'less than half of the time');
  run(600, 1500, 0);
  const { capacity } = load.published;
  t.ok(capacity < 1200 && capacity >= 300, `${capacity}`);
  t.equal(load.published.capacity, capacity, 'the same until the next measurement');
  state.busy = 0.3;
  run(3600, 500, 0);
  t.equal(load.published.capacity, 2715, 'the epoch before is forgotten');
});

t.test('what it publishes follows later measurements, and what it may use of a processor', async (t) => {
  const { load, state, run } = loadOf(60_000);
  state.processors = 0.1;
  run(40, 100, 0);
  t.equal(load.published.capacity, 891, 'a third of the processor, a third of the packets');
  Object.assign(state, { perSecond: 15_000, processors: 0.3 });
  run(200, 100, 0);
  t.equal(load.published.capacity, 4241, 'half as much again as was measured at the start');
  state.perSecond = 10_000;
  run(40, 100, 0);
  t.equal(load.published.capacity, 2715);
});

t.test('it publishes the share that it shed in the epoch, and says that it is too slow, once a minute', async (t) => {
  const lines: string[] = [];
  const { load, run } = loadOf(60_000, lines);
  run(30, 900, 100);
  t.equal(load.published.shed, 10);
  t.equal(lines.length, 1);
  t.match(lines, [/this machine is too slow for its rates/]);
  run(45, 900, 100);
  t.equal(lines.length, 2);
  run(30, 1000, 0);
  t.equal(load.published.shed, 5, 'half of the time it shed nothing');
  run(LOAD_SLOTS, 1000, 0);
  t.equal(load.published.shed, 0);
});

t.test('it publishes how many packets per second it held, as the median of an epoch, in steps', async (t) => {
  const { load, run } = loadOf(60_000);
  t.notOk(Object.hasOwn(load.published, 'arrivalsPerSecond'), 'nothing before it has counted');
  run(30, 200, 0, 130);
  t.equal(load.published.arrivalsPerSecond, 121, 'rounded down to a step');
  run(20, 5000, 0, 4000);
  t.equal(load.published.arrivalsPerSecond, 121, 'a burst of less than half of the time changes nothing');
  run(LOAD_SLOTS, 0, 0);
  t.equal(load.published.arrivalsPerSecond, 0);
});
