/** What a requester takes its machine to carry, over machines that are models: a cost for each reply, and other work beside. */
import t from 'tap';
import { createCrypto } from '../../lib/crypto/index.ts';
import { CarriedLoad } from '../../lib/node/carried-load.ts';
import { CAPACITY_POLICY, type CapacityPolicy, MeasuredCapacity } from '../../lib/runtime/measured-capacity.ts';
import { type Log, silentLog } from '../../lib/telemetry/log.ts';
import { measuredReplies } from '../../network-requester/reply-cost.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';

interface Machine {
  /** Share of the main thread's time that goes elsewhere. */
  otherShare: number;
  costMs: number;
  /** What all sessions would have, replies per second. */
  wanted: number;
}

/** A requester on a machine; looks at the load once a second, as the hub does. */
class Run {
  readonly capacity: MeasuredCapacity;
  readonly #rng = seededRng(9);
  #second = 0;
  /** What of the last seconds counts: capacity, and how busy the machine was. */
  seen: { readonly capacity: number; readonly busy: number }[] = [];

  constructor(
    readonly machine: Machine,
    measured: number,
    policy: CapacityPolicy = CAPACITY_POLICY,
    most = 20_000,
  ) {
    this.capacity = new MeasuredCapacity({ measured, most, policy }, monotonic(0));
  }

  run(seconds: number): void {
    this.seen = [];
    for (let i = 0; i < seconds; i++) {
      const { otherShare, costMs, wanted } = this.machine;
      const asked = Math.min(wanted, this.capacity.perSecond);
      const noise = 0.9 + 0.2 * this.#rng.uniform();
      const busy = Math.min(1, noise * (otherShare + (asked * costMs) / 1000));
      const made = Math.min(asked, (1000 * Math.max(0.05, 1 - otherShare)) / costMs);
      this.#second += 1;
      this.capacity.observe({ packets: made, busyShare: busy }, monotonic(this.#second * 1000));
      this.seen.push({ capacity: this.capacity.perSecond, busy });
    }
  }

  /** How often capacity turned from rising to falling or back. */
  get turns(): number {
    const steps = this.seen.slice(1).map(({ capacity }, i) => Math.sign(capacity - (this.seen[i]?.capacity ?? 0)));
    const moves = steps.filter((step) => step !== 0);
    return moves.slice(1).filter((step, i) => step !== moves[i]).length;
  }

  get meanBusy(): number {
    return this.seen.reduce((sum, { busy }) => sum + busy, 0) / this.seen.length;
  }
}

const ALWAYS_MORE = 1e6;
/** Cheap and dear replies, with little and with much work beside them. */
const MACHINES = [0.05, 0.3, 0.5].flatMap((otherShare) =>
  [0.02, 0.1, 0.5].map((costMs) => ({ otherShare, costMs, wanted: ALWAYS_MORE })),
);

t.test('capacity settles where the machine is neither too busy nor idle, and does not swing', async (t) => {
  for (const machine of MACHINES) {
    const right = (1000 * (CAPACITY_POLICY.goal - machine.otherShare)) / machine.costMs;
    // Measured four times too high, rightly, and far too low: it is taken for what it is.
    for (const measured of [4 * right, right]) {
      const run = new Run(machine, measured, CAPACITY_POLICY, ALWAYS_MORE);
      run.run(180);
      run.run(1200);
      const name = `${machine.costMs} ms a reply, ${machine.otherShare} beside, measured ${Math.round(measured)}`;
      t.ok(run.meanBusy > 0.5 && run.meanBusy < 0.9, `${name}: busy ${run.meanBusy.toFixed(2)}`);
      t.ok(run.turns <= 2, `${name}: ${run.turns} turns in 20 minutes`);
    }
  }
});

t.test('without a band in which it stands still it would swing: rejected', async (t) => {
  const bandless = { high: CAPACITY_POLICY.goal, goal: CAPACITY_POLICY.goal, low: CAPACITY_POLICY.goal };
  const run = new Run({ otherShare: 0.3, costMs: 0.1, wanted: ALWAYS_MORE }, 4000, bandless, ALWAYS_MORE);
  run.run(180);
  run.run(1200);
  t.ok(run.turns > 20, `${run.turns} turns in 20 minutes`);
});

t.test('capacity follows a machine that gets slower, and comes back with it', async (t) => {
  const machine = { otherShare: 0.1, costMs: 0.1, wanted: ALWAYS_MORE };
  const run = new Run(machine, 6000);
  run.run(60);
  t.equal(run.capacity.perSecond, 6000);
  machine.costMs = 0.4;
  run.run(40);
  t.ok(run.capacity.perSecond < 2000, `${run.capacity.perSecond} within 40 s`);
  t.ok(run.capacity.perSecond > 1000, 'and not far below what the machine does');
  machine.costMs = 0.1;
  run.run(300);
  t.ok(run.capacity.perSecond > 4400, `${run.capacity.perSecond} within five minutes`);
});

t.test('replies that nobody asks for tell nothing: capacity stays as measured, and other work lowers it', async (t) => {
  const machine = { otherShare: 0.02, costMs: 0.1, wanted: 50 };
  const run = new Run(machine, 5000);
  run.run(600);
  t.equal(run.capacity.perSecond, 5000);
  machine.otherShare = 1.2;
  run.run(600);
  t.equal(run.capacity.perSecond, 500, 'to a tenth at most: sessions must be able to answer');
  machine.otherShare = 0.02;
  run.run(600);
  t.equal(run.capacity.perSecond, 5000);
});

t.test('the lower of option and measure holds, and the option whatever is achieved', async (t) => {
  const fast = { otherShare: 0, costMs: 0.001, wanted: ALWAYS_MORE };
  const bounded = new Run(fast, 50_000, CAPACITY_POLICY, 8000);
  t.equal(bounded.capacity.perSecond, 8000);
  bounded.run(600);
  t.equal(bounded.capacity.perSecond, 8000);
  const underrated = new Run(fast, 1000, CAPACITY_POLICY, 8000);
  underrated.run(600);
  t.equal(underrated.capacity.perSecond, 8000, 'a machine that does more than was measured may');
});

t.test('a reply is measured with the crypto in use, and the fastest of several times counts', async (t) => {
  const crypto = createCrypto('fastest');
  let calls = 0;
  let nowMs = 0;
  // Each half of a Lioness takes half a millisecond on this clock, and now and then ten; each multiplication four.
  const slow: typeof crypto = {
    ...crypto,
    x25519: (...key) => {
      nowMs += 4;
      return crypto.x25519(...key);
    },
    blake2bKeyedInto: (...block) => {
      nowMs += calls++ % 17 === 0 ? 10 : 0.5;
      crypto.blake2bKeyedInto(...block);
    },
  };
  const rng = seededRng(1);
  const terms = { rng, payloadBytes: 2048, repliesPerPacket: 2 };
  const measured = measuredReplies({ crypto: slow, ...terms, nowMs: () => nowMs });
  t.ok(
    Math.abs(measured - 500 / (1 + (4 + 1) / 2)) < 0.01,
    `half of the time, for a seal and half an unwrap: ${measured}`,
  );
  const real = measuredReplies({ crypto, ...terms, nowMs: () => performance.now() });
  t.ok(Number.isFinite(real) && real > 1, `${real} a second here`);
});

/** What it takes its machine to carry after a minute, a look that comes `lateMs` late and says that all that time was work, and ten more. */
function afterLateLooks(lateMs: number, times: number): number {
  const capacity = new MeasuredCapacity({ measured: 1000, most: 20_000 }, monotonic(0));
  let nowMs = 0;
  const look = (stepMs: number, busyShare: number) => {
    nowMs += stepMs;
    capacity.observe({ packets: 300 * (stepMs / 1000) * (1 - busyShare), busyShare }, monotonic(nowMs));
  };
  for (let i = 0; i < 60; i++) look(1000, 0.3);
  for (let i = 0; i < times; i++) look(lateMs, 1);
  for (let i = 0; i < 10; i++) look(1000, 0.3);
  return capacity.perSecond;
}

t.test('a process that stood still is not a machine that is too slow; one that is always late is', async (t) => {
  t.equal(afterLateLooks(12_000, 1), 1000);
  t.ok(afterLateLooks(12_000, 8) < 900);
  t.ok(afterLateLooks(2_500, 6) < 900, 'nor is being busy a standstill');
});

t.test('what a node sheds after a standstill is not said to be its machine', async (t) => {
  const lines: string[] = [];
  const log = { ...silentLog, warn: (_facts: unknown, line: string) => lines.push(line) } as unknown as Log;
  const capacity = new MeasuredCapacity({ measured: 1000, most: 20_000 }, monotonic(0));
  const machine = () => ({ perSecond: 1000, processors: 1 });
  const load = new CarriedLoad({ capacity, machine, busyShare: () => 0.3, epochMs: 3_600_000, log }, monotonic(0));
  let [nowMs, shed] = [0, 0];
  const look = (stepMs: number, more: number) => {
    nowMs += stepMs;
    shed += more;
    load.look({ opened: 10 * nowMs, shed, held: 0 }, monotonic(nowMs));
  };
  for (let i = 0; i < 5; i++) look(1000, 0);
  look(12_000, 400);
  look(1000, 100);
  t.strictSame(lines, []);
  for (let i = 0; i < 5; i++) look(1000, 0);
  look(1000, 1);
  t.match(lines, [/too slow for its rates/]);
});
