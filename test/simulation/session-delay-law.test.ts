/** A consensus changes the mean delay while streams run: everything is judged by the law by which it was made. */

import t from 'tap';
import { DelayLaws, lawTimes } from '../../lib/core/delay-law.ts';
import { exponential } from '../../lib/core/rng.ts';
import { PathHealth } from '../../lib/endpoint/health/path-health.ts';
import { REORDERING_THRESHOLD, type ReplyBlock, ReplyLedger } from '../../lib/endpoint/health/reply-ledger.ts';
import type { AcceptHandler, Downlink, SessionStream, StreamHandlers } from '../../lib/session/index.ts';
import { LossClock } from '../../lib/transport/recovery/loss-clock.ts';
import { smallTopology } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { EventQueue } from '../support/sim/event-queue.ts';
import { LoopWorld } from '../support/sim/loop-world.ts';
import { SessionSim } from '../support/sim/session-sim.ts';
import { monotonic } from '../support/units.ts';

/** Up and down again, by a quarter an epoch at most. */
const UP = [40, 50, 62, 77, 96, 120, 150, 187, 200];
const STEPS = [...UP, ...UP.toReversed()];
const EPOCH_MS = 45_000;
const SURB_LIFE_MS = 5_000;
const CHECK_MS = 1_000;

/** A download and an upload without end over one session; what came of them, and what was broken off. */
class Transfers {
  readonly sim: SessionSim;
  readonly bytes = { up: 0, down: 0 };
  broken = 0;
  overdue = 0;

  constructor(downlink: Downlink, mainRate: number) {
    const accept: AcceptHandler = (stream) => {
      stream.opened({ host: '192.0.2.1', port: 1 }, this.#nowMs);
      this.sim.events.after(0, () => this.#fill(stream));
      return this.#handlers(stream, 'up');
    };
    const deliveryRate = downlink === 'steady' ? 3 * mainRate + 2 : 0;
    const rates = { mainRate, replyRate: 2 * mainRate, deliveryRate };
    const sim = { seed: 5, accept, meanDelayMs: UP[0] as number, downlink, drawsAhead: true, surbLifeMs: SURB_LIFE_MS };
    this.sim = new SessionSim({ ...sim, ...rates });
    const opened = () => this.#fill(stream);
    const handlers = { onOpened: opened, onRefused: () => this.broken++ };
    const target = { kind: 'tcp', host: 'site.example', port: 1 } as const;
    const stream: SessionStream = this.sim.proxy.open(
      target,
      { ...handlers, ...this.#handlers(() => stream, 'down') },
      this.#nowMs,
    );
  }

  get #nowMs() {
    return monotonic(this.sim.nowMs);
  }

  run(ms: number): void {
    for (let passedMs = 0; passedMs < ms; passedMs += CHECK_MS) {
      this.sim.run(CHECK_MS);
      if (this.sim.proxy.overdueMs > 0) this.overdue += 1;
    }
  }

  /** Packets of the proxy that were given up too early, per thousand. */
  get spuriousPerMille(): number {
    const { packetsLostSpuriously, elicitingSent } = this.sim.proxy.stats();
    return (1000 * packetsLostSpuriously) / elicitingSent;
  }

  /** The same of both ends, their number. */
  get spurious(): number {
    return this.sim.proxy.stats().packetsLostSpuriously + (this.sim.served?.stats().packetsLostSpuriously ?? 0);
  }

  get missing(): number {
    return this.sim.fates.missing + this.sim.fates.late;
  }

  #fill(stream: SessionStream): void {
    while (stream.write(new Uint8Array(1000), this.#nowMs));
  }

  #handlers(
    stream: SessionStream | (() => SessionStream),
    way: 'up' | 'down',
  ): Omit<StreamHandlers, 'onOpened' | 'onRefused'> {
    const self = () => (typeof stream === 'function' ? stream() : stream);
    return {
      onData: (bytes) => {
        this.bytes[way] += bytes.byteLength;
        self().consume(bytes.byteLength, this.#nowMs);
      },
      onFin: () => this.broken++,
      onReset: () => this.broken++,
      onDrain: () => this.#fill(self()),
    };
  }
}

/** Streams while the mean delay goes through `STEPS`; `ignore`: both ends keep the law of their start. */
function throughSteps(downlink: Downlink, ignore = false) {
  const transfers = new Transfers(downlink, downlink === 'steady' ? 12 : 5);
  transfers.run(EPOCH_MS);
  const before = transfers.missing;
  for (const meanDelayMs of STEPS) {
    transfers.sim.changeLaw(meanDelayMs, EPOCH_MS, ignore);
    transfers.run(EPOCH_MS);
  }
  return { ...transfers, spuriousPerMille: transfers.spuriousPerMille, missing: transfers.missing - before };
}

/** Losses that were none; a clock that learns from samples alone has three times as many. */
const FEW_PER_MILLE = 1;

t.test('streams run through changes of the delay without a spurious loss, a missing block or a silence', async (t) => {
  for (const downlink of ['steady', 'burst'] as const) {
    const { sim, bytes, broken, overdue, missing, spuriousPerMille } = throughSteps(downlink);
    t.equal(broken, 0, `${downlink}: no stream breaks`);
    t.equal(sim.closedReason, undefined, 'the session lives');
    t.ok(bytes.up > 1_000_000 && bytes.down > 5_000_000, `${bytes.up} and ${bytes.down} bytes`);
    t.equal(overdue, 0, 'the requester is never taken for silent');
    // Dummies that stand ready are held back while data has all slots.
    t.ok(missing < 10, `${missing} of its reply blocks count as kept back`);
    t.ok(spuriousPerMille < FEW_PER_MILLE, `${spuriousPerMille} of 1000 packets are given up too early`);
  }
});

t.test('control: ends that keep the law of their start give up more', async (t) => {
  const { spuriousPerMille } = throughSteps('steady', true);
  t.ok(spuriousPerMille > FEW_PER_MILLE, `${spuriousPerMille} of 1000 packets`);
});

t.test('a change from 40 to 200 ms at once is judged by the new law at once', async (t) => {
  const lostTooEarly = (ignore: boolean) => {
    const transfers = new Transfers('steady', 50);
    transfers.run(EPOCH_MS);
    const before = transfers.spurious;
    transfers.sim.changeLaw(200, EPOCH_MS, ignore);
    transfers.run(30_000);
    return transfers.spurious - before;
  };
  const [lost, control] = [lostTooEarly(false), lostTooEarly(true)];
  t.ok(lost <= 2, `${lost} packets of both ends`);
  t.ok(control > 10, `control, the law of the start: ${control}`);
});

t.test('a longer law is in force at once, a shorter one when what was made by the longer is gone', async (t) => {
  const law = (meanDelayMs: number) => ({ meanDelayMs, epochMs: 60_000 }); // its grace is 10 s
  const laws = new DelayLaws({ meanDelayMs: 40, mixHops: 3 });
  const at = (nowMs: number) => laws.underWay(monotonic(nowMs)).meanDelayMs;
  laws.follow(law(200), monotonic(0));
  t.equal(at(0), 200);
  laws.follow(law(160), monotonic(1_000));
  t.equal(laws.current.meanDelayMs, 160, 'packets are made by it');
  laws.follow(law(128), monotonic(2_000));
  t.strictSame([at(2_000), at(10_999), at(11_000), at(11_999), at(12_000)], [200, 200, 160, 160, 128]);
  laws.follow(law(50), monotonic(20_000));
  laws.follow(law(300), monotonic(21_000));
  laws.follow(law(40), monotonic(22_000));
  t.strictSame([at(29_999), at(31_999), at(32_000)], [300, 300, 40], 'the longest of several');
});

t.test('the loss clock grows with the law, and keeps what it has learned when the law becomes shorter', async (t) => {
  const law = (meanDelayMs: number) => ({ meanDelayMs, mixHops: 3 });
  const clock = new LossClock({ delay: law(40), slotGapMs: 20, ackDelayMs: 50 });
  for (let i = 0; i < 200; i++) clock.sample(300 + (i % 2) * 100);
  const [srttMs, thresholdMs] = [clock.srttMs, clock.thresholdMs];
  clock.setLaw(law(200));
  t.ok(Math.abs(clock.srttMs - srttMs - 960) < 1e-6, 'six mixes of 160 ms more');
  t.ok(clock.thresholdMs > thresholdMs + lawTimes(law(160)).quantileMs);
  for (let i = 0; i < 200; i++) clock.sample(1300 + (i % 2) * 100);
  const before = clock.srttMs;
  clock.setLaw(law(40));
  t.equal(clock.srttMs, before);
});

/** Replies of a class fast session over mixes of 200 ms, none of them lost; how many blocks counted as missing. */
function missingAt200(knowsDelays: boolean): number {
  const rng = seededRng(9);
  const events = new EventQueue();
  let missing = 0;
  const ledger = new ReplyLedger(new PathHealth(), {
    settled: ({ fate }) => {
      if (fate === 'missing') missing += 1;
    },
  });
  const wayMs = () => exponential(rng, 200) + exponential(rng, 200) + exponential(rng, 200);
  const stock: { block: ReplyBlock; delayMs: number }[] = [];
  const handOut = () => {
    const [carrierMs, nowMs] = [wayMs(), monotonic(events.nowMs)];
    const made = Array.from({ length: 5 }, () => {
      const delayMs = wayMs();
      return { delayMs, block: ledger.created([], nowMs, SURB_LIFE_MS * 10, knowsDelays ? delayMs : 0) };
    });
    const blocks = made.map(({ block }) => block);
    ledger.sent(blocks, [], knowsDelays ? carrierMs : 0);
    events.after(carrierMs, () => stock.push(...made));
  };
  for (let ms = 0; ms < 30_000; ms += 10) events.at(ms, handOut);
  for (let ms = 3_000; ms < 30_000; ms += 2) {
    events.at(ms, () => {
      const used = stock.shift();
      if (used === undefined) return;
      const { block, delayMs } = used;
      events.after(delayMs, () => ledger.returned(block, monotonic(events.nowMs)));
    });
  }
  for (let ms = 0; ms < 30_000; ms += 250) events.at(ms, () => ledger.sweep(monotonic(ms), 700));
  events.run(30_000);
  return missing;
}

t.test('a block that long delays were drawn for is not missing because others have overtaken it', async (t) => {
  t.equal(missingAt200(true), 0);
  const missing = missingAt200(false);
  t.ok(missing > 10 * REORDERING_THRESHOLD, `control, without the drawn delays: ${missing} of 13,500`);
});

t.test('loops through all changes accuse no mix, raise no alarm, and none counts as lost', async (t) => {
  const topologyAt = (meanDelayMs: number) => {
    const topology = smallTopology(3);
    return Object.assign(Object.create(topology), { params: { ...topology.params, meanDelayMs } });
  };
  const world = new LoopWorld({ topology: topologyAt(UP[0] as number), seed: 3, loses: () => false });
  for (const meanDelayMs of [...STEPS, 200, 40, 200]) {
    world.adopt(topologyAt(meanDelayMs));
    world.run(world.nowMs + EPOCH_MS);
  }
  const { ledger } = world;
  t.strictSame(world.excluded(), []);
  t.equal(ledger.alarm.raised, false);
  t.equal(ledger.history.over(world.nowMs, monotonic(world.nowMs)).lost, 0);
  t.ok(ledger.loopsReturned > 4_000 && ledger.loopsSent - ledger.loopsReturned < 20);
  t.ok(ledger.lossDelayMs < 1_000, 'what is beyond the delays has not changed');
});
